//! `doctor env` beside a compose file, as an operator runs it.

use std::fs;

use super::doctor_in;

const COMPOSE: &str = "\
services:
  web:
    build: .
    env_file: .env
    depends_on: [redis]
  redis:
    image: redis:7-alpine
    command: redis-server --requirepass ${REDIS_PASSWORD}
    ports:
      - \"6380:6379\"
";

#[test]
fn what_containers_cannot_follow_is_told_and_written_until_they_can() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("our folder takes a file");
    };
    let examined = |arguments: &[&str]| doctor_in(folder.path(), &[&["env"], arguments].concat());
    write("compose.yaml", COMPOSE);
    write(".env", "REDIS_PASSWORD=sesame/1\nREDIS_URL=redis://localhost:6380/0\n");
    let found = examined(&[]);
    assert!(found.wrong().contains(&"compose-localhost"), "{:#?}", found.findings);
    let finding = found.find("compose-localhost");
    assert_eq!((finding["name"].as_str(), finding["line"].as_u64()), (Some("REDIS_URL"), Some(2)));
    assert_eq!(
        (finding["fix"].as_str(), found.code),
        (Some("REDIS_URL=redis://redis:6379/0"), Some(1))
    );
    let found = examined(&["--fix"]);
    let sound = "REDIS_PASSWORD=sesame/1\nREDIS_URL=redis://:sesame%2F1@redis:6379/0\n";
    let written = fs::read_to_string(folder.path().join(".env")).expect("it is there");
    assert_eq!((written.as_str(), found.wrong(), found.code), (sound, vec![], Some(0)));

    write(".env", "REDIS_PASSWORD=sesame\nREDIS_HOST=redis\nREDIS_PORT=6380\n");
    let found = examined(&["--fix"]);
    let written = fs::read_to_string(folder.path().join(".env")).expect("it is there");
    let sound = "REDIS_PASSWORD=sesame\nREDIS_HOST=redis\nREDIS_PORT=6379\n";
    assert_eq!((written.as_str(), found.wrong(), found.code), (sound, vec![], Some(0)));
}
