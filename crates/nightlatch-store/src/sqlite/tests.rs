//! Tests of the SQLite record
