//! Raw argon2id: how often a password could be verified here at most, with nothing around it.
//!
//! The same crate, the same parameters and memory that is reused.

use std::hint::black_box;

use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::raw::answer_turns;

/// What makes this program hash.
pub(crate) const ARGUMENT: &str = "be-raw-hash";

/// The parameters of new hashes in the server.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const TAG_BYTES: usize = 32;

/// Verifies passwords when it is told to.
pub(crate) fn run() -> anyhow::Result<()> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(TAG_BYTES))
        .map_err(|error| anyhow::anyhow!("the parameters: {error}"))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut memory = vec![Block::new(); argon2.params().block_count()];
    let mut tag = |password: &[u8]| -> anyhow::Result<[u8; TAG_BYTES]> {
        let mut tag = [0; TAG_BYTES];
        argon2
            .hash_password_into_with_memory(password, b"sixteen bytes of", &mut tag, &mut memory)
            .map_err(|error| anyhow::anyhow!("hashing: {error}"))?;
        Ok(tag)
    };
    let stored = tag(b"nine slow herons")?;
    answer_turns(|| {
        let found = tag(black_box(b"nine slow herons"))?;
        anyhow::ensure!(found == stored, "hashing the same twice gives two tags");
        Ok(())
    })
}
