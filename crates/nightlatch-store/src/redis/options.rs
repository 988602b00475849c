//! Where a Redis is, and how it is spoken to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::Secret;
use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use thiserror::Error;

use crate::certificate::CertificateExpiry;
use crate::tls::{self, AnyName, Unusable};

/// How to reach a Redis.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Where it listens.
    pub address: RedisAddress,
    /// Its ACL user; `None`: the default user. Where no password follows it may be one.
    pub username: Option<Secret<String>>,
    /// The user's password.
    pub password: Option<Secret<String>>,
    /// What Sentinels want, if they are asked; the server's own may be another.
    pub sentinel_password: Option<Secret<String>>,
    /// The number of the database.
    pub database: u32,
    /// TLS; `None`: none is spoken.
    pub tls: Option<RedisTls>,
    /// The longest that one request waits for it in all.
    pub deadline: Duration,
    /// What the names of all our keys begin with.
    pub key_prefix: String,
}

/// Where a Redis listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisAddress {
    /// A host, by name or address, and its port.
    Tcp {
        /// Without the brackets of an IPv6 address.
        host: String,
        /// 1 to 65535.
        port: u16,
    },
    /// A socket of this machine.
    Unix(PathBuf),
    /// The primary of a name, wherever it is.
    Sentinel {
        /// Who knows: hosts and ports.
        sentinels: Vec<(String, u16)>,
        /// By what name.
        primary: String,
    },
    /// A Cluster: hosts and ports of some of its servers, who know the others.
    Cluster(Vec<(String, u16)>),
}

/// What is asked of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisTls {
    /// Whether the certificate must be good, and for this host.
    pub verifies: bool,
    /// A PEM file with the authorities that are believed; `None`: those of the machine.
    pub authorities: Option<PathBuf>,
    /// What we show to a server that asks for it.
    pub client: Option<ClientCertificate>,
}

/// A certificate of ours, and its key: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Why a Redis cannot even be tried.
#[derive(Debug, Error)]
pub enum RedisOptionsError {
    /// A file that TLS needs cannot be used.
    #[error("the file {} cannot be used: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Unusable,
    },
    /// The host's name cannot stand in a certificate.
    #[error("{0:?} is no name that a certificate could be for")]
    Name(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(Unusable),
    /// TLS with what has no name that a certificate could be for.
    #[error("TLS is spoken to a host and port, or to a Cluster")]
    NoHost,
}

impl RedisOptions {
    /// What is asked of TLS; `None`: none is spoken.
    pub(super) fn client_config(
        &self,
        expiry: &CertificateExpiry,
    ) -> Result<Option<Arc<ClientConfig>>, RedisOptionsError> {
        let Some(tls) = &self.tls else { return Ok(None) };
        match &self.address {
            RedisAddress::Tcp { host, .. } => {
                let name = ServerName::try_from(host.as_str());
                name.map_err(|_| RedisOptionsError::Name(host.clone()))?;
            }
            // Its servers say what their names are.
            RedisAddress::Cluster(_) => {}
            RedisAddress::Unix(_) | RedisAddress::Sentinel { .. } => {
                return Err(RedisOptionsError::NoHost);
            }
        }
        Ok(Some(Arc::new(tls.client_config(expiry)?)))
    }
}

impl RedisTls {
    /// TLS with whoever answers, to find out whether somebody does.
    pub(super) fn of_anybody() -> Result<ClientConfig, RedisOptionsError> {
        let tls = Self { verifies: false, authorities: None, client: None };
        tls.client_config(&CertificateExpiry::default())
    }

    fn client_config(&self, expiry: &CertificateExpiry) -> Result<ClientConfig, RedisOptionsError> {
        let failed = |source: rustls::Error| RedisOptionsError::Tls(source.into());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(expiry.noted_by(self.verifier(provider)?));
        let Some(client) = &self.client else { return Ok(builder.with_no_client_auth()) };
        let (chain, key) = (client.chain()?, client.key()?);
        builder.with_client_auth_cert(chain, key).map_err(failed)
    }

    fn verifier(
        &self,
        provider: Arc<rustls::crypto::CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, RedisOptionsError> {
        if !self.verifies {
            return Ok(Arc::new(AnyName::anybody(provider)));
        }
        tls::verifier(self.authorities.as_deref(), provider).map_err(|source| {
            match &self.authorities {
                Some(path) => RedisOptionsError::File { path: path.clone(), source },
                None => RedisOptionsError::Tls(source),
            }
        })
    }
}

impl ClientCertificate {
    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, RedisOptionsError> {
        let unusable =
            |source: Unusable| RedisOptionsError::File { path: self.certificate.clone(), source };
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unusable(error.into()))?;
        if chain.is_empty() {
            return Err(unusable("there is no certificate in it".into()));
        }
        Ok(chain)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, RedisOptionsError> {
        PrivateKeyDer::from_pem_file(&self.key).map_err(|error| RedisOptionsError::File {
            path: self.key.clone(),
            source: error.into(),
        })
    }
}
