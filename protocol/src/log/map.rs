//! A verifiable map from 32-byte keys to 32-byte values: one root, and short proofs that a key has
//! a value or that it has none.
//!
//! Beside a log it shows what the log cannot: "under this root there is no record for this work".
//! The map is computed from the log's entries alone, so whoever has them can compute the root too;
//! a log states it in a line of its checkpoint, see [`root_line`].
//!
//! # The rules, for other implementations
//!
//! All hashes are SHA-256; `||` joins bytes; the three names are ASCII and `\n` is one byte.
//!
//! ```text
//! position(key)     = SHA-256("accord/map/position/v1\n" || key)
//! root of no entry  = SHA-256("accord/map/empty/v1\n")
//! leaf(p, value)    = SHA-256("accord/map/leaf/v1\n" || p || value)
//! branch(b, l, r)   = SHA-256("accord/map/branch/v1\n" || b || l || r)
//! ```
//!
//! The root of one entry is its leaf. The root of several is `branch(b, l, r)`, where `b` (one
//! byte) is the first bit, counted from 0 at the most significant bit of byte 0, in which their
//! positions differ; `l` is the root of the entries whose bit `b` is 0 and `r` of those with 1.
//!
//! A proof for a key is empty if the map is. Otherwise it is a leaf's `p || value`, then for each
//! branch from the root down to that leaf its `b || sibling`, 33 bytes each. It holds if
//!
//! 1. the bits `b` increase strictly from step to step, and `p` equals `position(key)` in each;
//! 2. from `leaf(p, value)`, going through the steps from last to first, with the sibling on the
//!    right where bit `b` of `p` is 0 and on the left where it is 1, one arrives at the root.
//!
//! Then the key has `value` if `p` is `position(key)`, and no value otherwise.
//!
//! Invariants: the root depends on the set of entries only, not on their order or history. Under
//! one root, however it was made, no key can be shown both to have a value and to have none, nor
//! to have two: which way to go at a branch depends on the key and on `b`, which the branch's hash
//! binds, so every key leads to one leaf. Positions are hashes, so nobody can choose keys that make
//! the proofs of others long: about `log2(n) + 1` steps, some 30 at most for ten million entries.
//!
//! What it is not: history (a proof is of the map as it is; to prove something of an older root,
//! take the proof then, or build the map from the log's first entries again), and no judge of
//! whether the values follow from the log. An entry takes 108 bytes of memory (twice that while the
//! map grows), and an insertion one hash at once and `log2(n) + 2` before the next root or proof,
//! shared by all insertions in between.

use super::checkpoint::Checkpoint;
use super::tree::TreeHash;
use crate::limits::{MAP_ENTRIES_MAX, MAP_PROOF_STEPS_MAX};

const POSITION: &[u8] = b"accord/map/position/v1\n";
const EMPTY: &[u8] = b"accord/map/empty/v1\n";
const LEAF: &[u8] = b"accord/map/leaf/v1\n";
const BRANCH: &[u8] = b"accord/map/branch/v1\n";
/// Before the root in a checkpoint's extension line.
const ROOT_LINE: &str = "accord/map/v1 ";

/// Where a key is in the map: the hash of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position([u8; 32]);

impl Position {
    fn of(key: &[u8; 32]) -> Self {
        Self(*TreeHash::of_parts(&[POSITION, key]).as_bytes())
    }

    fn bit(&self, bit: u8) -> bool {
        self.0[usize::from(bit / 8)] >> (7 - bit % 8) & 1 == 1
    }

    /// The first bit in which two positions differ.
    fn first_difference(&self, other: &Self) -> Option<u8> {
        let byte = self.0.iter().zip(&other.0).position(|(a, b)| a != b)?;
        Some((byte * 8) as u8 + (self.0[byte] ^ other.0[byte]).leading_zeros() as u8)
    }
}

/// An entry: its position and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leaf {
    position: Position,
    value: [u8; 32],
}

impl Leaf {
    fn hash(&self) -> TreeHash {
        TreeHash::of_parts(&[LEAF, &self.position.0, &self.value])
    }
}

fn branch_hash(bit: u8, left: &TreeHash, right: &TreeHash) -> TreeHash {
    TreeHash::of_parts(&[BRANCH, &[bit], left.as_bytes(), right.as_bytes()])
}

/// A leaf or a branch, by its index; the highest bit says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node(u32);

enum NodeIndex {
    Leaf(usize),
    Branch(usize),
}

impl Node {
    const BRANCH: u32 = 1 << 31;

    fn leaf(index: usize) -> Self {
        Self(index as u32)
    }

    fn branch(index: usize) -> Self {
        Self(index as u32 | Self::BRANCH)
    }

    fn index(self) -> NodeIndex {
        let index = (self.0 & !Self::BRANCH) as usize;
        if self.0 & Self::BRANCH == 0 { NodeIndex::Leaf(index) } else { NodeIndex::Branch(index) }
    }
}

