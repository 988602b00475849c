//! The entries of the table of settings, section by section.
//!
//! One table for the parser, the reference and `nightlatch config`: a second list would drift.

mod delegated;
mod traces;

use super::Fallback::{InProduction, Preset, Unset};
use super::Form::{Seconds, Secret, SecretUrl, Switch, Text, Words};
use super::{Section, Setting, WhenWrong};

/// Ten years: longer than any browser keeps a cookie.
const SPAN_SECONDS_MAX: u32 = 315_360_000;

/// The table.
pub static SECTIONS: &[Section] = &[
    Section { title: "Server", settings: SERVER },
    Section { title: "Database", settings: DATABASE },
    Section { title: "Secrets", settings: SECRETS },
    Section { title: "Sessions", settings: SESSIONS },
    Section { title: "Throttling", settings: THROTTLING },
    Section { title: "Deadlines", settings: DEADLINES },
    Section { title: "Log and API reference", settings: LOG },
    Section { title: "Traces", settings: traces::TRACES },
    Section { title: "Redis", settings: REDIS },
    Section { title: "Access tokens", settings: TOKENS },
    Section { title: "Delegated login", settings: delegated::DELEGATED },
];

const SERVER: &[Setting] = &[
    Setting::new(
        "ENVIRONMENT",
        Words(&["development", "staging", "production"]),
        Preset("development"),
        "Where this runs. Decides on error detail, cookie security and what is required.",
    )
    .wrong(WhenWrong::Strict("production")),
    Setting::new(
        "NIGHTLATCH_LISTEN",
        Text("address:port"),
        Preset("127.0.0.1:8080"),
        "Where the server listens. Port 0 lets the system choose. Flag: `--listen`.",
    )
    .wrong(WhenWrong::Fatal),
    Setting::new(
        "NIGHTLATCH_METRICS_LISTEN",
        Text("address:port, or none"),
        InProduction("127.0.0.1:9464", None),
        "Where `/metrics`, `/status` and `/operator` live; they are 404 on the first address then.",
    ),
    Setting::new(
        "PUBLIC_URL",
        Text("origin, such as https://login.example.com"),
        Unset("required in production; else the address listened on"),
        "The origin people open: for redirects, Origin checks and token issuers.",
    )
    .wrong(WhenWrong::FatalInProduction),
    Setting::new(
        "REDIRECT_HOSTS",
        Text("hosts, separated by commas"),
        Unset("none"),
        "Exact https hosts that `next=` may lead to.",
    ),
    Setting::new(
        "ALLOWED_ORIGINS",
        Text("origins, separated by commas"),
        Unset("none"),
        "Exact origins that may call with credentials (CORS); never `*`.",
    ),
    Setting::new(
        "LOGIN_REDIRECT_URL",
        Text("path, or https address on one of REDIRECT_HOSTS"),
        Preset("/auth/profile"),
        "Where a login leads without `next=`.",
    ),
    Setting::new(
        "REGISTRATION",
        Words(&["open", "closed"]),
        InProduction("closed", Some("open")),
        "Whether strangers may register.",
    )
    .wrong(WhenWrong::Strict("closed")),
    Setting::new(
        "TRUSTED_PROXIES",
        Text("networks (CIDR) or addresses, separated by commas"),
        Unset("none"),
        "Proxies whose forwarding headers are believed.",
    ),
];

const DATABASE: &[Setting] = &[
    Setting::new(
        "DATABASE_URL",
        SecretUrl("sqlite://FILE or postgres://user@host[:port][,host..]/name"),
        Preset("sqlite://nightlatch.db"),
        "The record; created and migrated at start. `sqlite:///srv/x.db` is absolute. PostgreSQL \
         takes `sslmode` (up to verify-full), `sslrootcert`, and `pgbouncer=true` for a PgBouncer \
         in transaction mode.",
    )
    .wrong(WhenWrong::Fatal),
    Setting::new(
        "DATABASE_PASSWORD",
        Secret("text"),
        Unset("none"),
        "The password for PostgreSQL, where DATABASE_URL holds none.",
    ),
    Setting::new(
        "DATABASE_SCHEMA",
        Text("lower-case identifier"),
        Preset("nightlatch"),
        "The schema on PostgreSQL, so that a database can be shared.",
    )
    .wrong(WhenWrong::Fatal),
];

