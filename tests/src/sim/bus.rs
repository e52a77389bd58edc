//! What all nodes share: the time, the queue, the network, and those who watch.
//!
//! Invariants: nodes reach each other only through here. What it is not: seen by nodes otherwise.

use std::sync::Arc;

use protocol::FileHash;

use super::checker::Checker;
use super::counts::Counts;
use super::event::{Event, Local, Queue};
use super::facts::Facts;
use super::library::Library;
use super::mesh::Mesh;
use super::network::Network;
use super::opened::Opened;
use super::packet::Packet;
use super::providers::{NODES_MIN, Providers};
use super::report::Violation;
use super::trace::Trace;
use super::traffic::Traffic;

/// What handling comes to: nothing, or a broken rule.
pub(super) type Outcome = Result<(), Violation>;

/// The shared part of the world.
#[derive(Debug)]
pub(super) struct Bus {
    pub(super) now_ms: u64,
    pub(super) queue: Queue,
    pub(super) network: Network,
    pub(super) checker: Checker,
    pub(super) library: Library,
    pub(super) trace: Trace,
    pub(super) counts: Counts,
    /// Messages of liars, as honest nodes find them.
    pub(super) opened: Opened,
    /// Who has which bytes, where there are many nodes.
    pub(super) providers: Option<Providers>,
    /// The way of messages to everyone; straight from each to each, if there is none.
    pub(super) mesh: Option<Mesh>,
    pub(super) traffic: Traffic,
    facts: Arc<Facts>,
}

impl Bus {
    pub(super) fn new(facts: &Arc<Facts>, trace: Trace) -> Self {
        let mut library = Library::default();
        for bytes in &facts.blobs {
            library.keep(&Arc::new(bytes.clone()));
        }
        let directory = facts.scenario.mesh.is_some() || facts.liars.known() > NODES_MIN;
        let (mesh, everyone) = (facts.seed.child("mesh"), facts.liars.everyone());
        Self {
            now_ms: 0,
            queue: Queue::default(),
            network: Network::new(&facts.seed.child("network")),
            checker: Checker::new(facts.clone()),
            library,
            trace,
            counts: Counts::default(),
            opened: Opened::default(),
            providers: directory.then(Providers::default),
            mesh: facts.scenario.mesh.map(|degree| Mesh::new(&mesh, everyone, degree)),
            traffic: Traffic::new(everyone),
            facts: facts.clone(),
        }
    }

    /// Sends to one, by the number under which it is known.
    pub(super) fn send(&mut self, from: usize, to: usize, packet: Packet) {
        let liars = &self.facts.liars;
        let (Some(face), from) = (liars.route(from, to), liars.identity(from)) else { return };
        // Counting bytes takes time, and matters where there are many nodes.
        let counted = self.mesh.is_some().then(|| packet.bytes(&self.traffic));
        if let Some((plane, bytes)) = counted {
            self.traffic.sent(from, plane, bytes);
        }
        for delay_ms in self.network.fates(from, to, &mut self.counts) {
            if let Some((plane, bytes)) = counted {
                self.traffic.received(to, plane, bytes);
            }
            let packet = packet.clone();
            self.queue.push(self.now_ms + delay_ms, Event::Deliver { to: face, from, packet });
        }
    }

    /// Sends to everyone else.
    pub(super) fn broadcast(&mut self, from: usize, packet: &Packet) {
        if self.mesh.is_some() {
            let (_, bytes) = packet.bytes(&self.traffic);
            self.gossip(from, packet, bytes);
            return;
        }
        let own = self.facts.liars.identity(from);
        for to in (0..self.facts.liars.known()).filter(|to| *to != own) {
            self.send(from, to, packet.clone());
        }
    }

    /// Plans something on a node.
    pub(super) fn plan(&mut self, node: usize, boot: u32, after_ms: u64, what: Local) {
        self.queue.push(self.now_ms + after_ms, Event::Local { node, boot, what });
    }

    /// Notes a line about a node.
    pub(super) fn note(&mut self, node: usize, line: &str) {
        self.trace.note(format!("{:>7} n{node:<2} {line}", self.now_ms));
    }

    /// Lets others know that a node has these bytes.
    pub(super) fn provide(&mut self, node: usize, hash: FileHash) {
        let node = self.facts.liars.identity(node);
        self.providers.iter_mut().for_each(|providers| providers.tell(hash, node));
    }

    /// Takes note of bytes that a node made.
    pub(super) fn keep(&mut self, bytes: &Arc<Vec<u8>>) -> FileHash {
        self.library.keep(bytes)
    }
}
