//! The rules of the contract, setting by setting and source by source.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

const SECRET: &str = "a secret of the tests: 40 characters long";
const PRODUCTION: &[(&str, &str)] = &[
    ("ENVIRONMENT", "production"),
    ("PUBLIC_URL", "https://login.example.com"),
    ("SESSION_SECRET_KEY", SECRET),
];

fn load(values: &[(&str, &str)]) -> Loaded {
    Config::from_values(values.iter().copied()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn production_with(values: &[(&str, &str)]) -> Loaded {
    load(&[PRODUCTION, values].concat())
}

fn fatal(values: &[(&str, &str)]) -> ConfigErrors {
    Config::from_values(values.iter().copied()).expect_err("this cannot start")
}

fn names_at(report: &Report, level: ProblemLevel) -> Vec<&str> {
    let problems = report.problems.iter().filter(|problem| problem.level == level);
    problems.filter_map(|problem| problem.name.as_deref()).collect()
}

fn fix_of<'a>(report: &'a Report, name: &str) -> Option<&'a str> {
    let problem = report.problems.iter().find(|p| p.name.as_deref() == Some(name))?;
    problem.fix.as_deref()
}

fn in_force(report: &Report, name: &str) -> String {
    let found = report.in_force.iter().find(|f| f.setting.name == name).expect(name);
    format!("{} ({})", found.value, found.origin)
}

/// Loads from files of a directory of its own, with an environment that sets `THROTTLE_REGISTER`.
fn load_files(files: &[(&str, &str)], args: &LoadArgs) -> (PathBuf, Result<Loaded, ConfigErrors>) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let environment = [("THROTTLE_REGISTER".into(), "6/m".into()), ("HOME".into(), "/x".into())];
    let gathered = Gathered::read(args, directory.path(), environment.into_iter());
    (directory.path().to_owned(), Config::from_gathered(gathered))
}

#[test]
fn nothing_set_is_a_working_development_server() {
    let Loaded { config, report } = load(&[]);
    assert_eq!(report.problems, []);
    assert_eq!(config.environment, Environment::Development);
    assert_eq!(config.web.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.web.metrics_listen, None);
    let origin = config.web.public_origin(config.web.listen).to_string();
    assert_eq!(origin, "http://127.0.0.1:8080");
    assert_eq!(config.registration, Registration::Open);
    assert!(
        matches!(&config.database, Database::Sqlite { path } if path.ends_with("nightlatch.db"))
    );
    assert!(config.secrets.session.is_none() && config.secrets.csrf.is_none());
    assert_eq!(config.session.cookie_name(), "nightlatch");
    assert_eq!(config.session.idle_timeout, None);
    assert_eq!(config.throttle.login.to_string(), "5/m");
    assert_eq!(config.limits.drain.as_secs(), 10);
    assert_eq!(config.log, LogConfig { level: LogLevel::Info, format: LogFormat::Text });
}

