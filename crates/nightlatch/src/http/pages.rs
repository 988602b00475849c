//! The pages: server-rendered HTML for people, the JSON API's other face.
//!
//! Everything works without JavaScript; what little there is makes forms more comfortable.

mod flash;
mod form;
mod view;
