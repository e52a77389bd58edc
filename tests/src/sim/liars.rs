//! Who lies, how, and who is two.
//!
//! A liar with two faces is two nodes with one key: each shows itself to half of the others, so that
//! it commits, proposes and votes twice wherever it has a say (the "twins" of Bano et al. 2020, arXiv
//! 2004.10617). Its second face has a number behind those of all nodes.
//!
//! Invariants: others know a liar by one number, and reach the same face of it every time.
//! What it is not: the lies (see `byzantine`).

use std::collections::{BTreeMap, BTreeSet};

use super::byzantine::Lie;
use super::plan::Plan;
use super::scenario::Cast;

/// All liars of a run.
#[derive(Debug)]
pub(super) struct Liars {
    nodes: usize,
    lies: BTreeMap<usize, BTreeSet<Lie>>,
    /// Whose second faces they are, which have the numbers from `nodes` on.
    second: Vec<usize>,
    /// The side on which each node sees the first face of liars, or the second.
    sees_second: Vec<bool>,
}

impl Liars {
    pub(super) fn new(plan: &Plan, cast: Cast) -> Self {
        let nodes = cast.nodes();
        let lies: BTreeMap<usize, BTreeSet<Lie>> = (0..nodes)
            .map(|node| (node, plan.lies_of(node)))
            .filter(|(_, lies)| !lies.is_empty())
            .collect();
        let two_faced = lies.iter().filter(|(_, lies)| lies.contains(&Lie::TwoFaces));
        let second: Vec<usize> = two_faced.map(|(node, _)| *node).collect();
        // Honest stewards see them in turn, so that both faces have somebody to deceive.
        let mut sees_second: Vec<bool> = (0..nodes).map(|node| node % 2 == 1).collect();
        let honest = (0..cast.stewards).filter(|node| !lies.contains_key(node));
        for (rank, node) in honest.enumerate() {
            sees_second[node] = rank % 2 == 1;
        }
        Self { nodes, lies, second, sees_second }
    }

    /// Nodes and second faces together.
    pub(super) fn everyone(&self) -> usize {
        self.nodes + self.second.len()
    }

    /// How many nodes others know of.
    pub(super) fn known(&self) -> usize {
        self.nodes
    }

    /// The number by which others know this node or face.
    pub(super) fn identity(&self, node: usize) -> usize {
        if node < self.nodes { node } else { self.second[node - self.nodes] }
    }

    /// The lies of a node or face; none if it is honest.
    pub(super) fn lies(&self, node: usize) -> BTreeSet<Lie> {
        self.lies.get(&self.identity(node)).cloned().unwrap_or_default()
    }

    /// Whether it lies.
    pub(super) fn is_liar(&self, node: usize) -> bool {
        self.lies.contains_key(&self.identity(node))
    }

    /// The node or face that gets what `from` sends to `to`; none if `from` hides from it.
    pub(super) fn route(&self, from: usize, to: usize) -> Option<usize> {
        if self.second.is_empty() {
            return Some(to);
        }
        let sender = self.identity(from);
        let own = self.second.contains(&sender).then_some(from >= self.nodes);
        if let Some(at) = self.second.iter().position(|liar| *liar == to) {
            let second = own.unwrap_or(self.sees_second[sender]);
            return Some(if second { self.nodes + at } else { to });
        }
        let hides = own.is_some_and(|second| second != self.sees_second[to]);
        (!hides).then_some(to)
    }
}