#[test]
fn production_is_strict_by_default() {
    let Loaded { config, report } = production_with(&[]);
    assert_eq!(report.problems, []);
    assert_eq!(config.web.metrics_listen, Some("127.0.0.1:9464".parse().unwrap()));
    assert_eq!(config.registration, Registration::Closed);
    assert_eq!(config.session.cookie_name(), "__Host-nightlatch");
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn everything_that_login_cannot_do_without_is_named_at_once() {
    let errors = fatal(&[
        ("ENVIRONMENT", "production"),
        ("NIGHTLATCH_LISTEN", "localhost:80"),
        ("DATABASE_URL", "mysql://root:hunter2@h/db"),
        ("CSRF_SECRET_KEY", "changeme"),
        ("SESSION_COOKIE_AGE", "24h"),
        ("DATABASE_PASSWORD_FILE", "/nowhere/at/all"),
    ]);
    let mut names = names_at(&errors.report, ProblemLevel::Error);
    names.sort_unstable();
    let expected = [
        "CSRF_SECRET_KEY",
        "DATABASE_PASSWORD_FILE",
        "DATABASE_URL",
        "NIGHTLATCH_LISTEN",
        "PUBLIC_URL",
        "SESSION_SECRET_KEY",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        names_at(&errors.report, ProblemLevel::Warn),
        ["DATABASE_PASSWORD", "SESSION_COOKIE_AGE"]
    );
    let text = errors.to_string();
    assert!(text.contains("NIGHTLATCH_LISTEN=127.0.0.1:80"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("changeme"), "{text}");
}

#[test]
fn the_same_mistakes_outside_production_are_warnings() {
    let Loaded { config, report } = load(&[
        ("PUBLIC_URL", "login.example.com"),
        ("SESSION_SECRET_KEY", "changeme"),
        ("CSRF_SECRET_KEY", ","),
    ]);
    let names = names_at(&report, ProblemLevel::Warn);
    assert_eq!(names, ["PUBLIC_URL", "SESSION_SECRET_KEY", "CSRF_SECRET_KEY"]);
    assert_eq!(fix_of(&report, "PUBLIC_URL"), Some("PUBLIC_URL=https://login.example.com"));
    assert_eq!(config.web.public_url, None);
    assert!(config.secrets.session.is_some(), "weak, but wanted");
    assert!(config.secrets.csrf.is_none());
}

#[test]
fn what_is_wrong_is_left_out_with_the_corrected_line() {
    for (name, wrong, fix) in [
        ("SESSION_COOKIE_AGE", "24h", "86400"),
        ("SESSION_IDLE_TIMEOUT", "30 min", "1800"),
        ("NIGHTLATCH_DRAIN", "soon", "10"),
        ("NIGHTLATCH_REQUEST_DEADLINE", "0", "1"),
        ("NIGHTLATCH_METRICS_LISTEN", ":9464", "0.0.0.0:9464"),
        ("NIGHTLATCH_METRICS_LISTEN", "127.0.0.1:8080", "127.0.0.1:9464"),
        ("THROTTLE_LOGIN", "5 per minute", "5/m"),
        ("LOG_LEVEL", "inof", "info"),
        ("LOG_FORMAT", "jsn", "json"),
        ("API_DOCS", "maybe", "on"),
        ("LOGIN_REDIRECT_URL", "//evil.example", "/auth/profile"),
        ("LOGIN_REDIRECT_URL", "https://evil.example/", "/auth/profile"),
        ("SESSION_COOKIE_NAME", "my cookie", "mycookie"),
        ("PUBLIC_URL", "https://a.example/login", "https://a.example"),
        ("REDIRECT_HOSTS", "a.example,http://b.example", "a.example,b.example"),
        ("ALLOWED_ORIGINS", "https://a.example/x,*", "https://a.example"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy", "10.0.0.0/8"),
    ] {
        let Loaded { report, .. } = load(&[(name, wrong)]);
        assert!(names_at(&report, ProblemLevel::Warn).contains(&name), "{name}={wrong}");
        let fix = format!("{name}={fix}");
        assert_eq!(fix_of(&report, name), Some(fix.as_str()), "{name}={wrong}");
    }
}

#[test]
fn an_unknown_value_of_a_security_switch_means_the_strict_one() {
    let Loaded { config, report } = load(&[
        ("REGISTRATION", "closd"),
        ("DISABLE_THROTTLING", "ture"),
        ("SESSION_COOKIE_SECURE", "of"),
        ("SESSION_COOKIE_SAMESITE", "lux"),
    ]);
    assert_eq!(config.registration, Registration::Closed);
    assert!(!config.throttle.disabled);
    assert!(config.session.cookie_secure);
    assert_eq!(config.session.cookie_same_site, SameSite::Strict);
    assert_eq!(names_at(&report, ProblemLevel::Warn).len(), 4);
    assert_eq!(in_force(&report, "REGISTRATION"), "closed (given by the program)");
    let errors = fatal(&[("ENVIRONMENT", "develpoment")]);
    assert_eq!(in_force(&errors.report, "ENVIRONMENT"), "production (given by the program)");
    assert_eq!(fix_of(&errors.report, "ENVIRONMENT"), Some("ENVIRONMENT=development"));
    assert!(errors.to_string().contains("taken as production"), "{errors}");
}

#[test]
fn cookie_attributes_that_browsers_refuse_are_not_used() {
    let insecure = production_with(&[("SESSION_COOKIE_SECURE", "off")]);
    assert!(insecure.config.session.cookie_secure);
    assert_eq!(names_at(&insecure.report, ProblemLevel::Warn), ["SESSION_COOKIE_SECURE"]);
    let same_site = load(&[("SESSION_COOKIE_SAMESITE", "none")]);
    assert_eq!(same_site.config.session.cookie_same_site, SameSite::Lax);
    for (domain, expected) in [
        ("example.com", Some("__Secure-nightlatch")),
        (".Example.com", Some("__Secure-nightlatch")),
        ("other.example", None),
        ("com", None),
        ("n.example.com", None),
        ("10.0.0.1", None),
        ("example.com; Path=/x", None),
    ] {
        let loaded = production_with(&[("SESSION_COOKIE_DOMAIN", domain)]);
        let expected = expected.unwrap_or("__Host-nightlatch");
        assert_eq!(loaded.config.session.cookie_name(), expected, "{domain}");
    }
}

#[test]
fn lists_keep_what_is_good() {
    let Loaded { config, .. } = production_with(&[
        ("REDIRECT_HOSTS", "app.example.com, https://b.example:8443/ ,*.example"),
        ("ALLOWED_ORIGINS", "https://app.example.com,*,null"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,::1,localhost"),
        ("LOGIN_REDIRECT_URL", "https://app.example.com/home"),
    ]);
    let shown = |origins: &[WebOrigin]| origins.iter().map(ToString::to_string).collect::<Vec<_>>();
    let hosts = ["https://app.example.com", "https://b.example:8443"];
    assert_eq!(shown(&config.web.redirect_hosts), hosts);
    assert_eq!(shown(&config.web.allowed_origins), ["https://app.example.com"]);
    assert_eq!(config.web.trusted_proxies.len(), 2);
    assert_eq!(config.web.login_redirect_url, "https://app.example.com/home");
}

#[test]
fn databases_are_files_or_servers_and_nothing_is_guessed() {
    for (url, path) in [
        ("sqlite://x.db", "x.db"),
        ("sqlite:///srv/x.db", "/srv/x.db"),
        ("sqlite:x.db", "x.db"),
        ("SQLite://x.db", "x.db"),
    ] {
        let loaded = load(&[("DATABASE_URL", url)]);
        let Database::Sqlite { path: read } = loaded.config.database else { panic!("{url}") };
        assert_eq!(read, PathBuf::from(path));
    }
    for url in [
        "x.db",
        "sqlite://",
        "sqlite://:memory:",
        "sqlite://a/",
        "mysql://h/d",
        "sqlite://x?mode=ro",
    ] {
        let errors = fatal(&[("DATABASE_URL", url)]);
        assert_eq!(names_at(&errors.report, ProblemLevel::Error), ["DATABASE_URL"], "{url}");
    }
    let url = ("DATABASE_URL", "postgres://u@h/d?pgbouncer=true");
    let loaded = load(&[url, ("DATABASE_PASSWORD", "hunter2"), ("DATABASE_SCHEMA", "login")]);
    assert!(!format!("{loaded:?}").contains("hunter2"));
    let Database::Postgres(postgres) = loaded.config.database else { panic!("no server") };
    assert_eq!(postgres.url.expose(), "postgres://u@h/d?pgbouncer=true");
    assert_eq!(postgres.password.unwrap().expose(), "hunter2");
    assert_eq!((postgres.schema.as_str(), postgres.pgbouncer), ("login", true));
    for schema in ["Login", "pg_login", "a-b", "1a", "a\"b"] {
        let errors = fatal(&[url, ("DATABASE_SCHEMA", schema)]);
        assert_eq!(names_at(&errors.report, ProblemLevel::Error), ["DATABASE_SCHEMA"]);
    }
    let missing = ("DATABASE_URL", "postgres://h/d?sslrootcert=/nowhere/ca.pem");
    assert_eq!(names_at(&fatal(&[missing]).report, ProblemLevel::Error), ["DATABASE_URL"]);
}

#[test]
fn what_is_pasted_wrongly_is_taken_as_meant_and_reported() {
    for pasted in [
        "\"sqlite://x.db\"",
        "'sqlite://x.db'",
        "DATABASE_URL=sqlite://x.db",
        "DATABASE_URL = \"sqlite://x.db\"",
    ] {
        let Loaded { config, report } = load(&[("DATABASE_URL", pasted)]);
        assert!(matches!(&config.database, Database::Sqlite { path } if path.ends_with("x.db")));
        assert_eq!(names_at(&report, ProblemLevel::Warn), ["DATABASE_URL"], "{pasted}");
    }
    let quoted = load(&[("SESSION_COOKIE_AGE", "\"3600\"")]);
    assert_eq!(fix_of(&quoted.report, "SESSION_COOKIE_AGE"), Some("SESSION_COOKIE_AGE=3600"));
    assert_eq!(quoted.config.session.age.as_secs(), 3600);
    assert_eq!(load(&[("SESSION_COOKIE_AGE", " 3600 ")]).report.problems, []);
    assert_eq!(load(&[("SESSION_COOKIE_AGE", "  ")]).config.session.age.as_secs(), 86_400);
}

#[test]
fn names_that_are_nearly_ours_are_reported_and_strangers_are_not() {
    let Loaded { report, .. } = load(&[
        ("DATABSE_URL", "sqlite://x.db"),
        ("NIGHTLATCH_LISTEM", "x"),
        ("PUBLIC_URI", "x"),
        ("SESSION_SECRETKEY_FILE", "x"),
        ("database_url", "sqlite://x.db"),
        ("NIGHTLATCH_PORT", "tcp://10.0.0.1:80"),
        ("PATH", "/bin"),
        ("HOME", "/root"),
        ("REDIS_IP", "x"),
    ]);
    let names = names_at(&report, ProblemLevel::Warn);
    let expected = [
        "DATABSE_URL",
        "NIGHTLATCH_LISTEM",
        "PUBLIC_URI",
        "SESSION_SECRETKEY_FILE",
        "database_url",
    ];
    assert_eq!(names, expected);
    assert_eq!(fix_of(&report, "DATABSE_URL"), Some("DATABASE_URL=..."));
}

#[test]
fn settings_of_later_releases_are_accepted_and_said_to_do_nothing() {
    let Loaded { report, .. } =
        load(&[("REDIS_CACHE_URL", "redis://:hunter2@h"), ("CELERY_BROKER_URL", "redis://h/1")]);
    assert_eq!(names_at(&report, ProblemLevel::Info), ["REDIS_CACHE_URL", "CELERY_BROKER_URL"]);
    assert_eq!(in_force(&report, "REDIS_CACHE_URL"), "set (given by the program)");
    assert_eq!(in_force(&report, "REDIS_CHANNELS_URL"), "not set (none) (default)");
    assert_eq!(report.in_force.len(), setting::all().count());
}

#[test]
fn later_sources_win_and_every_value_knows_its_line() {
    let args = LoadArgs { listen: Some("127.0.0.1:1".to_owned()), ..LoadArgs::default() };
    let toml =
        "nightlatch_listen = \"127.0.0.1:3\"\n[throttle]\nlogin = \"7/m\"\naddress = \"8/m\"\n";
    let env = "NIGHTLATCH_LISTEN=127.0.0.1:2\n# c\nTHROTTLE_LOGIN='9/m'\nTHROTTLE_REGISTER=5/m\n";
    let files = [("nightlatch.toml", toml), (".env", env)];
    let (directory, loaded) = load_files(&files, &args);
    let Loaded { config, report } = loaded.unwrap();
    assert_eq!(config.web.listen.port(), 1);
    assert_eq!(in_force(&report, "NIGHTLATCH_LISTEN"), "127.0.0.1:1 (--listen)");
    assert_eq!(in_force(&report, "THROTTLE_REGISTER"), "6/m (environment)");
    let place = |file: &str, line| format!("({}:{line})", directory.join(file).display());
    assert_eq!(in_force(&report, "THROTTLE_LOGIN"), format!("9/m {}", place(".env", 3)));
    assert_eq!(
        in_force(&report, "THROTTLE_ADDRESS"),
        format!("8/m {}", place("nightlatch.toml", 4))
    );
}

#[test]
fn mistakes_in_files_are_told_with_the_line_in_the_syntax_of_the_file() {
    let toml = "throttle_login = \"many\"\ncolour = \"red\"\nlog_level = debug\n";
    let env = "SESSION_COOKIE_AGE=24h\nnonsense\nTHROTTLE_ACCOUNT=1/m\nTHROTTLE_ACCOUNT=2/m\n";
    let files = [("nightlatch.toml", toml), (".env", env)];
    let (_, loaded) = load_files(&files, &LoadArgs::default());
    let Loaded { config, report } = loaded.unwrap();
    assert_eq!(fix_of(&report, "THROTTLE_LOGIN"), Some("THROTTLE_LOGIN = \"5/m\""));
    assert_eq!(fix_of(&report, "SESSION_COOKIE_AGE"), Some("SESSION_COOKIE_AGE=86400"));
    assert_eq!(config.throttle.account.to_string(), "2/m");
    let mut lines: Vec<_> = report.problems.iter().map(|p| p.origin.place().1.unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines, [1, 1, 2, 2, 3, 4]);
}

#[test]
fn values_come_from_files_and_a_missing_one_is_fatal() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    fs::write(&file, format!("{SECRET}\r\n")).unwrap();
    let path = file.to_str().unwrap();
    let loaded = load(&[("SESSION_SECRET_KEY_FILE", path)]);
    assert!(loaded.config.secrets.session.is_some());
    let shown = in_force(&loaded.report, "SESSION_SECRET_KEY");
    assert_eq!(shown, format!("set ({path}, named by given by the program)"));
    let both = load(&[("THROTTLE_LOGIN", "3/m"), ("THROTTLE_LOGIN_FILE", path)]);
    assert_eq!(both.config.throttle.login.to_string(), "3/m");
    assert_eq!(names_at(&both.report, ProblemLevel::Warn), ["THROTTLE_LOGIN"]);
    let errors = fatal(&[("ENVIRONMENT", "production"), ("SESSION_SECRET_KEY_FILE", "/nowhere")]);
    let expected = ["SESSION_SECRET_KEY_FILE", "PUBLIC_URL"];
    assert_eq!(names_at(&errors.report, ProblemLevel::Error), expected);
    fs::write(&file, vec![b'x'; 64 * 1024 + 1]).unwrap();
    fatal(&[("SESSION_SECRET_KEY_FILE", path)]);
    let args = LoadArgs { env_file: Some(PathBuf::from("nowhere.env")), ..LoadArgs::default() };
    assert!(load_files(&[], &args).1.is_err());
}

#[test]
fn the_start_block_says_what_was_read_and_warns_of_other_env_files() {
    let env = format!("SESSION_SECRET_KEY='{SECRET}'\nREDIS_URL=redis://:hunter2@h\n");
    let files = [(".env", env.as_str()), (".env.production", ""), (".env.example", "")];
    let (directory, loaded) = load_files(&files, &LoadArgs::default());
    let Loaded { config, report } = loaded.unwrap();
    let block = report.start_block(&config, "0.0.0.0:8080".parse().unwrap()).join("\n");
    let at = directory.join(".env").display().to_string();
    assert_eq!(
        block,
        format!(
            "Nightlatch (development) listens on 0.0.0.0:8080; open http://127.0.0.1:8080\n\
             files read: {at}\n\
             database: DATABASE_URL sqlite://nightlatch.db (default)\n\
             Redis: REDIS_URL redis://:***@h:6379 ({at}:2), REDIS_HOST not set (none)\n\
             secrets: SESSION_SECRET_KEY set ({at}:1), \
             CSRF_SECRET_KEY not set (derived from SESSION_SECRET_KEY)"
        )
    );
    let warning = report.env_file_warning().unwrap();
    assert!(warning.contains(".env.production") && !warning.contains("example"), "{warning}");
}

#[test]
fn the_committed_reference_is_the_one_the_table_prints() {
    let committed = include_str!("../../../../docs/config.md");
    assert!(committed == reference(), "run `nightlatch config --reference > docs/config.md`");
}

proptest! {
    #[test]
    fn no_value_of_any_setting_panics(index in 0..setting::all().count(), value in "\\PC{0,40}") {
        let name = setting::all().nth(index).unwrap().name;
        let _ = Config::from_values([(name, value.as_str())]);
    }
}
