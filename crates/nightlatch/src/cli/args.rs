//! What the command line takes.
//!
//! No secret is ever an argument: other users of the machine could read it in the list of
//! processes. Passwords come from a prompt or stdin, everything else from the configuration.

mod audit;
mod drill;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use nightlatch_core::{DisplayName, Email, Username};

pub use self::audit::{AuditArgs, Moment, MomentError};
pub use self::drill::{DrillArgs, PlaceAt, PrivateArgs, ProxyArg, RedisAt, StagingArgs};
use crate::config::LoadArgs;

/// Registration, login and sessions in one binary.
#[derive(Debug, Parser)]
#[command(
    name = "nightlatch",
    version,
    about = "Registration, login and sessions in one binary",
    long_about = "Registration, login and sessions in one binary.\n\n\
        Without a command it serves: on http://127.0.0.1:8080, with an SQLite file in the working \
        directory. `nightlatch config` shows every setting, its value and where it came from.",
    after_help = "Exit codes: 0 fine, 1 an error or a failure, 2 wrong usage.",
    max_term_width = 100
)]
pub struct Cli {
    /// Where settings come from.
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// Where to listen.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// What to do; serve if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// What to do.
    #[must_use]
    pub fn into_command(self) -> (LoadArgs, Command) {
        let SettingsArgs { env_file } = self.settings;
        let mut listen = self.listen;
        let command = self.command.unwrap_or_else(|| Command::Serve(ListenArgs::default()));
        if let Command::Serve(of_serve) = &command {
            listen = ListenArgs { listen: of_serve.listen.clone().or(listen.listen) };
        }
        (LoadArgs { env_file, listen: listen.listen, database_url: None }, command)
    }
}

/// Flags that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub struct SettingsArgs {
    /// Read settings from this file [default: .env, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
}

/// What only serving takes; also without its name, as it is the default.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct ListenArgs {
    /// Listen on this address instead of `NIGHTLATCH_LISTEN`, such as 0.0.0.0:8080
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve logins until told to stop (the default)
    Serve(ListenArgs),
    /// Print every setting in force and where it came from
    Config(ConfigArgs),
    /// Bring the database's schema up to this release
    ///
    /// Serving does the same at its start. Only adds: the release before this one still runs.
    Migrate(MigrateArgs),
    /// Say whether the server can serve; for health checks of containers
    ///
    /// Asks the one at `NIGHTLATCH_LISTEN` for `/health/ready`. Nothing beneath it is asked.
    Health,
    /// Manage users
    ///
    /// Works beside a running server, which obeys within two seconds.
    #[command(subcommand)]
    User(UserCommand),
    /// List and end sessions
    #[command(subcommand)]
    Session(SessionCommand),
    /// List and rotate the keys that access tokens are signed with
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Print the audit log: who did what to whose account
    ///
    /// Entries are kept for `NIGHTLATCH_AUDIT_RETENTION`; docs/audit.md tells what each means.
    Audit(AuditArgs),
    /// Copy the SQLite database into a file while the server runs
    ///
    /// To restore it, stop the server, remove the database's `-wal` and `-shm` files, and put the
    /// copy in the database's place; then run `nightlatch session revoke --all`, since who logged out
    /// after the backup is logged in again. The generated secret in the `.keys` file is not part of it.
    /// For PostgreSQL use `pg_dump`.
    Backup {
        /// The file to write; it must not be there yet
        file: PathBuf,
    },
    /// Say what is wrong, and the line that puts it right
    ///
    /// Changes nothing without --fix. Nothing that is printed holds a secret.
    Doctor(DoctorArgs),
    /// The same as `doctor redis`
    #[command(hide = true, name = "test-redis", alias = "test_redis")]
    TestRedis(DoctorFlags),
    /// Show that logins survive: faults under load, and a report
    ///
    /// Starts two servers of its own on a record of their own, with Redis where `redis-server` is
    /// installed, sends them load, brings about one fault after the other, and judges what people
    /// were told. All of it is gone afterwards. With --url a staging system instead, whose Redis and
    /// database are reached through the drill's proxies. docs/drill.md tells more.
    ///
    /// Exit codes: 0 every promise was kept, 1 one broke, 2 it could not be held.
    Drill(Box<DrillArgs>),
    /// Print the OpenAPI description of the HTTP interface
    Openapi,
    /// Run single parts of the server on given input
    #[command(subcommand)]
    Debug(DebugCommand),
}

/// Arguments of `nightlatch migrate`.
#[derive(Clone, Debug, Args)]
pub struct MigrateArgs {
    /// Move all of an SQLite database into this empty PostgreSQL; everybody stays logged in
    ///
    /// The servers have to be stopped. The password is `DATABASE_PASSWORD`, never part of this URL.
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
}

