//! argon2: today's hashes, and those of others (RFC 9106).
//!
//! Written and read in the PHC string format; Django puts `argon2` before it. Lanes are filled one
//! after the other on the one thread that verifies, so a hash with many lanes costs as much as one
//! of the same memory with a single lane.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use nightlatch_core::HashKind;

use super::{StoredHashError, decimal, salted, same};
use crate::hashing::memory::{Memory, OutOfMemory};

/// Memory of today's hashes, in KiB.
pub(in crate::hashing) const TODAY_MEMORY_KIB: u32 = 19_456;
/// Passes of today's hashes.
const TODAY_PASSES: u32 = 2;
/// Lanes of today's hashes.
const TODAY_LANES: u32 = 1;

/// The length of a fresh salt, in bytes (RFC 9106, 3.1).
pub(in crate::hashing) const SALT_BYTES: usize = 16;
/// The length of a fresh tag, in bytes.
const TAG_BYTES: usize = 32;

/// The most memory a stored hash may ask for: what libsodium calls moderate. Every thread of the
/// pool may need it at once.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// The most memory times passes: about a second of one slow core.
const WORK_KIB_MAX: u64 = 1024 * 1024;
/// More lanes than any machine that stored a hash has had a use for.
const LANES_MAX: u32 = 64;

/// The shortest salt that the algorithm takes, in bytes.
const SALT_BYTES_MIN: usize = 8;
/// Shorter tags are found by trying.
const TAG_BYTES_MIN: usize = 16;
const TAG_BYTES_MAX: usize = 64;

/// A stored argon2 hash.
#[derive(Debug)]
pub(in crate::hashing) struct Argon2Hash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    tag: Vec<u8>,
    is_djangos: bool,
}

impl Argon2Hash {
    /// Behind Django's prefix. Such a hash is always replaced, so that the record ends up with one
    /// form.
    pub(super) fn parse_django(rest: &str) -> Result<Self, StoredHashError> {
        Ok(Self { is_djangos: true, ..Self::parse(rest)? })
    }

    /// `argon2id$v=19$m=19456,t=2,p=1$salt$tag`; without `v=` it is of version 16.
    pub(super) fn parse(rest: &str) -> Result<Self, StoredHashError> {
        let fields: Vec<&str> = rest.split('$').collect();
        let (name, version, params, salt, tag) = match fields.as_slice() {
            [name, "v=19", params, salt, tag] => (*name, Version::V0x13, params, salt, tag),
            [name, "v=16", params, salt, tag] | [name, params, salt, tag] => {
                (*name, Version::V0x10, params, salt, tag)
            }
            _ => return Err(StoredHashError::Malformed),
        };
        let algorithm = match name {
            "argon2id" => Algorithm::Argon2id,
            "argon2i" => Algorithm::Argon2i,
            "argon2d" => Algorithm::Argon2d,
            _ => return Err(StoredHashError::Unknown),
        };
        let params = parse_params(params)?;
        let salt = salted(STANDARD_NO_PAD.decode(salt).map_err(|_| StoredHashError::Malformed)?)?;
        let tag = STANDARD_NO_PAD.decode(tag).map_err(|_| StoredHashError::Malformed)?;
        if salt.len() < SALT_BYTES_MIN || !(TAG_BYTES_MIN..=TAG_BYTES_MAX).contains(&tag.len()) {
            return Err(StoredHashError::Malformed);
        }
        Ok(Self { algorithm, version, params, salt, tag, is_djangos: false })
    }

    pub(super) fn verify(&self, password: &[u8], memory: &mut Memory) -> Result<bool, OutOfMemory> {
        let argon2 = Argon2::new(self.algorithm, self.version, self.params.clone());
        let mut tag = vec![0; self.tag.len()];
        fill(&argon2, password, &self.salt, &mut tag, memory)?;
        Ok(same(&tag, &self.tag))
    }

    /// Blocks filled: what decides the time.
    #[cfg(test)]
    pub(super) fn cost(&self) -> u64 {
        u64::from(self.params.m_cost()) * u64::from(self.params.t_cost())
    }

    pub(super) fn needs_upgrade(&self) -> bool {
        let is_strong = self.algorithm == Algorithm::Argon2id
            && self.version == Version::V0x13
            && self.params.m_cost() >= TODAY_MEMORY_KIB
            && self.params.t_cost() >= TODAY_PASSES
            && self.salt.len() >= SALT_BYTES
            && self.tag.len() >= TAG_BYTES;
        self.is_djangos || !is_strong
    }
}

/// Hashes a new password as today's text.
pub(in crate::hashing) fn hash(
    password: &[u8],
    salt: &[u8; SALT_BYTES],
    memory: &mut Memory,
) -> Result<String, OutOfMemory> {
    let mut tag = [0; TAG_BYTES];
    fill(&today(), password, salt, &mut tag, memory)?;
    Ok(format!(
        "$argon2id$v=19$m={TODAY_MEMORY_KIB},t={TODAY_PASSES},p={TODAY_LANES}${}${}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(tag),
    ))
}

/// Does the work of verifying against today's hash, and finds nothing.
pub(in crate::hashing) fn pretend(password: &[u8], memory: &mut Memory) -> Result<(), OutOfMemory> {
    let mut tag = [0; TAG_BYTES];
    fill(&today(), password, &[0; SALT_BYTES], &mut tag, memory)?;
    // Compared as a real tag would be, and the answer kept from being optimised away.
    std::hint::black_box(same(&tag, &[0; TAG_BYTES]));
    Ok(())
}

/// The kind of [`hash`]'s texts.
pub(in crate::hashing) fn today_kind() -> HashKind {
    HashKind(format!("$argon2id$m={TODAY_MEMORY_KIB},t={TODAY_PASSES},p={TODAY_LANES}"))
}

fn today() -> Argon2<'static> {
    let params = Params::new(TODAY_MEMORY_KIB, TODAY_PASSES, TODAY_LANES, None)
        .expect("today's parameters are within the algorithm's");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn fill(
    argon2: &Argon2<'_>,
    password: &[u8],
    salt: &[u8],
    tag: &mut [u8],
    memory: &mut Memory,
) -> Result<(), OutOfMemory> {
    let blocks = memory.blocks(argon2.params().block_count())?;
    argon2
        .hash_password_into_with_memory(password, salt, tag, blocks)
        .expect("salt, tag and memory have lengths that the algorithm takes");
    Ok(())
}

/// `m=19456,t=2,p=1`, in this order, as every implementation writes it.
fn parse_params(text: &str) -> Result<Params, StoredHashError> {
    let fields: Vec<Option<(&str, &str)>> =
        text.split(',').map(|field| field.split_once('=')).collect();
    let [Some(("m", memory)), Some(("t", passes)), Some(("p", lanes))] = fields.as_slice() else {
        return Err(StoredHashError::Malformed);
    };
    let (memory, passes, lanes) = (decimal(memory)?, decimal(passes)?, decimal(lanes)?);
    let work = u64::from(memory) * u64::from(passes);
    if memory > MEMORY_KIB_MAX || work > WORK_KIB_MAX || lanes > LANES_MAX {
        return Err(StoredHashError::TooExpensive);
    }
    Params::new(memory, passes, lanes, None).map_err(|_| StoredHashError::Malformed)
}