const SECRETS: &[Setting] = &[
    Setting::new(
        "SESSION_SECRET_KEY",
        Secret("one or more secrets of at least 32 characters, separated by commas"),
        Unset("required in production; else generated, and kept beside the SQLite file or in PostgreSQL"),
        "Signs session tokens. To rotate, put the new secret second on every node, then first, \
         then drop the old one.",
    )
    .wrong(WhenWrong::FatalInProduction),
    Setting::new(
        "CSRF_SECRET_KEY",
        Secret("as SESSION_SECRET_KEY"),
        Unset("derived from SESSION_SECRET_KEY"),
        "Signs CSRF tokens.",
    )
    .wrong(WhenWrong::FatalInProduction),
];

const SESSIONS: &[Setting] = &[
    Setting::new(
        "SESSION_COOKIE_AGE",
        Seconds(1, SPAN_SECONDS_MAX),
        Preset("86400"),
        "Absolute timeout of a session.",
    ),
    Setting::new(
        "SESSION_REMEMBER_AGE",
        Seconds(1, SPAN_SECONDS_MAX),
        Preset("2592000"),
        "Absolute timeout where the person asked to be remembered.",
    ),
    Setting::new(
        "SESSION_IDLE_TIMEOUT",
        Seconds(0, SPAN_SECONDS_MAX),
        Preset("0"),
        "How long an unused session lives, to within 15 s; 0: as long as a used one.",
    ),
    Setting::new(
        "SESSION_COOKIE_NAME",
        Text("letters, digits, `_`, `-` and `.`"),
        Preset("nightlatch"),
        "The cookie's name, without the prefix `__Host-` (`__Secure-` with \
         SESSION_COOKIE_DOMAIN) that it gets while Secure is on.",
    ),
    Setting::new(
        "SESSION_COOKIE_SECURE",
        Switch,
        Unset("on; in development only if PUBLIC_URL is https"),
        "Whether the cookie travels over TLS only. Cannot be switched off in production.",
    )
    .wrong(WhenWrong::Strict("on")),
    Setting::new(
        "SESSION_COOKIE_SAMESITE",
        Words(&["lax", "strict", "none"]),
        Preset("lax"),
        "When browsers send the cookie with requests from other sites.",
    )
    .wrong(WhenWrong::Strict("strict")),
    Setting::new(
        "SESSION_COOKIE_DOMAIN",
        Text("domain"),
        Unset("this host alone"),
        "The domain whose hosts all get the cookie.",
    ),
];

const THROTTLING: &[Setting] = &[
    Setting::new(
        "THROTTLE_LOGIN",
        Text("N/s, N/m or N/h"),
        Preset("5/m"),
        "Failed logins per account and address prefix.",
    ),
    Setting::new(
        "THROTTLE_ADDRESS",
        Text("N/s, N/m or N/h"),
        Preset("20/m"),
        "Failed logins per address prefix (IPv4 /32, IPv6 /64).",
    ),
    Setting::new(
        "THROTTLE_ACCOUNT",
        Text("N/s, N/m or N/h"),
        Preset("30/h"),
        "Failed logins per account from unknown devices.",
    ),
    Setting::new(
        "THROTTLE_REGISTER",
        Text("N/s, N/m or N/h"),
        Preset("10/h"),
        "Registrations per address prefix.",
    ),
    Setting::new(
        "DISABLE_THROTTLING",
        Switch,
        Preset("off"),
        "Turns all of them off. Start and health say so.",
    )
    .wrong(WhenWrong::Strict("off")),
];

const DEADLINES: &[Setting] = &[
    Setting::new(
        "NIGHTLATCH_MAX_STALENESS",
        Seconds(0, 86_400),
        Preset("300"),
        "How long sessions are served from copies while the database is away.",
    ),
    Setting::new(
        "NIGHTLATCH_REQUEST_DEADLINE",
        Seconds(1, 60),
        Preset("2"),
        "For a whole request.",
    ),
    Setting::new(
        "NIGHTLATCH_LOGIN_DEADLINE",
        Seconds(1, 60),
        Preset("5"),
        "For a whole request that hashes a password.",
    ),
    Setting::new("NIGHTLATCH_DRAIN", Seconds(0, 3600), Preset("10"), "The most a stop takes."),
];

