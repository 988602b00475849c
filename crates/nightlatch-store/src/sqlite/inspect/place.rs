//! Where a SQLite file is: its folder, its rights, and the disk beneath.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};

use super::super::file;

/// Where the file is, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlitePlace {
    /// Absolute.
    pub path: PathBuf,
    /// Whom this process runs as.
    pub user: u32,
    /// Its folder.
    pub folder: SqliteFolder,
    /// What is there.
    pub file: SqliteFile,
    /// Of the disk; `None`: not known.
    pub space: Option<Space>,
    /// Whether the disk takes no changes.
    pub is_read_only: bool,
    /// What the file system is called, if it lies on another machine.
    pub network: Option<&'static str>,
}

/// The folder of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqliteFolder {
    /// It is not there, or is none.
    Missing,
    /// This process may not make files in it; who owns it, and its mode.
    Forbidden(u32, u32),
    /// It can be used.
    Usable,
}

/// What is at the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqliteFile {
    /// Nothing.
    Missing,
    /// Something else than a file.
    NotAFile,
    /// It is not known what, since the folder may not be entered.
    Hidden,
    /// A file, who owns it, and its mode.
    There {
        /// The number of a user.
        owner: u32,
        /// The rights.
        mode: u32,
        /// Whether this process may read and write it, and what lies beside it.
        is_usable: bool,
        /// Whether everybody on this machine may read it.
        is_exposed: bool,
    },
}

/// Room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// For who is not root.
    pub free: u64,
    /// In all.
    pub total: u64,
}

impl SqlitePlace {
    pub(super) fn of(path: &Path) -> Self {
        let parent = path.parent().unwrap_or_else(|| Path::new("/"));
        let (space, is_read_only) = disk(parent);
        Self {
            path: path.to_owned(),
            user: rustix::process::geteuid().as_raw(),
            folder: folder(parent),
            file: file_at(path, parent),
            space,
            is_read_only,
            network: network(parent),
        }
    }

    pub(super) fn may_be_opened(&self) -> bool {
        matches!(self.file, SqliteFile::There { is_usable: true, .. })
    }
}

fn folder(parent: &Path) -> SqliteFolder {
    match fs::metadata(parent) {
        Ok(meta) if meta.is_dir() => {
            // A disk that takes no changes is told apart.
            let may = access(parent, Access::WRITE_OK | Access::EXEC_OK);
            let is_forbidden = may.is_err_and(|errno| errno != rustix::io::Errno::ROFS);
            let (owner, mode) = (meta.uid(), mode(&meta));
            if is_forbidden { SqliteFolder::Forbidden(owner, mode) } else { SqliteFolder::Usable }
        }
        Ok(_) | Err(_) => SqliteFolder::Missing,
    }
}

fn file_at(path: &Path, parent: &Path) -> SqliteFile {
    let meta = match fs::metadata(path) {
        Ok(meta) if meta.is_file() => meta,
        Ok(_) => return SqliteFile::NotAFile,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return SqliteFile::Hidden,
        Err(_) => return SqliteFile::Missing,
    };
    let is_open = |meta: &Metadata, bit| mode(meta) & bit != 0;
    let may_others_enter = fs::metadata(parent).is_ok_and(|meta| is_open(&meta, 0o001));
    SqliteFile::There {
        owner: meta.uid(),
        mode: mode(&meta),
        is_usable: file::check_rights(path).is_ok(),
        is_exposed: is_open(&meta, 0o004) && may_others_enter,
    }
}

fn mode(meta: &Metadata) -> u32 {
    meta.mode() & 0o7777
}

fn disk(folder: &Path) -> (Option<Space>, bool) {
    let Ok(disk) = statvfs(folder) else { return (None, false) };
    let space = Space {
        free: disk.f_bavail.saturating_mul(disk.f_frsize),
        total: disk.f_blocks.saturating_mul(disk.f_frsize),
    };
    // What has no size of its own has no limit that could be told.
    (Some(space).filter(|space| space.total > 0), disk.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// By the numbers that `statfs(2)` lists.
#[cfg(target_os = "linux")]
fn network(folder: &Path) -> Option<&'static str> {
    let kind = u32::try_from(rustix::fs::statfs(folder).ok()?.f_type & 0xFFFF_FFFF).ok()?;
    match kind {
        0x6969 => Some("NFS"),
        0xFF53_4D42 | 0xFE53_4D42 | 0x517B => Some("SMB"),
        0x0102_1997 => Some("9P"),
        0x5346_414F | 0x6B41_4653 => Some("AFS"),
        0x00C3_6400 => Some("Ceph"),
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn network(_: &Path) -> Option<&'static str> {
    None
}
