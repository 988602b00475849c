//! Until when the certificates are good that servers beneath show.
//!
//! One that expires is an outage at an hour that nobody chose, and it can be known weeks before: whoever
//! shakes hands has it in hand.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use nightlatch_core::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// Until when the certificate is good that was shown last.
#[derive(Clone, Debug, Default)]
pub struct CertificateExpiry(Arc<AtomicI64>);

impl CertificateExpiry {
    /// When it ends to be; `None`: none was shown that could be read.
    #[must_use]
    pub fn get(&self) -> Option<Timestamp> {
        let micros = self.0.load(Ordering::Relaxed);
        (micros != 0).then(|| Timestamp::from_micros(micros))
    }

    /// Judges as `verifier` does, and notes what it is shown, good or not.
    pub(crate) fn noted_by(
        &self,
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> Arc<dyn ServerCertVerifier> {
        Arc::new(Noting { verifier, expiry: self.clone() })
    }
}

struct Noting {
    verifier: Arc<dyn ServerCertVerifier>,
    expiry: CertificateExpiry,
}

impl fmt::Debug for Noting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.verifier.fmt(f)
    }
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(seconds) = not_after(end_entity) {
            self.expiry.0.store(seconds.saturating_mul(1_000_000), Ordering::Relaxed);
        }
        let verifier = &self.verifier;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which stands in front of the rest unless it is the first.
const VERSION: u8 = 0xa0;

/// The end of a certificate's validity in seconds since 1970 (RFC 5280, 4.1).
fn not_after(certificate: &[u8]) -> Option<i64> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut rest, _) = element(certificate)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    // Serial number, algorithm and issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (tag, validity, _) = element(rest)?;
    let (_, _, rest) = element(validity).filter(|_| tag == SEQUENCE)?;
    let (tag, text, _) = element(rest)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    match tag {
        UTC_TIME => {
            let year: i64 = text.get(..2)?.parse().ok()?;
            seconds(if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        GENERALIZED_TIME => seconds(text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => None,
    }
}

/// Tag and contents of the first element, and what comes behind it (X.690).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let digits = rest.get(..usize::from(first & 0x7f)).filter(|digits| digits.len() <= 4)?;
        rest = &rest[digits.len()..];
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
    }
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// `text` is month, day, hour, minute and second, two digits each.
fn seconds(year: i64, text: &str) -> Option<i64> {
    let field = |at: usize| text.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day) = (field(0)?, field(2)?);
    // Years begin in March, so that the odd day is their last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // From the first of March of the year 0 to the first of January 1970 it is 719468 days.
    let days = year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + field(4)? * 3600 + field(6)? * 60 + field(8)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As much of a certificate as is read, with these times of its validity.
    fn certificate(times: &[u8]) -> Vec<u8> {
        let of = |tag: u8, contents: &[u8]| {
            let length = u16::try_from(contents.len()).unwrap().to_be_bytes();
            [&[tag, 0x82][..], &length, contents].concat()
        };
        let head =
            [of(VERSION, &[2, 1, 2]), of(2, &[7; 200]), of(SEQUENCE, &[]), of(SEQUENCE, &[])];
        let tbs = of(SEQUENCE, &[head.concat(), of(SEQUENCE, times), vec![SEQUENCE, 0]].concat());
        of(SEQUENCE, &tbs)
    }

    fn time(tag: u8, text: &str) -> Vec<u8> {
        [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    }

    #[test]
    fn the_end_of_the_validity_is_found() {
        let begin = time(UTC_TIME, "200101000000Z");
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "240229123456Z", Some(1_709_210_096)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, "2402291234Z", None),
            (UTC_TIME, "24022912345\u{e9}Z", None),
            (4, "240229123456Z", None),
        ] {
            let der = certificate(&[begin.clone(), time(tag, text)].concat());
            assert_eq!(not_after(&der), expected, "{text}");
        }
    }

    #[test]
    fn what_is_cut_or_garbled_says_nothing_and_breaks_nothing() {
        let times = [time(UTC_TIME, "200101000000Z"), time(UTC_TIME, "240229123456Z")].concat();
        let whole = certificate(&times);
        for end in 0..whole.len() {
            let _ = not_after(&whole[..end]);
            for byte in [0, 0x7f, 0x80, 0x84, 0x85, 0xff] {
                let mut garbled = whole.clone();
                garbled[end] = byte;
                let _ = not_after(&garbled);
            }
        }
        assert_eq!(not_after(&[]), None);
    }
}
