//! Each endpoint, and what holds for all of them: statuses, bodies, headers.

mod cookies;
mod cors;
mod csrf;
mod headers;
mod health;
mod login;
mod logout;
mod pages;
mod password;
mod paths;
mod register;
mod sessions;