const LOG: &[Setting] = &[
    Setting::new(
        "LOG_LEVEL",
        Words(&["error", "warn", "info", "debug", "trace"]),
        Preset("info"),
        "The least important lines that are written. Libraries beneath never say more than warn.",
    ),
    Setting::new(
        "LOG_FORMAT",
        Words(&["text", "json"]),
        InProduction("json", Some("text")),
        "How a line looks. Both go to stderr.",
    ),
    Setting::new(
        "NIGHTLATCH_AUDIT_RETENTION",
        Seconds(86_400, SPAN_SECONDS_MAX),
        Preset("7776000"),
        "How long entries of the audit log are kept, which `nightlatch audit` prints.",
    ),
    Setting::new(
        "API_DOCS",
        Switch,
        Preset("on"),
        "Whether `/api/docs` and `/api/openapi.json` are served.",
    ),
];

const REDIS: &[Setting] = &[
    Setting::new(
        "REDIS_URL",
        SecretUrl("URL"),
        Unset("none"),
        "The accelerator: `redis://`, `rediss://` (TLS), `unix://`, \
         `redis+sentinel://host:port,../name/0`, or `redis+cluster://host:port,..` \
         (`rediss+cluster://`). Optional: only speed depends on it. Parameters: \
         `ssl_cert_reqs` (`required`, `none`), `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `db`, \
         `sentinel_password`.",
    ),
    Setting::new("REDIS_HOST", Text("host"), Unset("none"), "Instead of REDIS_URL, which wins."),
    Setting::new("REDIS_PORT", Text("port"), Unset("none"), "With REDIS_HOST; else 6379."),
    Setting::new("REDIS_USERNAME", Text("text"), Unset("none"), "With REDIS_HOST."),
    Setting::new("REDIS_PASSWORD", Secret("text"), Unset("none"), "With REDIS_HOST."),
    Setting::new(
        "REDIS_ACCESS_KEY",
        Secret("text"),
        Unset("none"),
        "Another name for REDIS_PASSWORD.",
    ),
    Setting::new("REDIS_DB", Text("number"), Unset("none"), "With REDIS_HOST; else 0."),
    Setting::new("REDIS_TLS", Switch, Unset("none"), "With REDIS_HOST; else off.")
        .wrong(WhenWrong::Strict("on")),
    Setting::new(
        "REDIS_DEADLINE_MS",
        Text("milliseconds from 10 to 200"),
        Preset("20"),
        "What a request spends on Redis at most.",
    ),
    Setting::new(
        "REDIS_KEY_PREFIX",
        Text("at most 64 printable ASCII characters"),
        Preset("nightlatch:"),
        "What all our keys begin with.",
    ),
    Setting::later("REDIS_CACHE_URL", SecretUrl("URL"), "Looked at for collisions only."),
    Setting::later("REDIS_CHANNELS_URL", SecretUrl("URL"), "Looked at for collisions only."),
    Setting::later("CELERY_BROKER_URL", SecretUrl("URL"), "Looked at for collisions only."),
    Setting::later("CELERY_RESULT_BACKEND", SecretUrl("URL"), "Looked at for collisions only."),
];

const TOKENS: &[Setting] = &[
    Setting::new(
        "JWT_ACCESS_TTL",
        Seconds(1, 3600),
        Preset("300"),
        "Life of an access token: how long other services that verify it themselves honour it after a \
         logout.",
    ),
    Setting::new(
        "JWT_REFRESH_TTL",
        Seconds(1, SPAN_SECONDS_MAX),
        Preset("1209600"),
        "Life of a refresh token. Each exchange gives a new one, until the session is \
         SESSION_REMEMBER_AGE old, or this if it is longer.",
    ),
    Setting::new(
        "JWT_REFRESH_GRACE",
        Seconds(0, 3600),
        Preset("30"),
        "How long a client that lost the answer to an exchange gets it again. Time in which no server \
         reaches the database does not count.",
    ),
    Setting::new(
        "JWT_ISSUER",
        Text("URL"),
        Unset("PUBLIC_URL; without that http://localhost"),
        "The claim `iss` of access tokens.",
    ),
    Setting::new(
        "JWT_AUDIENCE",
        Text("text"),
        Preset("nightlatch"),
        "The claim `aud` of access tokens.",
    ),
    Setting::new(
        "JWT_PRIVATE_KEY",
        Secret("PEM blocks (PKCS#8: Ed25519, P-256 or RSA)"),
        Unset("generated, and kept sealed in the database"),
        "Signs access tokens with EdDSA, ES256 or RS256. Of several the first signs; add a new one \
         second on every server, then move it first.",
    ),
];
