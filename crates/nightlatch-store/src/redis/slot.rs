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

/// How many numbers are tried for one that leads to a slot. Below this every slot has one.
const TAGS_MAX: u32 = 1 << 18;

/// For each slot a number that leads there. It takes some milliseconds.
pub(super) fn tags() -> Vec<u32> {
    let mut tags = vec![None; usize::from(SLOTS)];
    for number in 0..TAGS_MAX {
        tags[usize::from(Slot::of(&number.to_string()).0)].get_or_insert(number);
    }
    tags.into_iter().map(Option::unwrap_or_default).collect()
}

fn tag(key: &str) -> &str {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    tag.map(|(tag, _)| tag).filter(|tag| !tag.is_empty()).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_number_that_leads_there() {
        for (slot, number) in (0..).zip(tags()) {
            assert_eq!(Slot::of(&number.to_string()), Slot(slot), "{number}");
        }
    }

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
