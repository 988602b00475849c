//! Small disks of a test's own, to be filled, made read-only, or cut off from their power.
//!
//! A fault that a real file system shows is shown by one: a stub of the driver would say what we
//! believe, not what the kernel does. Mounting needs root.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{give_to_server, run};

/// The name of the file that fills a disk.
const FILLER: &str = "filler";

/// A mounted disk. Dropped, it is unmounted.
pub struct SmallDisk {
    /// Outlives the mount.
    folder: TempDir,
    image: Option<PathBuf>,
}

impl SmallDisk {
    /// A disk in memory.
    #[must_use]
    pub fn in_memory(mebibytes: u32) -> Self {
        let folder = mount_point();
        let size = format!("size={mebibytes}m,mode=0755");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()));
        let disk = Self { folder, image: None };
        give_to_server(disk.path());
        disk
    }

    /// A disk in the file `image`, which is made: what the kernel has written to the disk is in
    /// it, what is only in the memory of the file system above is not.
    #[must_use]
    pub fn in_file(image: &Path, mebibytes: u64) -> Self {
        let file = File::create(image).expect("the temporary folder takes a file");
        file.set_len(mebibytes << 20).expect("the temporary folder has room");
        run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(image));
        let folder = mount_point();
        mount_file(image, folder.path());
        let disk = Self { folder, image: Some(image.to_owned()) };
        give_to_server(disk.path());
        disk
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file on it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut filler = File::create(self.file(FILLER)).expect("the disk has room for a name");
        for block in [vec![0_u8; 1 << 16], vec![0_u8; 1]] {
            loop {
                match filler.write(&block) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("filling a disk: {error}"),
                }
            }
        }
    }

    /// Makes room again.
    pub fn make_room(&self) {
        fs::remove_file(self.file(FILLER)).expect("the disk was filled");
    }

    /// Makes it read-only; nobody may have a file open for writing.
    pub fn make_read_only(&self) {
        self.remount("remount,ro");
    }

    /// Makes it writable again.
    pub fn make_writable(&self) {
        self.remount("remount,rw");
    }

    /// Takes the power away, and gives it back: the disk, from now on in the file `to`, has what
    /// it had been made to write by this moment, and nothing of what the kernel still held back.
    /// Nobody may use it meanwhile.
    pub fn cut_power(&mut self, to: &Path) {
        let image = self.image.replace(to.to_owned()).expect("only a disk in a file has power");
        fs::copy(&image, to).expect("the temporary folder has room");
        run(Command::new("umount").arg(self.path()));
        mount_file(to, self.path());
    }

    fn remount(&self, how: &str) {
        run(Command::new("mount").args(["-o", how]).arg(self.path()));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that is still dying must not keep it.
        let umount = Command::new("umount").arg("--lazy").arg(self.folder.path()).output();
        if !std::thread::panicking() {
            let done = umount.expect("umount (package mount) starts");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
    }
}

fn mount_file(image: &Path, folder: &Path) {
    run(Command::new("mount").args(["-t", "ext4", "-o", "loop"]).arg(image).arg(folder));
}

fn mount_point() -> TempDir {
    assert!(crate::process::is_root(), "small disks are mounted, which needs root");
    tempfile::Builder::new()
        .prefix("nightlatch-disk-")
        .tempdir()
        .expect("the temporary folder takes a folder")
}
