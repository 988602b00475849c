//! Connections to servers beneath, with the class of what fails.
//!
//! Public, so that whoever else has to reach one resolves, trusts and classifies as the record and the
//! accelerator do.

mod service;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nightlatch_core::FailureClass;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificate::CertificateExpiry;
use crate::tcp::{self, LOOKUPS_MAX, Resolving};
use crate::tls;

pub use self::service::{OtherService, other_service};

/// Why a certificate authority is of no use.
pub type Unusable = tls::Unusable;

/// How many look-ups of names are under way here, those among them that nobody waits for any more.
static LOOKUPS: Semaphore = Semaphore::const_new(LOOKUPS_MAX);

/// Connects to the first address of a host that takes us. The caller sets the limit of all that; half of it
/// is for the name.
///
/// # Errors
/// Why there is no connection. A name that is not resolved in time is [`FailureClass::Dns`].
pub async fn connect(host: &str, port: u16, limit: Duration) -> Result<TcpStream, FailureClass> {
    let by = Resolving { places: &LOOKUPS, limit: limit / 2 };
    tcp::connect_by(host, port, by).await.map(|(stream, _)| stream)
}

/// The client side of TLS: certificate and host name are always verified.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>, CertificateExpiry);

impl Tls {
    /// Believes the authorities in a PEM file; without one, those of the machine.
    ///
    /// # Errors
    /// The file cannot be read or holds no certificate, or the machine has no authorities.
    pub fn new(authorities: Option<&Path>) -> Result<Self, Unusable> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let expiry = CertificateExpiry::default();
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(
                expiry.noted_by(tls::verifier(authorities, provider)?),
            )
            .with_no_client_auth();
        Ok(Self(Arc::new(config), expiry))
    }

    /// Until when the certificate is good that was shown last.
    #[must_use]
    pub const fn certificate_expiry(&self) -> &CertificateExpiry {
        &self.1
    }

    /// Shakes hands with a host over a connection. The caller sets the limit.
    ///
    /// # Errors
    /// Why not.
    pub async fn over(
        &self,
        stream: TcpStream,
        host: &str,
    ) -> Result<TlsStream<TcpStream>, FailureClass> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| FailureClass::TlsHostname)?;
        let shaken = TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await;
        shaken.map_err(|error| tcp::classify_io(&error))
    }
}
