//! The memory that one thread hashes in.
//!
//! argon2 wants 19 MiB for every hash. Taking it anew costs page faults, so a thread keeps it
//! between hashes; keeping it for ever would make an idle server ten times as large as it has to
//! be, so it goes back when nobody logs in for a while. It holds traces of the last password until
//! it is wiped, which happens before it goes back.

use argon2::Block;
use zeroize::Zeroize;

use super::stored::argon2::TODAY_MEMORY_KIB;

/// The blocks are always reserved at least this large, though only what is used is ever resident.
/// glibc returns a freed allocation to the system at once only if it is mapped on its own; freeing
/// one below 32 MiB teaches it to serve the next one of that size from its heap, which it keeps.
/// Above 32 MiB (`DEFAULT_MMAP_THRESHOLD_MAX`) it never learns that.
const RESERVED_BLOCKS_MIN: usize = 33 * 1024;

/// There is no memory for this hash.
#[derive(Debug)]
pub(crate) struct OutOfMemory;

/// One thread's blocks, kept between hashes.
#[derive(Default)]
pub(crate) struct Memory {
    blocks: Vec<Block>,
}

impl Memory {
    /// `count` blocks of 1 KiB. What they hold is of no meaning.
    pub(super) fn blocks(&mut self, count: usize) -> Result<&mut [Block], OutOfMemory> {
        if self.blocks.len() < count {
            self.release();
            self.blocks
                .try_reserve_exact(count.max(RESERVED_BLOCKS_MIN))
                .map_err(|_| OutOfMemory)?;
            self.blocks.resize(count, Block::new());
        }
        Ok(&mut self.blocks[..count])
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Gives back what only an imported hash needed: such hashes are rare and their memory large.
    pub(super) fn release_excess(&mut self) {
        if self.blocks.len() > TODAY_MEMORY_KIB as usize {
            self.release();
        }
    }

    /// Wipes everything and gives it back to the system.
    pub(super) fn release(&mut self) {
        for block in &mut self.blocks {
            block.zeroize();
        }
        self.blocks = Vec::new();
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const TODAY: usize = TODAY_MEMORY_KIB as usize;

    /// Resident memory of this process in KiB, from the second field of `statm` (pages of 4 KiB on
    /// every machine that runs the tests; a larger page only makes the bounds easier to keep).
    fn resident_kib() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
        let pages = statm.split(' ').nth(1).and_then(|field| field.parse::<usize>().ok());
        pages.expect("the second field is a number") * 4
    }

    /// Other tests of this process use memory too, so the measuring is done by a process that
    /// runs this test alone: `--exact` on its command line is how it knows that it is the one.
    #[test]
    fn released_memory_goes_back_to_the_system_every_time() {
        if !std::env::args().any(|argument| argument == "--exact") {
            let name = "hashing::memory::tests::released_memory_goes_back_to_the_system_every_time";
            let alone = Command::new(std::env::current_exe().expect("a test has a file"))
                .args(["--exact", name, "--test-threads=1"])
                .output()
                .expect("the test binary runs");
            let said = String::from_utf8_lossy(&alone.stdout).into_owned();
            assert!(alone.status.success() && said.contains("1 passed"), "{said}");
            return;
        }
        let mut memory = Memory::default();
        let before = resident_kib();
        for round in 0..4 {
            memory.blocks(TODAY).expect("19 MiB");
            assert!(resident_kib() > before + 18 * 1024, "round {round}: not resident");
            memory.release();
            assert!(resident_kib() < before + 2 * 1024, "round {round}: kept");
        }
    }

    #[test]
    fn blocks_are_kept_between_hashes_and_excess_is_given_back() {
        let mut memory = Memory::default();
        let first = memory.blocks(TODAY).expect("19 MiB").as_ptr();
        assert_eq!(memory.blocks(16).expect("less").as_ptr(), first);
        memory.release_excess();
        assert!(!memory.is_empty());
        memory.blocks(TODAY + 1).expect("a little more");
        memory.release_excess();
        assert!(memory.is_empty());
    }
}
