//! Files beside the one that is examined.

use super::*;

/// What is told of `.env` with another file beside it, its level in front.
fn told(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("our folder takes a file");
    }
    let diagnosis = Diagnosis::of(examine_env_file(
        &folder.path().join(files[0].0),
        false,
        &Machine::at(folder.path()),
    ));
    for finding in diagnosis.findings() {
        assert!(!format!("{finding:?}").contains(MARK), "a secret is shown: {finding:?}");
        assert_is_documented(finding.id);
    }
    let told = diagnosis.findings().iter();
    told.map(|finding| format!("{} {}", finding.level.as_str(), finding.id)).collect()
}

#[test]
fn a_file_beside_it_is_told_where_it_matters() {
    const OURS: &str = "NIGHTLATCH_LISTEN=127.0.0.1:8080\n";
    for (files, expected) in [
        (
            &[(".env", "NODE_ENV=production\n"), (".env.production", "NODE_ENV=development\n")][..],
            "warn env-file-environment",
        ),
        (&[(".env.production", "ENVIRONMENT=development\n")], "warn env-file-environment"),
        (&[(".env.development", "ENVIRONMENT=production\n")], "warn env-file-environment"),
        (
            &[
                (".env", "ENVIRONMENT=production\nREDIS_URL=redis://:hunter2@a/0\n"),
                (".env.production", "REDIS_URL=redis://:hunter2@b/0\n"),
            ],
            "info env-file-beside",
        ),
        (
            &[
                (".env", "ENVIRONMENT=staging\nJWT_SECRET=hunter2aaaaaaaaaaaaaaaaaaaaaaaaaaa\n"),
                (".env.staging", "JWT_SECRET=hunter2bbbbbbbbbbbbbbbbbbbbbbbbbbb\n"),
            ],
            "info env-file-beside",
        ),
        (
            &[(".env", OURS), (".env.production", "ENVIRONMENT=production\n")],
            "info env-file-beside",
        ),
        (
            &[(".env", OURS), (".env.local", "NIGHTLATCH_LISTEN=[::1]:8080\n")],
            "info env-file-beside",
        ),
    ] {
        assert_eq!(told(files), [expected], "{files:?}");
    }
}

#[test]
fn sound_projects_with_several_files_have_no_finding() {
    for files in [
        // Vite.
        &[
            (".env", "VITE_API_URL=http://localhost:8000\nSESSION_SECRET=dev-hunter2\n"),
            (".env.production", "VITE_API_URL=https://api.example.com\nSESSION_SECRET=hunter2\n"),
        ][..],
        // Next.js.
        &[
            (".env", "REDIS_URL=redis://localhost:6379/0\n"),
            (".env.local", "REDIS_URL=redis://:hunter2@localhost:6379/1\n"),
            (".env.production", "NODE_ENV=production\nREDIS_URL=redis://:hunter2@redis/0\n"),
        ],
        &[
            (".env", "NODE_ENV=development\nREDIS_URL=redis://localhost:6379/0\n"),
            (".env.development", "REDIS_URL=redis://localhost:6379/1\n"),
        ],
        &[(".env.staging", "NODE_ENV=production\n")],
        &[(".env.production", "NODE_ENV=production\n"), (".env", "NODE_ENV=development\n")],
        &[
            (".env", "ENVIRONMENT=production\nREDIS_URL=redis://a/0\n"),
            (".env.production", "REDIS_URL=redis://a/0\n"),
        ],
        &[
            (".env", "ENVIRONMENT=production\nREDIS_URL=redis://a/0\n"),
            (".env.example", "REDIS_URL=redis://b/0\n"),
        ],
    ] {
        assert_eq!(told(files), [""; 0], "{files:?}");
    }
}
