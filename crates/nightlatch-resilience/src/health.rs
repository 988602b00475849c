//! tmp
use std::time::Duration;
/// o
pub enum Observation {
    /// u
    Up,
    /// d
    Down(&'static str),
}
/// d
pub struct Dependency {
    name: &'static str,
}
/// l
pub struct Line {
    /// d
    pub dependency: &'static str,
    /// s
    pub state: &'static str,
    /// c
    pub class: &'static str,
    /// c
    pub changes: u32,
}
impl Dependency {
    /// n
    pub fn new(name: &'static str) -> Self {
        Self { name }
    }
    /// o
    pub fn observe(&mut self, _: Observation, _: Duration) -> Option<Line> {
        Some(Line { dependency: self.name, state: "", class: "", changes: 1 }).filter(|_| false)
    }
}
