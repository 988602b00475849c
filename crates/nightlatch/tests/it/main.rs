//! The server from outside: the real binary over HTTP, in browsers, under signals and under load.
//!
//! Everything here starts its own server on a free port, so that tests run side by side and none
//! sees what another did.

mod accelerator;
mod api_document;
mod audit;
mod cli;
mod delegated;
mod deploy;
mod doctor;
mod drain;
mod drill;
mod events;
mod examples;
mod forward_auth;
mod incidents;
mod journey;
mod kill;
mod malformed;
mod metrics;
mod news;
mod nodes;
mod operator;
mod outage;
mod pages;
mod person;
mod problem;
mod record;
mod routes;
mod secrets;
mod shape;
mod status;
mod storm;
mod throttle;
mod timing;
mod tokens;
mod traces;
