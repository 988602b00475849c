//! The slots over which a Cluster spreads its keys:
//! <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.

use crc::{CRC_16_XMODEM, Crc};

/// How many there are.
pub(super) const SLOTS: u16 = 16384;

const CHECKSUM: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// The slot of a key, below [`SLOTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u16);

impl Slot {
    /// Of a key. Where one holds braces with something between them, that alone decides.
    pub(super) fn of(key: &str) -> Self {
        Self(CHECKSUM.checksum(tag(key).as_bytes()) % SLOTS)
    }

    pub(super) const fn number(self) -> u16 {
        self.0
    }
}

fn tag(key: &str) -> &str {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    tag.map(|(tag, _)| tag).filter(|tag| !tag.is_empty()).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `CLUSTER KEYSLOT` of Redis 7 says.
    #[test]
    fn keys_have_the_slots_that_redis_gives_them() {
        for (key, slot) in [
            ("123456789", 12739),
            ("foo", 12182),
            ("{foo}bar", 12182),
            ("a{foo}b{c}", 12182),
            ("{}foo", 9500),
            ("", 0),
        ] {
            assert_eq!(Slot::of(key), Slot(slot), "{key}");
        }
    }
}
