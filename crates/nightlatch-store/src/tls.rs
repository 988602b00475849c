//! TLS to what is beneath: whom its clients believe, and what a failed handshake means.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use nightlatch_core::FailureClass;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::Verifier;

/// Why a file of certificates or a key is of no use.
pub(crate) type Unusable = Box<dyn Error + Send + Sync>;

/// The authorities in a PEM file: one at least.
pub(crate) fn read_roots(path: &Path) -> Result<RootCertStore, Unusable> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path)? {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        return Err("there is no certificate in it".into());
    }
    Ok(roots)
}

/// Believes those whom the authorities in a file vouch for; without one, those whom the machine believes.
pub(crate) fn verifier(
    authorities: Option<&Path>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Unusable> {
    let Some(path) = authorities else { return Ok(Arc::new(Verifier::new(provider)?)) };
    let roots = Arc::new(read_roots(path)?);
    Ok(WebPkiServerVerifier::builder_with_provider(roots, provider).build()?)
}

/// What a failed handshake, or a record that cannot be read, says of the other side.
pub(crate) fn classify(error: &rustls::Error) -> FailureClass {
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => FailureClass::TlsExpired,
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => FailureClass::TlsHostname,
        rustls::Error::InvalidCertificate(_) => FailureClass::TlsUntrusted,
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            FailureClass::TlsClientCert
        }
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(_) => FailureClass::TlsVersion,
        rustls::Error::InvalidMessage(_) => FailureClass::TlsNotSpoken,
        _ => FailureClass::Protocol,
    }
}

/// Believes under whatever name somebody answers: whoever an authority vouches for, or anybody, which
/// only hides what is said from those who listen.
#[derive(Debug)]
pub(crate) struct AnyName {
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl AnyName {
    /// Whoever it is.
    pub(crate) const fn anybody(provider: Arc<CryptoProvider>) -> Self {
        Self { roots: None, provider }
    }

    /// Whoever one of these authorities vouches for.
    pub(crate) const fn of(roots: RootCertStore, provider: Arc<CryptoProvider>) -> Self {
        Self { roots: Some(roots), provider }
    }
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(end_entity)?,
                roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