#[derive(Debug, Clone)]
struct Branch {
    children: [Node; 2],
    hash: TreeHash,
    bit: u8,
    /// Whether something below has changed since `hash` was computed. If so, it has above too.
    is_stale: bool,
}

/// The map is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the map has {MAP_ENTRIES_MAX} entries, which is all it can hold")]
pub struct MapFullError;

/// The map, in memory.
#[derive(Debug, Clone, Default)]
pub struct Map {
    leaves: Vec<Leaf>,
    branches: Vec<Branch>,
    top: Option<Node>,
}

impl Map {
    /// The map of these entries, the last of a key's values being its value. It is twice
    /// as fast as inserting them one by one, since neighbours come together.
    pub fn from_entries(
        entries: impl IntoIterator<Item = ([u8; 32], [u8; 32])>,
    ) -> Result<Self, MapFullError> {
        let leaf = |(key, value)| Leaf { position: Position::of(&key), value };
        let mut leaves: Vec<Leaf> =
            entries.into_iter().take(MAP_ENTRIES_MAX + 1).map(leaf).collect();
        if leaves.len() > MAP_ENTRIES_MAX {
            return Err(MapFullError);
        }
        leaves.sort_by_key(|leaf| leaf.position);
        let mut map = Self::default();
        for leaf in leaves {
            map.insert_leaf(leaf)?;
        }
        Ok(map)
    }

    /// How many keys have a value.
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    /// Whether no key has a value.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// The value of a key.
    pub fn value(&self, key: &[u8; 32]) -> Option<[u8; 32]> {
        let position = Position::of(key);
        let leaf = self.leaves[self.nearest(&position)?];
        (leaf.position == position).then_some(leaf.value)
    }

    /// Gives a key a value, in place of the one before, which is returned.
    pub fn insert(
        &mut self,
        key: &[u8; 32],
        value: [u8; 32],
    ) -> Result<Option<[u8; 32]>, MapFullError> {
        self.insert_leaf(Leaf { position: Position::of(key), value })
    }

    fn insert_leaf(&mut self, leaf: Leaf) -> Result<Option<[u8; 32]>, MapFullError> {
        let Some(nearest) = self.nearest(&leaf.position) else {
            self.leaves.push(leaf);
            self.top = Some(Node::leaf(0));
            return Ok(None);
        };
        let difference = leaf.position.first_difference(&self.leaves[nearest].position);
        if difference.is_some() && self.leaves.len() == MAP_ENTRIES_MAX {
            return Err(MapFullError);
        }
        // Where the new branch belongs: below all that branch at an earlier bit.
        let (mut at, mut above) = (self.top.unwrap_or_else(|| Node::leaf(nearest)), None);
        while let NodeIndex::Branch(index) = at.index() {
            let branch = &mut self.branches[index];
            if difference.is_some_and(|bit| branch.bit > bit) {
                break;
            }
            branch.is_stale = true;
            let side = usize::from(leaf.position.bit(branch.bit));
            (at, above) = (branch.children[side], Some((index, side)));
        }
        let Some(bit) = difference else {
            return Ok(Some(std::mem::replace(&mut self.leaves[nearest].value, leaf.value)));
        };
        let added = Node::leaf(self.leaves.len());
        self.leaves.push(leaf);
        let children = if leaf.position.bit(bit) { [at, added] } else { [added, at] };
        let branch = Node::branch(self.branches.len());
        self.branches.push(Branch { children, hash: TreeHash::EMPTY, bit, is_stale: true });
        match above {
            Some((index, side)) => self.branches[index].children[side] = branch,
            None => self.top = Some(branch),
        }
        Ok(None)
    }

    /// The map's root.
    pub fn root(&mut self) -> TreeHash {
        match self.top {
            Some(top) => self.hash(top),
            None => empty_root(),
        }
    }

    /// The proof of a key's value, or of its absence, under the root as it is.
    pub fn prove(&mut self, key: &[u8; 32]) -> MapProof {
        self.root();
        let position = Position::of(key);
        let (mut at, mut steps) = (self.top, Vec::new());
        while let Some(node) = at {
            match node.index() {
                NodeIndex::Leaf(index) => {
                    return MapProof { leaf: Some(self.leaves[index]), steps };
                }
                NodeIndex::Branch(index) => {
                    let Branch { children, bit, .. } = self.branches[index];
                    let side = usize::from(position.bit(bit));
                    steps.push((bit, self.hash(children[1 - side])));
                    at = Some(children[side]);
                }
            }
        }
        MapProof { leaf: None, steps }
    }

    /// The leaf to which a position leads, which is its own if it has one.
    fn nearest(&self, position: &Position) -> Option<usize> {
        let mut at = self.top?;
        loop {
            match at.index() {
                NodeIndex::Leaf(index) => return Some(index),
                NodeIndex::Branch(index) => {
                    let branch = &self.branches[index];
                    at = branch.children[usize::from(position.bit(branch.bit))];
                }
            }
        }
    }

