//! The entries of delegated login.
//!
//! In a file of its own for the length of the table alone.

use super::super::Fallback::{InProduction, Preset, Unset};
use super::super::Form::{Seconds, Secret, SecretUrl, Switch, Text};
use super::super::{Setting, WhenWrong};

pub(super) const DELEGATED: &[Setting] = &[
    Setting::new(
        "AUTH_SERVICE_URL",
        SecretUrl("URL, such as https://auth.example.com"),
        Unset("none: people log in by passwords that are kept here"),
        "The service that knows the users. Logins of everybody who has no password here are delegated \
         to it; a path in it goes before AUTH_SERVICE_LOGIN_PATH. Redirects are not followed.",
    ),
    Setting::new(
        "AUTH_SERVICE_ENABLED",
        Switch,
        Unset("on when AUTH_SERVICE_URL is set"),
        "Whether logins are delegated.",
    ),
    Setting::new(
        "SERVICE_ID",
        Text("text"),
        Unset("none: delegated logins are 502"),
        "Our name at that service, sent as `X-Service-ID`.",
    ),
    Setting::new(
        "SERVICE_SECRET",
        Secret("text"),
        Unset("none: delegated logins are 502"),
        "Our secret at that service, sent as `X-Service-Secret`.",
    ),
    Setting::new(
        "AUTH_SERVICE_LOGIN_PATH",
        Text("path"),
        Preset("/auth/login"),
        "Where it takes logins.",
    ),
    Setting::new(
        "AUTH_SERVICE_FIELD_USERNAME",
        Text("name"),
        Preset("username"),
        "The member of our request that it reads the name or e-mail from.",
    ),
    Setting::new(
        "AUTH_SERVICE_FIELD_SUBJECT",
        Text("names, separated by commas"),
        Preset("user_id,id,sub"),
        "The member of its answer that holds the user's id: the first of these that is there.",
    ),
    Setting::new(
        "AUTH_SERVICE_CA_FILE",
        Text("file"),
        Unset("those that the machine believes"),
        "Certificate authorities, in PEM, that its certificate is checked by.",
    ),
    Setting::new(
        "AUTH_SERVICE_CONNECT_TIMEOUT",
        Seconds(0, 60),
        Preset("1"),
        "For its name, the connection and the handshake of TLS.",
    ),
    Setting::new(
        "AUTH_SERVICE_READ_TIMEOUT",
        Seconds(0, 60),
        Preset("3"),
        "From the request to the end of the answer.",
    ),
    Setting::new(
        "AUTH_SERVICE_DEADLINE",
        Seconds(0, 60),
        Preset("4"),
        "For all attempts of one login together. NIGHTLATCH_LOGIN_DEADLINE bounds it, less a second \
         for the database.",
    ),
    Setting::new(
        "AUTH_SERVICE_MAX_ATTEMPTS",
        Text("number from 1 to 10"),
        InProduction("1", Some("3")),
        "How often it is asked at most for one login.",
    ),
    Setting::new(
        "AUTH_SERVICE_REVALIDATE",
        Seconds(1, 86_400),
        Preset("off"),
        "How often it is asked again about people who are logged in, in the background; `off`: never. \
         Whoever is disabled there is logged out. One that does not answer changes nothing.",
    )
    .wrong(WhenWrong::Strict("300")),
    Setting::new(
        "AUTH_SERVICE_USER_PATH",
        Text("path that holds {subject}"),
        Preset("/users/{subject}"),
        "Where it is asked about one of them, with its id of them for `{subject}`.",
    ),
];
