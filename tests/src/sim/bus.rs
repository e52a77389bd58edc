//! What all nodes share: the time, the queue, the network, and those who watch.
//!
//! Invariants: nodes reach each other only through here. What it is not: seen by nodes otherwise.

use std::sync::Arc;

use protocol::FileHash;

use super::checker::Checker;
use super::event::{Event, Local, Queue};
use super::facts::Facts;
use super::library::Library;
use super::network::Network;
use super::packet::Packet;
use super::report::Violation;
use super::trace::Trace;

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
    pub(super) crashes: u64,
    pub(super) torn: u64,
    pub(super) refused: u64,
    nodes: usize,
}

impl Bus {
    pub(super) fn new(facts: &Arc<Facts>, trace: Trace) -> Self {
        let mut library = Library::default();
        for bytes in &facts.blobs {
            library.keep(&Arc::new(bytes.clone()));
        }
        Self {
            now_ms: 0,
            queue: Queue::default(),
            network: Network::new(&facts.seed.child("network")),
            checker: Checker::new(facts.clone()),
            library,
            trace,
            crashes: 0,
            torn: 0,
            refused: 0,
            nodes: facts.keys.len(),
        }
    }

    /// Sends to one.
    pub(super) fn send(&mut self, from: usize, to: usize, packet: Packet) {
        for delay_ms in self.network.fates(from, to) {
            let packet = packet.clone();
            self.queue.push(self.now_ms + delay_ms, Event::Deliver { to, from, packet });
        }
    }

    /// Sends to everyone else.
    pub(super) fn broadcast(&mut self, from: usize, packet: &Packet) {
        for to in (0..self.nodes).filter(|to| *to != from) {
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

    /// Takes note of bytes that a node made.
    pub(super) fn keep(&mut self, bytes: &Arc<Vec<u8>>) -> FileHash {
        self.library.keep(bytes)
    }
}
