//! The Nightlatch server: everything that joins the rules to the world.

pub mod app;
pub mod auth_service;
pub mod background;
mod chart;
pub mod cli;
pub mod config;
pub mod descriptors;
pub mod doctor;
mod drill_report;
pub mod hashing;
pub mod health;
pub mod heartbeat;
pub mod http;
pub mod import;
pub mod json_lines;
pub mod jwt;
mod listening;
pub mod metrics;
mod outbound;
mod past;
mod remedy;
pub mod serve;
pub mod standing;
pub mod status;
pub mod strength;
pub mod telemetry;
pub mod traces;
