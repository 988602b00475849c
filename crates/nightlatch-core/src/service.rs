//! The use cases, one a file. [`Service`] holds the ports and nothing else.
