//! What stands behind the question mark of a Redis URL, as the clients of other languages write it.
//!
//! A word that is mistyped is told, and leaves the safe choice.

use std::path::PathBuf;

use nightlatch_core::Secret;
use nightlatch_store::redis::{ClientCertificate, RedisTls};

use super::database;
use crate::config::percent::percent_decoded;
use crate::config::reader::excerpt;
use crate::config::value::{self, Wrong};

/// All of them.
#[derive(Default)]
pub(super) struct Parameters {
    pub(super) is_about_tls: bool,
    verifies: Option<bool>,
    authorities: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    pub(super) database: Option<u32>,
    pub(super) sentinel_password: Option<Secret<String>>,
}

const KNOWN: &[&str] =
    &["ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "db", "sentinel_password"];

impl Parameters {
    pub(super) fn parse(query: &str, remarks: &mut Vec<Wrong>) -> Self {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decoded(value);
            parameters.is_about_tls |= name.starts_with("ssl_");
            let path = (!value.is_empty()).then(|| PathBuf::from(&value));
            match name {
                "ssl_cert_reqs" => parameters.take_cert_reqs(&value, remarks),
                "ssl_ca_certs" => parameters.authorities = path,
                "ssl_certfile" => parameters.certificate = path,
                "ssl_keyfile" => parameters.key = path,
                "sentinel_password" => parameters.sentinel_password = Some(Secret::new(value)),
                "db" => match database(&value) {
                    Ok(number) => parameters.database = Some(number),
                    Err(wrong) => remarks.push(wrong),
                },
                _ => remarks.push(unknown(name)),
            }
        }
        parameters
    }

    /// Doubt means that certificates are verified.
    fn take_cert_reqs(&mut self, value: &str, remarks: &mut Vec<Wrong>) {
        let word = value.to_ascii_lowercase();
        self.verifies = Some(match word.strip_prefix("cert_").unwrap_or(&word) {
            "required" => true,
            "none" => false,
            "optional" => {
                let why =
                    "ssl_cert_reqs=optional verifies nothing here or everything; taken as required";
                remarks.push(Wrong::new(why).better("rediss://..?ssl_cert_reqs=required"));
                true
            }
            _ => {
                let why = format!(
                    "ssl_cert_reqs={} is neither required nor none; taken as required",
                    excerpt(value)
                );
                remarks.push(Wrong::new(why).better("rediss://..?ssl_cert_reqs=required"));
                true
            }
        });
    }

    pub(super) fn tls(&self, remarks: &mut Vec<Wrong>) -> RedisTls {
        let client = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                Some(ClientCertificate { certificate: certificate.clone(), key: key.clone() })
            }
            // A file may hold both.
            (Some(both), None) => {
                Some(ClientCertificate { certificate: both.clone(), key: both.clone() })
            }
            (None, Some(_)) => {
                let why = "has ssl_keyfile without ssl_certfile, which is left out";
                remarks.push(Wrong::new(why));
                None
            }
            (None, None) => None,
        };
        RedisTls {
            verifies: self.verifies.unwrap_or(true),
            authorities: self.authorities.clone(),
            client,
        }
    }
}

fn unknown(name: &str) -> Wrong {
    let near = KNOWN.iter().find(|near| value::distance(near, name) <= 2);
    let hint = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
    Wrong::new(format!(
        "has a parameter {} that means nothing{hint}; it is left out",
        excerpt(name)
    ))
}
