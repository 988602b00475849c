//! scrypt, as Django and as PHC strings write it (RFC 7914).
//!
//! The crate takes its memory anew for each hash, and the allocator may keep up to 64 MiB of it.
//! A user's scrypt hash is verified once and then replaced, so that is left as it is.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use scrypt::Params;

use super::{StoredHashError, decimal, salted, same};

/// The most blocks of 128 bytes that are held at once (`n * r`): 256 MiB.
const BLOCKS_MAX: u64 = 2 * 1024 * 1024;
/// The most blocks that are filled (`n * r * p`): about two seconds of one core.
const WORK_BLOCKS_MAX: u64 = 4 * 1024 * 1024;
/// The most `r * p`: bounds what is done beside filling, which `n` does not count.
const LANE_BLOCKS_MAX: u64 = 4096;

/// Shorter tags are found by trying.
const TAG_BYTES_MIN: usize = 16;
const TAG_BYTES_MAX: usize = 64;

/// A stored scrypt hash.
#[derive(Debug)]
pub(in crate::hashing) struct ScryptHash {
    params: Params,
    salt: Vec<u8>,
    tag: Vec<u8>,
}

impl ScryptHash {
    /// `16384$salt$8$5$tag`: the salt is plain text.
    pub(super) fn parse_django(rest: &str) -> Result<Self, StoredHashError> {
        let fields: Vec<&str> = rest.split('$').collect();
        let [n, salt, r, p, tag] = fields.as_slice() else {
            return Err(StoredHashError::Malformed);
        };
        let n = decimal(n)?;
        if !n.is_power_of_two() || n < 2 {
            return Err(StoredHashError::Malformed);
        }
        let params = checked_params(n.ilog2(), decimal(r)?, decimal(p)?)?;
        let salt = salt.as_bytes().to_vec();
        let tag = STANDARD.decode(tag).map_err(|_| StoredHashError::Malformed)?;
        Self::try_new(params, salt, tag)
    }

    /// `ln=14,r=8,p=1$salt$tag`.
    pub(super) fn parse_phc(rest: &str) -> Result<Self, StoredHashError> {
        let fields: Vec<&str> = rest.split('$').collect();
        let [params, salt, tag] = fields.as_slice() else {
            return Err(StoredHashError::Malformed);
        };
        let pairs: Vec<Option<(&str, &str)>> =
            params.split(',').map(|field| field.split_once('=')).collect();
        let [Some(("ln", log_n)), Some(("r", r)), Some(("p", p))] = pairs.as_slice() else {
            return Err(StoredHashError::Malformed);
        };
        let params = checked_params(decimal(log_n)?, decimal(r)?, decimal(p)?)?;
        let salt = STANDARD_NO_PAD.decode(salt).map_err(|_| StoredHashError::Malformed)?;
        let tag = STANDARD_NO_PAD.decode(tag).map_err(|_| StoredHashError::Malformed)?;
        Self::try_new(params, salt, tag)
    }

    fn try_new(params: Params, salt: Vec<u8>, tag: Vec<u8>) -> Result<Self, StoredHashError> {
        let salt = salted(salt)?;
        if !(TAG_BYTES_MIN..=TAG_BYTES_MAX).contains(&tag.len()) {
            return Err(StoredHashError::Malformed);
        }
        Ok(Self { params, salt, tag })
    }

    /// Blocks filled: what decides the time.
    #[cfg(test)]
    pub(super) fn cost(&self) -> u64 {
        self.params.n() * u64::from(self.params.r()) * u64::from(self.params.p())
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let mut tag = vec![0; self.tag.len()];
        scrypt::scrypt(password, &self.salt, &self.params, &mut tag)
            .expect("a tag of 16 to 64 bytes is one that scrypt makes");
        same(&tag, &self.tag)
    }
}

fn checked_params(log_n: u32, r: u32, p: u32) -> Result<Params, StoredHashError> {
    if log_n == 0 || r == 0 || p == 0 {
        return Err(StoredHashError::Malformed);
    }
    let n = 1u64.checked_shl(log_n).ok_or(StoredHashError::TooExpensive)?;
    let lane_blocks = u64::from(r) * u64::from(p);
    let blocks = n.saturating_mul(u64::from(r));
    let work = n.saturating_mul(lane_blocks);
    if blocks > BLOCKS_MAX || work > WORK_BLOCKS_MAX || lane_blocks > LANE_BLOCKS_MAX {
        return Err(StoredHashError::TooExpensive);
    }
    let log_n = u8::try_from(log_n).map_err(|_| StoredHashError::TooExpensive)?;
    Params::new(log_n, r, p).map_err(|_| StoredHashError::Malformed)
}
