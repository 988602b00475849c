//! Where the accelerator is, if there is one.
//!
//! Nothing that is wrong here keeps the server from starting: it is told, with the line to put it
//! right, and the server runs without.

use std::path::Path;
use std::time::Duration;

use nightlatch_core::Secret;
use nightlatch_store::redis::{RedisAddress, RedisTls};

use super::reader::Reader;
use super::redis_url::{self, RedisUrl};
use super::setting::Form;
use super::value::{self, Wrong};

/// How to reach Redis.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// Where it listens.
    pub address: RedisAddress,
    /// Its ACL user; `None`: the default user. Where no password follows it may be one.
    pub username: Option<Secret<String>>,
    /// The user's password.
    pub password: Option<Secret<String>>,
    /// What Sentinels want.
    pub sentinel_password: Option<Secret<String>>,
    /// The number of the database.
    pub database: u32,
    /// What is asked of TLS; `None`: none is spoken.
    pub tls: Option<RedisTls>,
    /// The longest that one request waits for it in all.
    pub deadline: Duration,
    /// What all our keys begin with.
    pub key_prefix: String,
}

const URL: &str = "REDIS_URL";
const HOST: &str = "REDIS_HOST";
const PASSWORDS: [&str; 2] = ["REDIS_PASSWORD", "REDIS_ACCESS_KEY"];

impl RedisConfig {
    /// `None`: there is none, or what was said of it makes no sense.
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let deadline = reader.required("REDIS_DEADLINE_MS", milliseconds);
        let key_prefix = reader.required("REDIS_KEY_PREFIX", prefix);
        let url = reader.optional(URL, |text, _| redis_url::parse(text));
        let parts = SeparateParts::read(reader);
        let url = match url {
            Some(url) => {
                parts.compare(&url, reader);
                reader.amend(URL, url.shown.clone());
                url
            }
            // A URL that makes no sense was meant; the parts may be older.
            None if reader.is_set(URL) => return None,
            None => parts.into_url()?,
        };
        for remark in &url.remarks {
            reader.remark(URL, remark.clone());
        }
        if let Some(missing) = url.tls.as_ref().and_then(missing_file) {
            let why = format!("names the file {missing}, which is not there; Redis is left out");
            reader.remark(URL, Wrong::new(why).better("rediss://..?ssl_ca_certs=/path/to/ca.pem"));
            return None;
        }
        Some(Self::of_url(&url, deadline, key_prefix))
    }

    /// Where a URL leads.
    pub(crate) fn of_url(url: &RedisUrl, deadline: Duration, key_prefix: String) -> Self {
        Self {
            address: url.address.clone(),
            username: url.username.clone(),
            password: url.password.clone(),
            sentinel_password: url.sentinel_password.clone(),
            database: url.database.unwrap_or_default(),
            tls: url.tls.clone(),
            deadline,
            key_prefix,
        }
    }
}

/// As if it had been written as a URL.
impl From<&RedisConfig> for RedisUrl {
    fn from(config: &RedisConfig) -> Self {
        Self {
            address: config.address.clone(),
            username: config.username.clone(),
            password: config.password.clone(),
            sentinel_password: config.sentinel_password.clone(),
            database: Some(config.database),
            tls: config.tls.clone(),
            shown: String::new(),
            remarks: Vec::new(),
        }
    }
}

fn missing_file(tls: &RedisTls) -> Option<String> {
    let client = tls.client.iter().flat_map(|client| [&client.certificate, &client.key]);
    let mut files = tls.authorities.iter().chain(client);
    files.find(|file| !Path::new(file).is_file()).map(|file| file.display().to_string())
}

/// What is said in settings of its own instead of in a URL.
struct SeparateParts {
    host: Option<String>,
    port: Option<u16>,
    username: Option<Secret<String>>,
    password: Option<Secret<String>>,
    database: Option<u32>,
    tls: Option<bool>,
}

