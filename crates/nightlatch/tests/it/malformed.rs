//! Malformed input of every kind to every endpoint: a 4xx problem, never a 5xx, never a hang.
//!
//! What the HTTP parser itself refuses gets the bare status and a closed connection.

mod body;
mod head;
mod slow;
