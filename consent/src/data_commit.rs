//! The data commit: what a trainer binds itself to have used and left out.
//!
//! Leaves of the two trees ([`protocol::merkle`]), sorted by their bytes, doubles kept, as a table
//! may hold one row twice:
//!
//! ```text
//! used:     content id (32 bytes)
//! excluded: content id (32 bytes), id of the record that excluded it (32 bytes; zeros where no
//!           record did but the policy's silence)
//! ```
//!
//! Invariants: the order in which samples were gated does not count.
//! What it is not: proof that nothing else was used; it is what the trainer can be held to.

use protocol::round::DataCommit;
use protocol::{ContentId, FileHash, merkle};

use crate::denial::Denial;
use crate::policy::Policy;

/// Commits to the works used and those denied, all decided on one `frontier` (its id) under one
/// policy. Of a denial with several records the first is named.
pub fn commit_data(
    used: &[ContentId],
    denials: &[Denial],
    frontier: FileHash,
    policy: &Policy,
) -> DataCommit {
    let mut used_leaves: Vec<&[u8; 32]> = used.iter().map(ContentId::as_bytes).collect();
    used_leaves.sort_unstable();
    let mut excluded_leaves: Vec<[u8; 64]> = denials.iter().map(excluded_leaf).collect();
    excluded_leaves.sort_unstable();
    DataCommit {
        used_root: merkle::root(used_leaves),
        used: used.len() as u64,
        excluded_root: merkle::root(excluded_leaves),
        excluded: denials.len() as u64,
        frontier,
        policy: policy.hash(),
    }
}

/// The leaf of a work that was left out.
pub fn excluded_leaf(denial: &Denial) -> [u8; 64] {
    let mut leaf = [0; 64];
    leaf[..32].copy_from_slice(denial.work.as_bytes());
    if let Some(record) = denial.records.first() {
        leaf[32..].copy_from_slice(record.as_bytes());
    }
    leaf
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denial::DenialReason;
    use crate::use_atom::Use;
    use protocol::RecordId;

    fn denial(work: &[u8], records: &[&[u8]]) -> Denial {
        Denial {
            work: ContentId::of(work),
            about: Use::TrainOther,
            reason: DenialReason::Denied,
            records: records.iter().map(|record| RecordId::of(record)).collect(),
            found: None,
        }
    }

    #[test]
    fn order_does_not_count_and_everything_else_does() {
        let policy = Policy::default();
        let frontier = FileHash::of(b"frontier");
        let used = [ContentId::of(b"1"), ContentId::of(b"2"), ContentId::of(b"2")];
        let denials = [denial(b"3", &[b"record"]), denial(b"4", &[])];
        let commit = commit_data(&used, &denials, frontier, &policy);
        assert_eq!((commit.used, commit.excluded), (3, 2));
        assert_eq!((commit.frontier, commit.policy), (frontier, policy.hash()));

        let (mut turned, mut turned_denials) = (used, denials.clone());
        turned.reverse();
        turned_denials.reverse();
        assert_eq!(commit_data(&turned, &turned_denials, frontier, &policy), commit);

        let once = commit_data(&used[..2], &denials, frontier, &policy);
        assert_ne!(once.used_root, commit.used_root);
        let other = [denial(b"3", &[b"another record"]), denial(b"4", &[])];
        let other = commit_data(&used, &other, frontier, &policy);
        assert_ne!(other.excluded_root, commit.excluded_root);
    }
}