    /// A node's hash. Bits increase downwards, so this recurs 256 times at most.
    fn hash(&mut self, node: Node) -> TreeHash {
        match node.index() {
            NodeIndex::Leaf(index) => self.leaves[index].hash(),
            NodeIndex::Branch(index) => {
                let Branch { children, bit, is_stale, hash } = self.branches[index];
                if !is_stale {
                    return hash;
                }
                let (left, right) = (self.hash(children[0]), self.hash(children[1]));
                let branch = &mut self.branches[index];
                branch.hash = branch_hash(bit, &left, &right);
                branch.is_stale = false;
                branch.hash
            }
        }
    }
}

/// Why a map's proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MapProofError {
    /// Not a leaf and up to [`MAP_PROOF_STEPS_MAX`] steps of 33 bytes.
    #[error("{0} bytes are not a proof")]
    Length(usize),
    /// The bits do not increase, or the leaf is not where the key leads.
    #[error("the proof does not follow the key")]
    Path,
    /// The proof does not lead to the root.
    #[error("the proof does not lead to the root")]
    Root,
}

/// The proof of a key's value or absence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapProof {
    leaf: Option<Leaf>,
    /// Bit and sibling, from the root down.
    steps: Vec<(u8, TreeHash)>,
}

impl MapProof {
    /// How many hashes the proof has.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether the proof has no hashes: the map has one entry at most.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The value that the map with this root has for the key; `None` if the key is not in it.
    pub fn verify(
        &self,
        key: &[u8; 32],
        root: &TreeHash,
    ) -> Result<Option<[u8; 32]>, MapProofError> {
        let position = Position::of(key);
        let Some(leaf) = self.leaf else {
            let is_empty = self.steps.is_empty() && *root == empty_root();
            return if is_empty { Ok(None) } else { Err(MapProofError::Root) };
        };
        let increase = self.steps.is_sorted_by(|(a, _), (b, _)| a < b);
        let follows = |(bit, _): &(u8, TreeHash)| position.bit(*bit) == leaf.position.bit(*bit);
        if !increase || !self.steps.iter().all(follows) {
            return Err(MapProofError::Path);
        }
        let mut hash = leaf.hash();
        for (bit, sibling) in self.steps.iter().rev() {
            hash = match leaf.position.bit(*bit) {
                false => branch_hash(*bit, &hash, sibling),
                true => branch_hash(*bit, sibling, &hash),
            };
        }
        if hash != *root {
            return Err(MapProofError::Root);
        }
        Ok((leaf.position == position).then_some(leaf.value))
    }

    /// The bytes of the proof: nothing, or `p || value` and then `b || sibling` from the root down.
    pub fn to_bytes(&self) -> Vec<u8> {
        let leaf = self.leaf.map(|leaf| [leaf.position.0, leaf.value].concat());
        let steps = self
            .steps
            .iter()
            .flat_map(|(bit, sibling)| [&[*bit], &sibling.as_bytes()[..]].concat());
        leaf.into_iter().flatten().chain(steps).collect()
    }

    /// Reads untrusted bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, MapProofError> {
        let length = MapProofError::Length(bytes.len());
        let Some((position, rest)) = bytes.split_first_chunk() else {
            return if bytes.is_empty() {
                Ok(Self { leaf: None, steps: Vec::new() })
            } else {
                Err(length)
            };
        };
        let (value, rest) = rest.split_first_chunk().ok_or(length)?;
        let (steps, rest) = rest.as_chunks::<33>();
        if !rest.is_empty() || steps.len() > MAP_PROOF_STEPS_MAX {
            return Err(length);
        }
        let step = |[bit, sibling @ ..]: &[u8; 33]| (*bit, TreeHash::from_bytes(*sibling));
        let leaf = Leaf { position: Position(*position), value: *value };
        Ok(Self { leaf: Some(leaf), steps: steps.iter().map(step).collect() })
    }
}

/// The extension line by which a checkpoint states the map's root: the map that follows from the
/// log's entries up to the checkpoint's size. The log signs it; witnesses do not check it.
pub fn root_line(root: &TreeHash) -> String {
    format!("{ROOT_LINE}{root}")
}

/// The map's root that a checkpoint states, if it states exactly one.
pub fn stated_root(checkpoint: &Checkpoint) -> Option<TreeHash> {
    let mut lines = checkpoint.extensions().iter().filter_map(|line| line.strip_prefix(ROOT_LINE));
    let root = TreeHash::from_base64(lines.next()?)?;
    lines.next().is_none().then_some(root)
}

fn empty_root() -> TreeHash {
    TreeHash::of_parts(&[EMPTY])
}

#[cfg(test)]
#[path = "tests/map.rs"]
mod tests;
