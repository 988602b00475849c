//! Raw Ed25519: how often a signature could be verified here at most, with nothing around it.
//!
//! The same crate as the server's, and a text as long as what is signed of an access token.

use std::hint::black_box;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::raw::answer_turns;

/// What makes this program verify.
pub(crate) const ARGUMENT: &str = "be-raw-verify";

/// What is signed of an access token, in bytes.
const SIGNED_BYTES: usize = 560;

/// Verifies signatures when it is told to.
pub(crate) fn run() -> anyhow::Result<()> {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]);
    let pair = pair.map_err(|error| anyhow::anyhow!("a key: {error}"))?;
    let text = [b'x'; SIGNED_BYTES];
    let signature = pair.sign(&text);
    let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref().to_vec());
    answer_turns(|| {
        let verified = public.verify(black_box(&text), signature.as_ref());
        verified.map_err(|error| anyhow::anyhow!("verifying: {error}"))
    })
}
