//! What is shipped in `deploy/`, as far as it can be run here.

mod compose;
mod files;
mod growing;
mod guide;
mod package;
mod restore;
mod schema;
mod service;
mod upgrade;
