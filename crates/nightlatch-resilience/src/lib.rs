//! How to call what may fail.