/// Arguments of `nightlatch config`.
#[derive(Clone, Copy, Debug, Args)]
pub struct ConfigArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Print the reference of all settings as Markdown (docs/config.md)
    #[arg(long, hide = true, conflicts_with = "json")]
    pub reference: bool,
}

/// Arguments of `nightlatch doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// What to examine
    #[arg(value_enum, default_value = "all")]
    pub topic: DoctorTopic,
    /// Which server it is about
    #[command(flatten)]
    pub server: DoctorServer,
    /// How to examine it, and what to print
    #[command(flatten)]
    pub flags: DoctorFlags,
}

/// Which server `nightlatch doctor` is about.
#[derive(Clone, Debug, Default, Args)]
pub struct DoctorServer {
    /// The running server [default for `session`: where `NIGHTLATCH_LISTEN` says, over http]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Whose sessions `session` tries: asks for the password, or reads one line of stdin
    ///
    /// Without it two users are made in the database of the configuration, and removed again.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
}

/// Flags of `nightlatch doctor`, whatever it examines.
#[derive(Clone, Copy, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct DoctorFlags {
    /// What this process was given counts, too, and wins over the file
    #[arg(long)]
    pub with_env: bool,
    /// Write the corrected lines into the file, after a copy
    ///
    /// Only what keeps TLS, certificates and passwords as they are. The copy lies beside it as
    /// `.env.bak-1`, readable by its owner alone.
    #[arg(long, alias = "fix-auth")]
    pub fix: bool,
    /// Exit with 1 for warnings, too
    #[arg(long)]
    pub strict: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `nightlatch doctor` examines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DoctorTopic {
    /// All that is configured; with --url also what the server says of its health
    All,
    /// A .env file, of Nightlatch or of any application that uses Redis; nobody is asked
    Env,
    /// Each Redis that is configured: whether it can be used, how well, and if not, why
    Redis,
    /// The database that is configured: whether it can be used, how well, and if not, why
    Database,
    /// The service that logins are delegated to, asked about a user who cannot exist
    AuthService,
    /// Sessions of a running server: made, read, listed, refreshed, revoked and refused
    Session,
    /// Whether sockets of a running server hear of the end of their sessions, also through a proxy
    Websocket,
}

/// `nightlatch user ..`
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Create a user
    ///
    /// Asks for the password at a terminal; otherwise it is the first line of stdin: `nightlatch
    /// user add alice < password.txt`. It is never an argument, which other users of the machine
    /// could read.
    Add {
        /// The name to log in with
        #[arg(value_parser = Username::try_existing)]
        name: Username,
        /// The e-mail address
        #[arg(long, value_name = "ADDRESS", value_parser = Email::try_new)]
        email: Option<Email>,
        /// The name to show
        #[arg(long, value_name = "TEXT", value_parser = DisplayName::try_new)]
        display_name: Option<DisplayName>,
        /// Create the user without a password: nobody can log in until one is set
        #[arg(long)]
        no_password: bool,
    },
    /// List all users
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one user
    Show {
        /// The name or e-mail address
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a disabled user log in again
    Enable {
        /// The name or e-mail address
        name: String,
    },
    /// End all sessions of a user and refuse new logins
    Disable {
        /// The name or e-mail address
        name: String,
    },
    /// Delete a user and end all of their sessions
    ///
    /// Asks first at a terminal; elsewhere it wants --yes.
    Delete {
        /// The name or e-mail address
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Set the password of a user and end all of their sessions
    ///
    /// Asks for the password at a terminal; otherwise it is the first line of stdin: `nightlatch
    /// user set-password alice < password.txt`.
    SetPassword {
        /// The name or e-mail address
        name: String,
    },
    /// Mark the e-mail address of a user as verified
    VerifyEmail {
        /// The name or e-mail address
        name: String,
    },
    /// Replace the groups of a user; without a group there are none
    SetGroups {
        /// The name or e-mail address
        name: String,
        /// The groups from now on
        #[arg(value_name = "GROUP")]
        groups: Vec<String>,
    },
    /// Take over users with their password hashes
    ///
    /// Reads CSV with a header, JSON lines, or what Django's `manage.py dumpdata auth` writes. CSV
    /// and JSON have `username`, and may have `email`, `email_verified`, `name` (or `first_name`
    /// and `last_name`), `password` (its hash), `groups`, `is_active` and `created_at`.
    ///
    /// Who is there already is left alone, so it can be run again. Who cannot be taken is named
    /// with the line and the reason, and the exit code is 1.
    Import {
        /// The file, or - for stdin
        file: PathBuf,
        /// What the file is; told by its content otherwise
        #[arg(long, value_enum)]
        format: Option<ImportFormat>,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
}

/// What an import reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    /// Comma-separated values with a header line
    Csv,
    /// One JSON object a line
    Jsonl,
    /// Django's dumpdata of auth.user, with groups
    Django,
}

/// `nightlatch session ..`
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List live sessions
    ///
    /// The newest come first. Last seen is up to some seconds old. Of one user at most 200 are
    /// listed.
    List {
        /// Only those of this user (name or e-mail address)
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End one session, all sessions of a user, or all sessions
    ///
    /// Running servers refuse them within two seconds.
    Revoke(RevokeArgs),
}

/// Which sessions to end: exactly one of the three.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct RevokeArgs {
    /// The session's id, from `nightlatch session list`
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// All sessions of this user (name or e-mail address)
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// All sessions of everybody
    #[arg(long)]
    pub all: bool,
}

