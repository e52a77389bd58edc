//! Who has which bytes, as a directory would say: among many nodes, to ask by chance finds nobody.
//!
//! Invariants: a few nodes for each hash, of those that had it last; being named proves nothing, a liar
//! may answer with something else. What it is not: a network. Asking the directory takes no time and
//! cannot fail; that is left to those who are asked.

use std::collections::BTreeMap;

use protocol::FileHash;
use protocol::limits::PROVIDERS_PER_KEY_MAX;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Nodes from which on there is a directory; fewer all know each other.
pub(super) const NODES_MIN: usize = 64;

/// The directory.
#[derive(Debug, Default)]
pub(super) struct Providers {
    known: BTreeMap<FileHash, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    nodes: Vec<u32>,
    told: usize,
}

impl Providers {
    /// A node has these bytes now.
    pub(super) fn tell(&mut self, hash: FileHash, node: usize) {
        let entry = self.known.entry(hash).or_default();
        let node = u32::try_from(node).expect("far fewer nodes");
        if entry.nodes.len() < PROVIDERS_PER_KEY_MAX {
            entry.nodes.push(node);
        } else {
            entry.nodes[entry.told % PROVIDERS_PER_KEY_MAX] = node;
        }
        entry.told += 1;
    }

    /// One of those who have these bytes, by chance.
    pub(super) fn any(&self, hash: &FileHash, rng: &mut ChaCha8Rng) -> Option<usize> {
        let nodes = &self.known.get(hash)?.nodes;
        Some(nodes[rng.random_range(0..nodes.len())] as usize)
    }
}
