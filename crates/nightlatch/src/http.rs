//! http
#[cfg(test)]
mod pages;
