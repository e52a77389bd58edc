//! Gossip over a mesh: each node passes what it hears first on to a few neighbours.
//!
//! The way of a message is worked out when it is said: every neighbour of whoever has it gets it after a
//! delay of its own, and passes it on at once. So a message to ten thousand nodes is ten thousand
//! events and not one for every copy.
//!
//! Invariants: the degree is bounded, whatever the number of nodes; what a node hears again it does not
//! pass on. What it is not: gossipsub to the letter. There is no control traffic, the mesh does not
//! change, and whoever is down or cut off when a message is said misses it until it is said again.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use rand::Rng;

use super::bus::Bus;
use super::event::Event;
use super::packet::Packet;
use super::seed::Seed;
use super::traffic::Plane;

/// Who passes on to whom.
#[derive(Debug)]
pub(super) struct Mesh {
    neighbours: Vec<Vec<usize>>,
    /// Who is up, and passes on.
    up: Vec<bool>,
}

impl Mesh {
    /// A random mesh: each node chooses half of the degree, and is chosen about as often.
    pub(super) fn new(seed: &Seed, nodes: usize, degree: usize) -> Self {
        let mut rng = seed.rng();
        let mut sets = vec![BTreeSet::new(); nodes];
        let chosen = (degree / 2).min(nodes.saturating_sub(1));
        for node in 0..nodes {
            let mut own = 0;
            while own < chosen && sets[node].len() + 1 < nodes {
                let peer = rng.random_range(0..nodes);
                if peer != node && sets[node].insert(peer) {
                    sets[peer].insert(node);
                    own += 1;
                }
            }
        }
        let neighbours = sets.into_iter().map(|set| set.into_iter().collect()).collect();
        Self { neighbours, up: vec![false; nodes] }
    }
}

impl Bus {
    /// A node has come up, or gone down.
    pub(super) fn set_up(&mut self, node: usize, up: bool) {
        self.mesh.iter_mut().for_each(|mesh| mesh.up[node] = up);
    }

    /// Says something to everyone over the mesh, if there is one.
    pub(super) fn gossip(&mut self, from: usize, packet: &Packet, bytes: u64) {
        let Some(mesh) = self.mesh.take() else { return };
        let mut arrives = vec![None; mesh.neighbours.len()];
        let mut way = BinaryHeap::from([Reverse((self.now_ms, from, from))]);
        while let Some(Reverse((at_ms, node, came_from))) = way.pop() {
            if arrives[node].is_some() || !mesh.up[node] {
                continue;
            }
            arrives[node] = Some(at_ms);
            for peer in mesh.neighbours[node].iter().filter(|peer| **peer != came_from) {
                self.traffic.sent(node, Plane::Gossip, bytes);
                for delay_ms in self.network.fates(node, *peer, &mut self.counts) {
                    self.traffic.received(*peer, Plane::Gossip, bytes);
                    way.push(Reverse((at_ms + delay_ms, *peer, node)));
                }
            }
        }
        self.mesh = Some(mesh);
        for (to, at_ms) in arrives.into_iter().enumerate().filter(|(to, _)| *to != from) {
            if let Some(at_ms) = at_ms {
                self.queue.push(at_ms, Event::Deliver { to, from, packet: packet.clone() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_reaches_everyone_with_few_neighbours() {
        for nodes in [2, 10, 1_000] {
            let mesh = Mesh::new(&Seed::root(1), nodes, 8);
            let most = mesh.neighbours.iter().map(Vec::len).max();
            assert!(most <= Some(24), "{most:?}");
            let (mut seen, mut next) = (BTreeSet::from([0]), vec![0]);
            while let Some(node) = next.pop() {
                next.extend(mesh.neighbours[node].iter().filter(|peer| seen.insert(**peer)));
            }
            assert_eq!(seen.len(), nodes);
        }
    }
}
