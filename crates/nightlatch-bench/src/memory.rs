//! What an idle server keeps.

use crate::child::Resident;
use crate::report::Row;

/// The most, in bytes.
const BYTES_MAX: u64 = 25_000_000;

/// The row of one look at it.
pub(crate) fn row(what: String, resident: Resident) -> Row {
    let bytes = |kilobytes: u64| kilobytes * 1024;
    let (all, anonymous) = (bytes(resident.all), bytes(resident.anonymous));
    let said =
        format!("{} (without the program's own pages {})", megabytes(all), megabytes(anonymous));
    Row::new(what, said).with_aim("under 25 MB", all < BYTES_MAX)
}

pub(crate) fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn megabytes_are_of_a_million_bytes() {
        assert_eq!(megabytes(25_060_000), "25.0 MB");
        assert_eq!(megabytes(900_000), "0.9 MB");
    }
}
