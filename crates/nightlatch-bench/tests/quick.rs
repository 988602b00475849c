//! Each part of the benchmark can be run: what nobody tries out is broken when it is needed.
//!
//! The main part is left to `cargo xtask bench --quick`: it takes half a minute by itself.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The server of the same build, which lies beside the benchmark.
fn server() -> PathBuf {
    let bench = Path::new(env!("CARGO_BIN_EXE_nightlatch-bench"));
    let server = bench.with_file_name("nightlatch");
    assert!(server.exists(), "{} is not built: take `cargo test --workspace`", server.display());
    server
}

fn measured(part: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_nightlatch-bench"))
        .arg("--server")
        .arg(server())
        .args(["--commit", "of-a-test", "--quick", part])
        .output()
        .expect("the benchmark can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn assert_has(report: &str, rows: &[&str]) {
    for row in rows {
        assert!(report.contains(row), "no {row:?} in:\n{report}");
    }
}

#[test]
fn growing_is_measured_and_multiplied() {
    let report = measured("--scale");
    let rows = ["| SQLite: sessions stored | 100 | 1000 |", "| PostgreSQL: sessions stored |"];
    assert_has(&report, &rows);
    assert_has(&report, &["| Nodes on one PostgreSQL | 1 | 2 |", "| 100 million users |"]);
    assert!(!report.contains("NaN") && !report.contains("inf"), "{report}");
}

#[test]
fn sockets_and_forward_auth_are_measured() {
    let report = measured("--fitted-in");
    assert_has(&report, &["200 idle sockets", "nginx that asks Nightlatch", "asks Django"]);
}

#[test]
fn the_audit_log_and_traces_are_measured() {
    let report = measured("--telling");
    assert_has(&report, &["logouts on SQLite", "logins on PostgreSQL", "one in twenty traced"]);
}