impl SeparateParts {
    fn read(reader: &mut Reader) -> Self {
        let secret = |text: &str, _: Form| Ok(Secret::new(text.to_owned()));
        let [password, key] = PASSWORDS.map(|name| reader.optional(name, secret));
        if let (Some(password), Some(key)) = (&password, &key)
            && password.expose() != key.expose()
        {
            let why = "disagrees with REDIS_PASSWORD, which is used";
            reader.remark(PASSWORDS[1], Wrong::new(why));
        }
        Self {
            host: reader.optional(HOST, host),
            port: reader.optional("REDIS_PORT", port),
            username: reader.optional("REDIS_USERNAME", secret),
            password: password.or(key),
            database: reader.optional("REDIS_DB", |text, _| redis_url::database(text)),
            tls: reader.optional("REDIS_TLS", value::switch),
        }
    }

    /// The URL wins; that the others say something else is told.
    fn compare(&self, url: &RedisUrl, reader: &mut Reader) {
        let (host, port) = match &url.address {
            RedisAddress::Tcp { host, port } => (Some(host), Some(*port)),
            RedisAddress::Unix(_) | RedisAddress::Sentinel { .. } | RedisAddress::Cluster(_) => {
                (None, None)
            }
        };
        let text = |secret: &Option<Secret<String>>| secret.as_ref().map(|s| s.expose().clone());
        let password = PASSWORDS.into_iter().find(|name| reader.is_set(name));
        for (name, differs) in [
            (HOST, self.host.is_some() && self.host.as_ref() != host),
            ("REDIS_PORT", self.port.is_some() && self.port != port),
            (
                "REDIS_USERNAME",
                self.username.is_some() && text(&self.username) != text(&url.username),
            ),
            (
                password.unwrap_or(PASSWORDS[0]),
                self.password.is_some() && text(&self.password) != text(&url.password),
            ),
            ("REDIS_DB", self.database.is_some_and(|own| own != url.database.unwrap_or_default())),
            ("REDIS_TLS", self.tls.is_some_and(|own| own != url.tls.is_some())),
        ] {
            if differs {
                let wrong = Wrong::new("disagrees with REDIS_URL, which is used");
                reader.remark(name, wrong.id("redis-settings-disagree"));
            }
        }
    }

    fn into_url(self) -> Option<RedisUrl> {
        let port = self.port.unwrap_or(redis_url::PORT);
        let tls = self.tls.unwrap_or_default();
        let tls = tls.then_some(RedisTls { verifies: true, authorities: None, client: None });
        Some(RedisUrl {
            address: RedisAddress::Tcp { host: self.host?, port },
            username: self.username,
            password: self.password,
            sentinel_password: None,
            database: self.database,
            tls,
            shown: String::new(),
            remarks: Vec::new(),
        })
    }
}

fn host(text: &str, _: Form) -> Result<String, Wrong> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if text.contains("://") || text.contains(['/', '@', ' ']) {
        return Err(Wrong::new("is no host name; a URL belongs into REDIS_URL"));
    }
    Ok(bare.to_owned())
}

fn port(text: &str, _: Form) -> Result<u16, Wrong> {
    match text.parse::<u16>() {
        Ok(port @ 1..) => Ok(port),
        // Kubernetes gives every pod such a variable for a service that is called redis.
        Ok(0) | Err(_) => {
            Err(Wrong::new("is no number from 1 to 65535").better(redis_url::PORT.to_string()))
        }
    }
}

/// Milliseconds in the bounds of the contract.
fn milliseconds(text: &str, _: Form) -> Result<Duration, Wrong> {
    match text.parse::<u64>() {
        Ok(millis @ 10..=200) => Ok(Duration::from_millis(millis)),
        Ok(millis) if millis < 10 => Err(Wrong::new("is less than 10 ms").better("10")),
        Ok(_) => Err(Wrong::new("is more than 200 ms").better("200")),
        Err(_) => Err(Wrong::new("is no whole number of milliseconds from 10 to 200").better("20")),
    }
}

fn prefix(text: &str, _: Form) -> Result<String, Wrong> {
    const BYTES_MAX: usize = 64;
    let is_plain = |c: char| c.is_ascii_graphic() && c != '{' && c != '}';
    if text.len() <= BYTES_MAX && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    let why =
        format!("is longer than {BYTES_MAX} characters, or holds others than printable ASCII");
    Err(Wrong::new(why).better("nightlatch:"))
}
