//! A build whose rule of copies is broken, which a drill must not pass.
//!
//! The sources are copied and patched by the simulator's own table, so that what ships has no switch for
//! it. Which rule is broken, a file beside the binary says: one build shows several. The build that ships passes
//! the same faults in the tests beside.

#[path = "../../../../nightlatch-sim/patches.rs"]
mod patches;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use nightlatch_testkit::process::run;
use serde_json::Value;

use self::patches::PATCHES;
use super::{drill_by, folder, told};

/// What of the workspace a build takes.
const SOURCES: [&str; 7] =
    [".cargo", "Cargo.lock", "Cargo.toml", "crates", "examples", "rust-toolchain.toml", "xtask"];

/// What of a build stands for all that is not of the workspace.
const BUILT: [&str; 3] = [".fingerprint", "build", "deps"];

/// Where the patched files are.
const CORE: &str = "crates/nightlatch-core/src";

/// Rules whose patches are in the core alone, each with a fault that shows it broken.
const BROKEN: [(&str, &str); 2] =
    [("no_fence", "redis-stale"), ("lease_ignored", "server-stopped")];

/// What the patches ask.
const MUTANT: &str = r#"//! Which rule is broken: the file beside the program says.

use std::sync::LazyLock;

pub(crate) fn breaks(rule: &str) -> bool {
    static BROKEN: LazyLock<String> = LazyLock::new(|| {
        let program = std::env::current_exe().unwrap_or_default();
        std::fs::read_to_string(program.with_file_name("broken")).unwrap_or_default()
    });
    *BROKEN == rule
}
"#;

#[test]
fn a_build_without_the_fence_or_the_lease_fails_the_drill_and_the_promise_is_named() {
    let binary = build();
    let broken = binary.with_file_name("broken");
    for (rule, fault) in BROKEN {
        let folder = folder();
        let arguments = ["--fault", fault, "--seconds", "3", "--json"];
        fs::write(&broken, rule).expect("the folder of the build");
        let report = told(&drill_by(&binary, folder.path(), &arguments, ""), 1);
        let fault = &report["faults"][0];
        assert!(fault["resurrected"].as_u64() > Some(0), "{rule}: {report}");
        let promises = fault["broken"].as_array().expect("a list of promises");
        let undone = Value::from("An acknowledged logout is never undone");
        assert!(promises.iter().any(|it| it["promise"] == undone), "{rule}: {report}");
    }
}

/// Builds the patched copy; what it depends on was built for the tests, with the same features.
fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = Path::new(env!("CARGO_BIN_EXE_nightlatch")).parent().expect("it lies in a folder");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutant");
    let (sources, target) = (folder.join("sources"), folder.join("target"));
    let _ = fs::remove_dir_all(&sources);
    fs::create_dir_all(&sources).expect("the folder of the build");
    // Times are kept: what was built of the same sources before is good.
    let mut copy = Command::new("cp");
    copy.arg("--archive").args(SOURCES.map(|name| root.join(name))).arg(&sources);
    run(&mut copy);
    patch(&sources);
    let profile = target.join("debug");
    if !profile.exists() {
        fs::create_dir_all(&profile).expect("the folder of the build");
        let mut link = Command::new("cp");
        link.args(["--archive", "--link"]).args(BUILT.map(|name| built.join(name))).arg(&profile);
        run(&mut link);
        for name in BUILT {
            forget_ours(&profile.join(name));
        }
    }
    // With a test, so that the features of dependencies are those of tests, and nothing is built anew; at a
    // low priority, as other tests run beside.
    let mut cargo = Command::new("nice");
    cargo.args(["-n", "19", env!("CARGO"), "build", "--quiet", "--workspace", "--all-features"]);
    cargo.args(["--locked", "--offline", "--bin", "nightlatch", "--test", "none"]);
    cargo.arg("--target-dir").arg(&target).current_dir(&sources);
    run(&mut cargo);
    profile.join("nightlatch")
}

/// What is of the workspace is built anew, and must not be written into files that are linked.
fn forget_ours(folder: &Path) {
    for entry in fs::read_dir(folder).expect("it was linked").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !["nightlatch", "xtask"].iter().any(|ours| name.contains(ours)) {
            continue;
        }
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_folder {
            fs::remove_dir_all(entry.path())
        } else {
            fs::remove_file(entry.path())
        };
        removed.expect("it was linked");
    }
}

fn patch(sources: &Path) {
    let core = sources.join(CORE);
    let is_wanted = |mutants: &str| {
        mutants.split(", ").any(|mutant| BROKEN.iter().any(|(rule, _)| *rule == mutant))
    };
    for patch in PATCHES.iter().filter(|patch| is_wanted(patch.mutants)) {
        rewrite(&core.join(patch.file), |text| {
            assert_eq!(text.matches(patch.original).count(), 1, "{}", patch.mutants);
            text.replacen(patch.original, patch.patched, 1)
        });
    }
    let lib = core.join("lib.rs");
    rewrite(&lib, |text| text.replacen("\nmod ", "\nmod mutant;\nmod ", 1));
    write_at(&core.join("mutant.rs"), MUTANT, modified(&lib));
    let tests = sources.join("crates/nightlatch-drill/tests");
    fs::create_dir_all(&tests).expect("our copy");
    fs::write(tests.join("none.rs"), "//! Nothing.\n").expect("our copy");
}

/// Changes a text; its time is that of the later of the text and the patches.
fn rewrite(file: &Path, change: impl FnOnce(String) -> String) {
    let patches = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nightlatch-sim/patches.rs");
    let time = modified(file).max(modified(&patches));
    let text = fs::read_to_string(file).expect("it was copied");
    write_at(file, &change(text), time);
}

fn modified(file: &Path) -> SystemTime {
    fs::metadata(file).and_then(|file| file.modified()).expect("it is there")
}

fn write_at(file: &Path, text: &str, time: SystemTime) {
    fs::write(file, text).expect("our copy");
    let written = File::options().write(true).open(file);
    written.and_then(|file| file.set_modified(time)).expect("our copy");
}
