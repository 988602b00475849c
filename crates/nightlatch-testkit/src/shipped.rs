//! Files that are shipped in `deploy/`, made ready for a folder of a test.
//!
//! What is tested is what people run: a change has to find the words that it changes.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::yaml;

/// The text of a file that is shipped.
pub struct Shipped(String);

impl Shipped {
    /// Reads `deploy/NAME`.
    #[must_use]
    pub fn read(name: &str) -> Self {
        Self::at(&repository().join("deploy").join(name))
    }

    /// Reads a file, which may lie elsewhere in the repository.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// As it is.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Its YAML documents.
    #[must_use]
    pub fn yaml(&self) -> Vec<Value> {
        yaml::documents(&self.0)
    }

    /// With other words; each is there, or the test would not test what is shipped.
    #[must_use]
    pub fn with(&self, changes: &[(&str, String)]) -> String {
        changes.iter().fold(self.0.clone(), |text, (from, to)| {
            assert!(text.contains(from), "`{from}` is no longer there");
            text.replace(from, to)
        })
    }
}

/// The repository's folder.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
