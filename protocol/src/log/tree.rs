//! The Merkle tree of RFC 6962 section 2.1: SHA-256 over the entries of an append-only log.
//!
//! Invariants: an entry's hash is `SHA-256(0x00 || entry)`, an inner node's
//! `SHA-256(0x01 || left || right)`, the empty tree's `SHA-256("")`; the left subtree is the
//! largest power of two that leaves something to its right. A node `(level, index)` is the root of
//! the complete subtree over the entries `index << level` up to `(index + 1) << level`.
//! What it is not: the blake3 tree of [`crate::merkle`], or a store: hashes come from a
//! [`HashSource`].

use std::fmt;

use sha2::{Digest, Sha256};

use super::base64;
use crate::limits::LOG_SIZE_MAX;

/// A hash of the log's tree or of the [map](super::map): 32 bytes of SHA-256. Text form is base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash([u8; 32]);

impl TreeHash {
    /// The root of the tree without entries: `SHA-256("")`.
    pub const EMPTY: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9,
        0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52,
        0xb8, 0x55,
    ]);

    /// The hash of an entry, such as a consent record's exact envelope bytes.
    pub fn of_entry(entry: &[u8]) -> Self {
        Self::of_parts(&[&[0], entry])
    }

    /// The hash of an inner node.
    pub fn of_node(left: &Self, right: &Self) -> Self {
        let mut bytes = [1; 65];
        bytes[1..33].copy_from_slice(&left.0);
        bytes[33..].copy_from_slice(&right.0);
        Self(Sha256::digest(bytes).into())
    }

    /// The SHA-256 hash of the parts one after the other.
    pub(super) fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The hash with exactly these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of a base64 text, if it is one.
    pub fn from_base64(text: &str) -> Option<Self> {
        base64::decode(text)?.try_into().ok().map(Self)
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64::encode(&self.0))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeHash({})", hex::encode(&self.0[..5]))
    }
}

/// Where the hashes of complete subtrees come from: tiles, a store, or memory.
pub trait HashSource {
    /// Why a hash could not be had.
    type Error;

    /// The root of the complete subtree over the entries `index << level ..(index + 1) << level`.
    fn hash(&self, level: u8, index: u64) -> Result<TreeHash, Self::Error>;
}

/// Why an entry cannot be appended: the log has [`LOG_SIZE_MAX`] entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log has {LOG_SIZE_MAX} entries, which is all it can hold")]
pub struct FullError;

/// A tree's right edge: the roots of its complete subtrees, largest first. Enough to append to it
/// and to tell its root; at most 63 hashes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompactRange {
    size: u64,
    peaks: Vec<TreeHash>,
}

impl CompactRange {
    /// The tree of `size` entries whose hashes `source` has.
    pub fn read<S: HashSource>(size: u64, source: &S) -> Result<Self, S::Error> {
        let peaks = complete_subtrees(0, size)
            .map(|(level, index)| source.hash(level, index))
            .collect::<Result<_, _>>()?;
        Ok(Self { size, peaks })
    }

    /// How many entries the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds an entry by its hash. It makes one hash on average and 63 at most.
    pub fn append(&mut self, entry_hash: TreeHash) -> Result<(), FullError> {
        if self.size >= LOG_SIZE_MAX {
            return Err(FullError);
        }
        let mut hash = entry_hash;
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("a one bit of the size has its peak");
            hash = TreeHash::of_node(&left, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
        Ok(())
    }

    /// The tree's root.
    pub fn root(&self) -> TreeHash {
        fold_peaks(self.peaks.iter().copied()).unwrap_or(TreeHash::EMPTY)
    }
}

/// The root of the tree over these entries' hashes.
pub fn root(entry_hashes: impl IntoIterator<Item = TreeHash>) -> TreeHash {
    let mut range = CompactRange::default();
    for hash in entry_hashes {
        range.append(hash).expect("no one has that many hashes");
    }
    range.root()
}

/// The root of the subtree over the entries `start..end`, where `start` is a multiple of the
/// smallest power of two that is not below `end - start`.
pub(super) fn subtree_root<S: HashSource>(
    start: u64,
    end: u64,
    source: &S,
) -> Result<TreeHash, S::Error> {
    let mut peaks = Vec::new();
    for (level, index) in complete_subtrees(start, end) {
        peaks.push(source.hash(level, index)?);
    }
    Ok(fold_peaks(peaks.into_iter()).unwrap_or(TreeHash::EMPTY))
}

/// The complete subtrees that make up the entries `start..end`, largest first, as `(level, index)`.
fn complete_subtrees(start: u64, end: u64) -> impl Iterator<Item = (u8, u64)> {
    let mut at = start;
    std::iter::from_fn(move || {
        let level = (end - at).checked_ilog2()?;
        let subtree = (level as u8, at >> level);
        at += 1 << level;
        Some(subtree)
    })
}

/// The root over complete subtrees, largest first.
fn fold_peaks(peaks: impl DoubleEndedIterator<Item = TreeHash>) -> Option<TreeHash> {
    peaks.rev().reduce(|right, left| TreeHash::of_node(&left, &right))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The definition of RFC 6962, recursive and slow.
    pub(crate) fn defined(entries: &[TreeHash]) -> TreeHash {
        match entries {
            [] => TreeHash::of_parts(&[]),
            [entry] => *entry,
            _ => {
                let split = entries.len().next_power_of_two() / 2;
                TreeHash::of_node(&defined(&entries[..split]), &defined(&entries[split..]))
            }
        }
    }

    /// Entries in memory, hashed by the definition.
    pub(crate) struct Memory(pub(crate) Vec<TreeHash>);

    impl HashSource for Memory {
        type Error = std::convert::Infallible;

        fn hash(&self, level: u8, index: u64) -> Result<TreeHash, Self::Error> {
            let (start, end) = (index << level, (index + 1) << level);
            Ok(defined(&self.0[start as usize..end as usize]))
        }
    }

    pub(crate) fn entries(count: usize) -> Memory {
        Memory((0..count).map(|i| TreeHash::of_entry(&(i as u64).to_be_bytes())).collect())
    }

    #[test]
    fn the_root_is_the_defined_one_after_every_append() {
        let memory = entries(300);
        let mut range = CompactRange::default();
        assert_eq!(range.root(), TreeHash::EMPTY);
        for (size, hash) in memory.0.iter().enumerate() {
            assert_eq!(range.root(), defined(&memory.0[..size]), "{size} entries");
            assert_eq!(CompactRange::read(size as u64, &memory), Ok(range.clone()));
            range.append(*hash).expect("room");
        }
        assert_eq!(root(memory.0.iter().copied()), range.root());
    }

    #[test]
    fn a_full_log_takes_no_more() {
        let mut range = CompactRange { size: LOG_SIZE_MAX, peaks: vec![TreeHash::EMPTY; 63] };
        assert_eq!(range.append(TreeHash::EMPTY), Err(FullError));
        assert_eq!(LOG_SIZE_MAX.count_ones(), 63);
    }
}
