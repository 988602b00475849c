//! The Debian package: built with what every Debian has, installed, run, upgraded, removed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nightlatch_testkit::process::run;
use nightlatch_testkit::shipped::repository;
use tempfile::TempDir;

/// A folder that dpkg takes for a whole system.
struct System(TempDir);

impl System {
    fn empty() -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
        for made in ["etc", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log"] {
            fs::create_dir_all(folder.path().join(made)).expect("our folder takes a folder");
        }
        for (name, text) in [
            ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
            ("etc/group", "root:x:0:\n"),
            ("etc/shadow", "root:*:19000:0:99999:7:::\n"),
            ("etc/gshadow", "root:*::\n"),
            ("var/lib/dpkg/status", ""),
        ] {
            fs::write(folder.path().join(name), text).expect("our folder takes a file");
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Without the packages that it depends on, which this system does not have.
    fn dpkg(&self, arguments: &[&str]) {
        let mut dpkg = Command::new("dpkg");
        dpkg.arg(format!("--root={}", self.0.path().display()));
        dpkg.args(["--force-script-chrootless", "--force-depends", "--force-not-root"]);
        run(dpkg.arg("--force-confold").args(arguments));
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).expect("it is there").permissions().mode() & 0o777
    }
}

fn build(out: &Path) -> String {
    // A program as people get it is small; this one has what tests need for their backtraces.
    let program = out.join("nightlatch");
    run(Command::new("strip").arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_nightlatch")));
    let mut script = Command::new(repository().join("deploy/debian/build.sh"));
    let package = run(script.arg(&program).arg(out).env("NIGHTLATCH_DEB_LEVEL", "0"));
    package.trim_end().to_owned()
}

#[test]
fn the_package_is_installed_run_upgraded_removed_and_purged() {
    let out = tempfile::tempdir().expect("the temporary folder takes a folder");
    let package = build(out.path());
    let about = run(Command::new("dpkg-deb").args(["--field", &package, "Version"]));
    assert_eq!(about, format!("{}\n", env!("CARGO_PKG_VERSION")));

    let system = System::empty();
    system.dpkg(&["--install", &package]);
    let version = run(Command::new(system.path("usr/bin/nightlatch")).arg("--version"));
    assert_eq!(version, format!("nightlatch {}\n", env!("CARGO_PKG_VERSION")));
    let users = fs::read_to_string(system.path("etc/passwd")).expect("it is there");
    assert!(users.contains("nightlatch:x:"), "{users}");
    assert!(system.path("lib/systemd/system/nightlatch.service").exists());
    let secret = "etc/nightlatch/session_secret_key";
    assert_eq!(system.mode(secret), 0o600);
    let made = fs::read_to_string(system.path(secret)).expect("it is there");
    assert_eq!(made.len(), 64, "256 bits");

    // An upgrade keeps what was written here.
    let settings = system.path("etc/nightlatch/nightlatch.env");
    fs::write(&settings, "PUBLIC_URL=https://ours.example.org\n").expect("it can be written");
    system.dpkg(&["--install", &package]);
    let kept = fs::read_to_string(&settings).expect("it is there");
    assert_eq!(kept, "PUBLIC_URL=https://ours.example.org\n");
    assert_eq!(fs::read_to_string(system.path(secret)).expect("it is there"), made);

    let data = system.path("var/lib/nightlatch/nightlatch.db");
    fs::create_dir_all(data.parent().expect("a folder")).expect("as the service does");
    fs::write(&data, "people").expect("as the service does");
    system.dpkg(&["--remove", "nightlatch"]);
    assert!(!system.path("usr/bin/nightlatch").exists());
    assert!(settings.exists() && system.path(secret).exists(), "who comes back finds them");
    system.dpkg(&["--purge", "nightlatch"]);
    assert!(!system.path("etc/nightlatch").exists());
    assert!(data.exists(), "users are nobody's to remove");
}

#[test]
fn the_program_needs_no_library_that_the_package_does_not_name() {
    let needed = run(Command::new("ldd").arg(env!("CARGO_BIN_EXE_nightlatch")));
    for line in needed.lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let is_known =
            ["linux-vdso", "libgcc_s.", "libc.", "libm.", "libpthread.", "libdl.", "librt."]
                .iter()
                .any(|known| name.starts_with(known));
        assert!(is_known || name.starts_with("/lib"), "{line}");
    }
}
