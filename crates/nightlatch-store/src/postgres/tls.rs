//! TLS to the record, as `sslmode` and `sslrootcert` ask for it.
//!
//! The words are libpq's, and so is their meaning: `prefer` and `require` hide what is said from
//! those who only listen, `verify-ca` and `verify-full` also keep out those who answer in the
//! server's place.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::SslMode;

use super::options::PostgresOptionsError;
use crate::certificate::CertificateExpiry;
use crate::tls::{self, AnyName};

/// What `sslmode` asks for. Each hides and proves more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsDemand {
    /// None is spoken.
    Disable,
    /// Where the server offers it; anybody's certificate is taken.
    Prefer,
    /// Always; anybody's certificate is taken unless authorities are named.
    Require,
    /// A certificate of an authority that is named.
    VerifyCa,
    /// The same, for the name of the host.
    VerifyFull,
}

impl TlsDemand {
    pub(super) fn from_name(name: &str) -> Result<Self, PostgresOptionsError> {
        match name {
            "disable" => Ok(Self::Disable),
            // `allow` would try without TLS first: `prefer` keeps what it promises, and more.
            "allow" | "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err(PostgresOptionsError::BadValue {
                parameter: "sslmode",
                expected: "disable, allow, prefer, require, verify-ca or verify-full",
            }),
        }
    }

    /// What the driver is told: it knows whether there is TLS, we know whom to believe.
    pub(super) fn ssl_mode(self) -> SslMode {
        match self {
            Self::Disable => SslMode::Disable,
            Self::Prefer => SslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => SslMode::Require,
        }
    }
}

/// Whose certificates are believed, as `sslrootcert` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Authorities {
    /// `system`: those that the machine believes.
    System,
    /// Those in a file.
    File(PathBuf),
}

impl Authorities {
    pub(super) fn from_name(name: String) -> Self {
        if name == "system" { Self::System } else { Self::File(name.into()) }
    }
}

/// The client side of TLS for a demand.
pub(super) fn client_config(
    demand: TlsDemand,
    authorities: Option<Authorities>,
    expiry: &CertificateExpiry,
) -> Result<ClientConfig, PostgresOptionsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match (demand, authorities) {
        (TlsDemand::VerifyFull, Some(Authorities::File(path))) => {
            tls::verifier(Some(&path), Arc::clone(&provider))
                .map_err(|source| unusable(path, source))?
        }
        (TlsDemand::VerifyFull, Some(Authorities::System) | None) => {
            tls::verifier(None, Arc::clone(&provider)).map_err(tls_error)?
        }
        // As libpq: a named authority is used also where `require` alone asks for none.
        (TlsDemand::VerifyCa | TlsDemand::Require, Some(Authorities::File(path))) => {
            Arc::new(AnyName::of(read_roots(&path)?, Arc::clone(&provider)))
        }
        (TlsDemand::VerifyCa, Some(Authorities::System) | None) => {
            return Err(PostgresOptionsError::BadValue {
                parameter: "sslrootcert",
                expected: "a file with sslmode=verify-ca: among all public authorities anybody \
                           finds one, so without a file only verify-full means something",
            });
        }
        (TlsDemand::Disable | TlsDemand::Prefer, _)
        | (TlsDemand::Require, Some(Authorities::System) | None) => {
            Arc::new(AnyName::anybody(Arc::clone(&provider)))
        }
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls_error)?
        .dangerous()
        .with_custom_certificate_verifier(expiry.noted_by(verifier))
        .with_no_client_auth();
    Ok(config)
}

fn read_roots(path: &Path) -> Result<RootCertStore, PostgresOptionsError> {
    tls::read_roots(path).map_err(|source| unusable(path.to_owned(), source))
}

fn unusable(
    path: PathBuf,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> PostgresOptionsError {
    PostgresOptionsError::RootCertificates { path, source: source.into() }
}

fn tls_error(source: impl Into<Box<dyn Error + Send + Sync>>) -> PostgresOptionsError {
    PostgresOptionsError::Tls(source.into())
}
