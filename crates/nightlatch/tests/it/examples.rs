//! The applications in `examples/`, started by the commands of their READMEs and used as people and programs
//! use them; and the guide that leads an existing one here and back.

mod axum;
mod django;
mod express;
mod from_django;
mod guide;
mod rest;
mod spa;
