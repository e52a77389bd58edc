//! Places in the two sorted lists that a trainer's data commit binds: where a work would stand among
//! those used, and where it stands among those left out.
//!
//! Invariants: a work that two neighbours of a sorted list enclose is not in it.
//! What it is not: proof that the list is sorted. A trainer that commits to an unsorted list lies in
//! a way that shows as soon as the list is shown.

use protocol::round::DataCommit;
use protocol::{ContentId, FileHash, RecordId, merkle};
use serde::{Deserialize, Serialize};

/// A leaf of the list of used works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its place, from 0.
    pub index: u64,
    /// The work.
    pub content: ContentId,
    /// From the leaf's side to the root's.
    pub path: Vec<FileHash>,
}

/// The neighbours between which a work would stand: none on the left if it would be the first, none
/// on the right if it would be the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unused {
    /// The one before.
    pub left: Option<Neighbour>,
    /// The one after.
    pub right: Option<Neighbour>,
}

/// The place of a work in the list of those left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedProof {
    /// The place, from 0.
    pub index: u64,
    /// The record because of which; none where it was the policy's silence.
    pub record: Option<RecordId>,
    /// From the leaf's side to the root's.
    pub path: Vec<FileHash>,
}

impl Unused {
    /// The proof that `content` is not among the used works, which are sorted; none if it is.
    pub fn prove(used: &[[u8; 32]], content: &ContentId) -> Option<Self> {
        let at = used.binary_search(content.as_bytes()).err()?;
        let neighbour = |index: usize| {
            let content = ContentId::from_bytes(*used.get(index)?);
            Some(Neighbour { index: index as u64, content, path: merkle::path(used, index)? })
        };
        Some(Self { left: at.checked_sub(1).and_then(neighbour), right: neighbour(at) })
    }

    /// Whether it shows that `content` is not among the works that `data` says were used.
    pub fn holds(&self, content: &ContentId, data: &DataCommit) -> bool {
        let stands = |neighbour: &Neighbour| {
            let Neighbour { index, content, path } = neighbour;
            let root = merkle::root_of_path(content.as_bytes(), *index, data.used, path);
            root == Some(data.used_root)
        };
        let (left, right) = (self.left.as_ref(), self.right.as_ref());
        // How many works stand before the gap: both sides must say the same.
        let before = left.map_or(Some(0), |left| left.index.checked_add(1));
        let after = right.map_or(data.used, |right| right.index);
        before == Some(after)
            && (left.is_some() || right.is_some())
            && left.is_none_or(|left| left.content < *content && stands(left))
            && right.is_none_or(|right| *content < right.content && stands(right))
    }
}

impl ExcludedProof {
    /// The proof of the first leaf about `content`, if there is one. The leaves are sorted.
    pub fn prove(excluded: &[[u8; 64]], content: &ContentId) -> Option<Self> {
        let index = excluded.partition_point(|leaf| leaf[..32] < content.as_bytes()[..]);
        let leaf = excluded.get(index).filter(|leaf| leaf.starts_with(content.as_bytes()))?;
        let record: [u8; 32] = leaf[32..].try_into().ok()?;
        let record = (record != [0; 32]).then(|| RecordId::from_bytes(record));
        Some(Self { index: index as u64, record, path: merkle::path(excluded, index)? })
    }

    /// Whether it shows that `data` says `content` was left out because of this record.
    pub fn holds(&self, content: &ContentId, data: &DataCommit) -> bool {
        let record = self.record.map_or([0; 32], |record| *record.as_bytes());
        let leaf = [content.as_bytes().as_slice(), &record].concat();
        self.record != Some(RecordId::from_bytes([0; 32]))
            && merkle::root_of_path(&leaf, self.index, data.excluded, &self.path)
                == Some(data.excluded_root)
    }
}
