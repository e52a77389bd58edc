//! The lists behind this node's own data commits: works used and left out, sorted, by the root that
//! binds them, so that it can prove later what it left out.
//!
//! ```text
//! DIR/data-lists/ROOT.used       content ids, 32 bytes each
//! DIR/data-lists/ROOT.excluded   content id and record id, 64 bytes each
//! ```
//!
//! Invariants: rounds on the same data share their files; a list that is read has the root asked for;
//! all together have at most `DATA_LISTS_BYTES_MAX`, beyond which the oldest go.
//! What it is not: sent to anyone. A proof shows two neighbours of the work asked about, and no more.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use consent::Denial;
use consent::data_commit::excluded_leaf;
use protocol::limits::DATA_LISTS_BYTES_MAX;
use protocol::round::DataCommit;
use protocol::{ContentId, FileHash, merkle};

use crate::home::sync_dir;

/// The directory of the lists.
#[derive(Debug)]
pub(super) struct DataLists(PathBuf);

impl DataLists {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// Keeps the lists that `data` binds.
    pub(super) fn keep(
        &self,
        data: &DataCommit,
        used: &[ContentId],
        denials: &[Denial],
    ) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let mut used: Vec<[u8; 32]> = used.iter().map(|work| *work.as_bytes()).collect();
        used.sort_unstable();
        self.write(data.used_root, "used", &used.concat())?;
        let mut excluded: Vec<[u8; 64]> = denials.iter().map(excluded_leaf).collect();
        excluded.sort_unstable();
        self.write(data.excluded_root, "excluded", &excluded.concat())?;
        self.make_room(DATA_LISTS_BYTES_MAX)
    }

    /// The works used under this root; none if the list is gone or damaged.
    pub(super) fn used(&self, root: FileHash) -> Option<Vec<[u8; 32]>> {
        self.read(root, "used")
    }

    /// The works left out under this root, each with its record.
    pub(super) fn excluded(&self, root: FileHash) -> Option<Vec<[u8; 64]>> {
        self.read(root, "excluded")
    }

    fn read<const N: usize>(&self, root: FileHash, kind: &str) -> Option<Vec<[u8; N]>> {
        let bytes = fs::read(self.path(root, kind)).ok()?;
        let (leaves, rest) = bytes.as_chunks::<N>();
        (rest.is_empty() && merkle::root(leaves) == root).then(|| leaves.to_vec())
    }

    fn write(&self, root: FileHash, kind: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(root, kind);
        if path.exists() {
            // The newest use counts when room is made.
            return File::options().append(true).open(&path)?.set_modified(SystemTime::now());
        }
        let mut file = tempfile::Builder::new().tempfile_in(&self.0)?;
        io::Write::write_all(&mut file, bytes)?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
        sync_dir(&self.0)
    }

    /// Removes the oldest lists beyond so many bytes.
    fn make_room(&self, bytes_max: u64) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            files.push((meta.modified()?, meta.len(), entry.path()));
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, length, path) in files {
            if bytes <= bytes_max {
                break;
            }
            fs::remove_file(path)?;
            bytes -= length;
        }
        Ok(())
    }

    fn path(&self, root: FileHash, kind: &str) -> PathBuf {
        self.0.join(Path::new(&format!("{root}.{kind}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consent::{Policy, commit_data};

    #[test]
    fn lists_are_kept_once_and_the_oldest_make_room() {
        let dir = tempfile::tempdir().expect("a directory");
        let lists = DataLists::new(dir.path().join("lists"));
        let works: Vec<ContentId> = (0..5u8).map(|n| ContentId::of(&[n])).collect();
        let commit = |count| {
            commit_data(&works[..count], &[], FileHash::of(b"frontier"), &Policy::default())
        };
        for count in [3, 5, 3] {
            lists.keep(&commit(count), &works[..count], &[]).expect("kept");
        }
        let read = lists.used(commit(3).used_root).expect("there");
        assert!(read.len() == 3 && read.is_sorted());
        assert_eq!(fs::read_dir(&lists.0).expect("there").count(), 3, "two lists and an empty one");
        assert_eq!(lists.excluded(commit(3).excluded_root), Some(vec![]));
        assert_eq!(lists.used(commit(2).used_root), None);
        lists.make_room(3 * 32).expect("room");
        assert_eq!(lists.used(commit(5).used_root), None);
        assert!(lists.used(commit(3).used_root).is_some());
        let path = lists.path(commit(3).used_root, "used");
        fs::write(path, [7; 96]).expect("damaged");
        assert_eq!(lists.used(commit(3).used_root), None);
    }
}
