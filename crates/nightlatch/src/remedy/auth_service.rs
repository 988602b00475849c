//! The auth service: what its classes come to. Who is its user cannot log in meanwhile.
//!
//! It is somebody else's, so most of this is said for whoever runs it.

use nightlatch_core::FailureClass as Class;

use super::Remedy;

/// Of the classes that an auth service can have.
pub(crate) const fn of_auth_service(class: Class) -> Remedy {
    match class {
        Class::Unreachable => Remedy::of(
            "auth-service-unreachable",
            "start the auth service, or correct host and port in AUTH_SERVICE_URL",
        ),
        Class::Dns => Remedy::of("auth-service-dns", "correct the host name in AUTH_SERVICE_URL"),
        Class::TlsUntrusted => Remedy::of(
            "auth-service-tls-untrusted",
            "name its authority: AUTH_SERVICE_CA_FILE=/path/to/ca.pem",
        ),
        Class::TlsExpired => {
            Remedy::of("auth-service-tls-expired", "renew the certificate of the auth service")
        }
        Class::TlsHostname => Remedy::of(
            "auth-service-tls-hostname",
            "use the host name in AUTH_SERVICE_URL that its certificate is for",
        ),
        Class::TlsNotSpoken => Remedy::of(
            "auth-service-tls-not-spoken",
            "it speaks no TLS there: let it, or correct the port in AUTH_SERVICE_URL",
        ),
        Class::AuthRequired => {
            Remedy::of("auth-service-credentials-missing", "set SERVICE_ID and SERVICE_SECRET")
        }
        Class::AuthFailed | Class::Forbidden => Remedy::of(
            "auth-service-credentials",
            "correct SERVICE_ID and SERVICE_SECRET: the auth service does not take them",
        ),
        Class::Missing => Remedy::of(
            "auth-service-endpoint",
            "correct AUTH_SERVICE_LOGIN_PATH: the auth service takes no logins there",
        ),
        Class::Timeout => Remedy::by_time("auth-service-hangs"),
        Class::Slow => Remedy::by_time("auth-service-slow"),
        Class::Closed => Remedy::by_time("auth-service-closed"),
        Class::Busy => Remedy::by_time("auth-service-busy"),
        _ => Remedy::of(
            "auth-service-protocol",
            "see its log; AUTH_SERVICE_URL and AUTH_SERVICE_LOGIN_PATH must lead to an endpoint that answers in JSON (docs/delegated-login.md)",
        ),
    }
}
