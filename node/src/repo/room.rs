//! Whether the disk has room for what is about to be fetched.
//!
//! Invariants: where the system does not say, nothing is refused. What it is not: a reservation.
//! Others may fill the disk meanwhile, and then the store fails.

use std::io;
use std::path::Path;

/// What stays free beside a revision: for metadata, and for the runs that go on.
const SPARE_BYTES: u64 = 64 << 20;

/// Why a revision has no room.
#[derive(Debug, thiserror::Error)]
#[error(
    "it needs {} and {} beside, and {dir} has {} free: free some space",
    mebibytes(*needed),
    mebibytes(SPARE_BYTES),
    mebibytes(*free)
)]
pub(crate) struct NoRoom {
    needed: u64,
    free: u64,
    dir: String,
}

/// Checks that `dir`'s disk takes this many bytes more.
pub(super) fn check_room(dir: &Path, needed: u64) -> Result<(), NoRoom> {
    match free_bytes(dir) {
        Ok(Some(free)) => judge(dir, needed, free),
        Ok(None) => Ok(()),
        Err(error) => {
            tracing::debug!(%error, "cannot tell how much room there is");
            Ok(())
        }
    }
}

fn judge(dir: &Path, needed: u64, free: u64) -> Result<(), NoRoom> {
    if needed == 0 || needed.saturating_add(SPARE_BYTES) <= free {
        return Ok(());
    }
    Err(NoRoom { needed, free, dir: dir.display().to_string() })
}

/// The bytes that this user may still write; nothing if the system has no such call.
fn free_bytes(dir: &Path) -> io::Result<Option<u64>> {
    #[cfg(unix)]
    {
        let disk = rustix::fs::statvfs(dir)?;
        Ok(Some(disk.f_bavail.saturating_mul(disk.f_frsize)))
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        Ok(None)
    }
}

/// In MiB, rounded up.
fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_both_numbers() {
        let dir = Path::new("disk");
        assert!(judge(dir, 0, 0).is_ok(), "what is here needs no room");
        assert!(judge(dir, 10 << 20, SPARE_BYTES + (10 << 20)).is_ok());
        let said = judge(dir, 10 << 20, 3 << 20).expect_err("full").to_string();
        assert_eq!(
            said,
            "it needs 10 MiB and 64 MiB beside, and disk has 3 MiB free: free some space"
        );
        assert!(judge(dir, u64::MAX, u64::MAX - 1).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_disk_says_what_is_free() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(free_bytes(dir.path()).expect("asked").is_some());
        assert!(check_room(dir.path(), u64::MAX).is_err());
        assert!(check_room(&dir.path().join("missing"), 1).is_ok(), "nobody can tell");
    }
}
