//! Bytes that each node sends and receives, by what they are for.
//!
//! Invariants: what is lost on the way was sent and not received. What it is not: frames, handshakes and
//! control traffic of a real transport.

use std::collections::BTreeSet;
use std::ops::Range;

use protocol::FileHash;

/// What bytes are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// Messages of the run to everyone.
    Gossip,
    /// Updates of trainers.
    Updates,
    /// Models, outer states, frontiers, commits.
    Blobs,
    /// Questions, certificates and consent records between two.
    Answers,
}

/// Bytes one way and the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// Sent.
    pub sent: u64,
    /// Received.
    pub received: u64,
}

/// The bytes of all nodes.
#[derive(Debug, Default, Clone)]
pub struct Traffic {
    flows: Vec<[Flow; Plane::ALL.len()]>,
    updates: BTreeSet<FileHash>,
}

impl Plane {
    /// Every plane.
    pub const ALL: [Self; 4] = [Self::Gossip, Self::Updates, Self::Blobs, Self::Answers];
}

impl Traffic {
    pub(super) fn new(nodes: usize) -> Self {
        Self { flows: vec![Default::default(); nodes], updates: BTreeSet::new() }
    }

    pub(super) fn sent(&mut self, node: usize, plane: Plane, bytes: u64) {
        self.flows[node][plane as usize].sent += bytes;
    }

    pub(super) fn received(&mut self, node: usize, plane: Plane, bytes: u64) {
        self.flows[node][plane as usize].received += bytes;
    }

    /// Takes note that these bytes are an update.
    pub(super) fn is_update(&mut self, hash: FileHash) {
        self.updates.insert(hash);
    }

    /// What the bytes with this hash are for.
    pub(super) fn plane_of(&self, hash: &FileHash) -> Plane {
        if self.updates.contains(hash) { Plane::Updates } else { Plane::Blobs }
    }

    /// The mean over these nodes, and the most of one.
    pub fn of(&self, nodes: Range<usize>, plane: Plane) -> (Flow, Flow) {
        let (mut sum, mut most) = (Flow::default(), Flow::default());
        let count = nodes.len().max(1) as u64;
        for flow in self.flows[nodes].iter().map(|flows| flows[plane as usize]) {
            sum.sent += flow.sent;
            sum.received += flow.received;
            most.sent = most.sent.max(flow.sent);
            most.received = most.received.max(flow.received);
        }
        (Flow { sent: sum.sent / count, received: sum.received / count }, most)
    }
}