/// `nightlatch debug ..`
#[derive(Debug, Subcommand)]
pub enum DebugCommand {
    /// Verify passwords against stored hashes
    ///
    /// Reads JSON lines `{"id", "hash", "password"}` from stdin and answers each with `{"id", "ok",
    /// "needs_upgrade"}`, by the code that logins go through. Needs no database.
    VerifyHash,
    /// Verify signatures of tokens
    ///
    /// Reads JSON lines `{"id", "jwk", "jws"}` from stdin and answers each with `{"id", "valid"}`, by
    /// the code that access tokens go through: `EdDSA`, ES256 and RS256, the algorithm of the key, and
    /// no header member but `alg`, `kid` and `typ`. Needs no database.
    VerifyJws,
}

/// `nightlatch keys ..`
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum KeysCommand {
    /// List the keys that access tokens are signed with
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the next key
    ///
    /// It is published at once and signs six minutes later, when every server and whoever caches the
    /// public keys knows it. The key before it verifies until its tokens have ended.
    Rotate,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<(LoadArgs, Command), ErrorKind> {
        let words = std::iter::once("nightlatch").chain(line.split_whitespace());
        Cli::try_parse_from(words).map(Cli::into_command).map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_said_means_serve_and_flags_go_anywhere() {
        assert!(matches!(parse(""), Ok((_, Command::Serve(_)))));
        for line in ["--env-file x.env config --json", "config --env-file x.env --json"] {
            let Ok((load, Command::Config(config))) = parse(line) else { panic!("{line}") };
            assert_eq!(load.env_file, Some(PathBuf::from("x.env")));
            assert!(config.json);
        }
        for line in ["serve --listen 127.0.0.1:0", "--listen 127.0.0.1:0"] {
            let (load, _) = parse(line).unwrap();
            assert_eq!(load.listen.as_deref(), Some("127.0.0.1:0"), "{line}");
        }
    }

    #[test]
    fn every_command_of_the_contract_is_understood() {
        for line in [
            "serve",
            "config",
            "migrate",
            "migrate --to postgres://db/nightlatch",
            "health",
            "user add alice --email a@example.com",
            "user list --json",
            "user show alice",
            "user enable alice",
            "user disable alice",
            "user delete alice --yes",
            "user set-password alice",
            "user verify-email alice",
            "user set-groups alice",
            "user set-groups alice staff admins",
            "user import users.csv --format csv",
            "user import dump.json --format django",
            "user import users.jsonl --format jsonl",
            "session list --user alice",
            "session revoke --user alice",
            "session revoke --all",
            "session revoke 018f",
            "backup copy.db",
            "drill",
            "drill --list",
            "drill --fault redis-silent --fault server-killed --seconds 5 --report drill.html",
            "drill --redis-url redis://cache:6379/3 --database-url postgres://u@db/throwaway",
            "drill --url https://staging.example --user alice --redis-proxy 0.0.0.0:7000=cache:6379",
            "openapi",
            "debug verify-hash",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn wrong_usage_exits_with_two() {
        for line in [
            "sevre",
            "user",
            "user add",
            "user add alice --password x",
            "user add alice@example.com",
            "user add alice --email nobody",
            "session revoke",
            "session revoke --all --user alice",
            "session revoke 018f --all",
            "backup",
            "config --json --reference",
            "--listen",
            "user list --listen 127.0.0.1:0",
            "drill --fault nothing",
            "drill --seconds 0",
            "drill --user alice",
            "drill --url https://staging.example --redis-url redis://cache",
            "drill --url https://staging.example --user alice --redis-proxy cache:6379",
            "drill --redis-url redis://:secret@cache",
            "drill --redis-url rediss://cache",
        ] {
            let words = std::iter::once("nightlatch").chain(line.split_whitespace());
            let error = Cli::try_parse_from(words).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn help_of_every_command_says_what_it_does() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} has no help", argument.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
