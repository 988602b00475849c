//! Copies the sources that decide about copies of sessions, with every patch of
//! `patches.rs` in them, so that each rule can be broken without a hook in what ships.
//!
//! A patch that no longer matches its original exactly once fails the build and says which mutant
//! needs care: a mutant that silently stopped being one would prove nothing.

mod patches;

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use patches::{PATCHES, Patch};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is copied: a module's file, and the directory of its parts beside it.
const MODULES: [(&str, &str); 3] = [
    ("coherence", "../nightlatch-core/src"),
    ("cached", "../nightlatch-store/src"),
    ("memory", "../nightlatch-store/src"),
];

/// The file of a module itself. Not `mod.rs`, which the lints of this workspace do not want.
const ROOT: &str = "root.rs";

fn main() -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "cargo tells a build script its place this way")]
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("copied");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    println!("cargo::rerun-if-changed=patches.rs");
    let mut modules = String::new();
    let mut copied = Vec::new();
    for (module, from) in MODULES {
        let (from, to) = (here.join(from), out.join(module));
        fs::create_dir_all(&to)?;
        let root = from.join(module).with_extension("rs");
        copied.push(copy(&root, &to.join(ROOT), &format!("{module}.rs"))?);
        println!("cargo::rerun-if-changed={}", from.join(module).display());
        for part in fs::read_dir(from.join(module))? {
            let part = part?.path();
            let name = part.file_name().and_then(|name| name.to_str()).ok_or("a name in UTF-8")?;
            if name != "tests.rs" {
                copied.push(copy(&part, &to.join(name), &format!("{module}/{name}"))?);
            }
        }
        let path = to.join(ROOT).display().to_string().escape_default().to_string();
        writeln!(modules, "#[path = \"{path}\"]\npub mod {module};")?;
    }
    for patch in PATCHES {
        if !copied.iter().any(|name| name == patch.file) {
            return Err(format!("{}: no such file is copied: {}", patch.mutants, patch.file).into());
        }
    }
    fs::write(out.join("modules.rs"), modules)?;
    Ok(())
}

fn copy(from: &Path, to: &Path, name: &str) -> Result<String> {
    println!("cargo::rerun-if-changed={}", from.display());
    let original = fs::read_to_string(from)?;
    let mut text = shipped(&original)
        .replace("use crate::", "use nightlatch_core::")
        .replace("nightlatch_core::coherence::", "crate::copied::coherence::");
    for patch in PATCHES.iter().filter(|patch| patch.file == name) {
        text = patched(&text, patch)?;
    }
    fs::write(to, text)?;
    Ok(name.to_owned())
}

/// Without its tests, which stand last.
fn shipped(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

fn patched(text: &str, patch: &Patch) -> Result<String> {
    let Patch { mutants, file, original, patched } = patch;
    match text.matches(original).count() {
        1 => Ok(text.replacen(original, patched, 1)),
        0 => Err(format!(
            "mutant {mutants} needs care: {file} no longer holds `{original}`; \
             see crates/nightlatch-sim/patches.rs"
        )
        .into()),
        times => Err(format!(
            "mutant {mutants} needs care: {file} holds `{original}` {times} times; \
             see crates/nightlatch-sim/patches.rs"
        )
        .into()),
    }
}
