//! What can happen, and the queue of what will.
//!
//! Invariants: events come out by time, and at one time in the order in which they were planned.
//! What it is not: cancelled. An event that no longer fits (of an earlier boot) is let pass.

use std::collections::BTreeMap;

use super::packet::Packet;

/// One thing that happens.
#[derive(Debug)]
pub(super) enum Event {
    /// A packet arrives.
    Deliver { to: usize, from: usize, packet: Packet },
    /// Something on one node, if it is still in the boot that planned it.
    Local { node: usize, boot: u32, what: Local },
    /// Something to the world.
    Act(Act),
}

/// What a node plans for itself.
#[derive(Debug, Clone, Copy)]
pub(super) enum Local {
    /// The round's deadline, by the boot's steady clock.
    Wake(u64),
    /// The journal's newest entries are durable.
    Synced,
    /// A job's work is done.
    Worked(u64),
    /// A job has waited long enough for what it asked for.
    FetchDue(u64),
    /// Time to compare ledgers with somebody.
    Gossip,
}

/// What the world does to its nodes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    /// A node starts, for the first time or again.
    Start(usize),
    /// A node dies.
    Crash(usize),
    /// A node dies after this many effects.
    Fuse { node: usize, effects: u32 },
    /// A node is gone for ever, with its disk.
    Destroy(usize),
    /// A trainer leaves the run or joins it.
    Switch { node: usize, joined: bool },
    /// A contributor speaks.
    Deny(usize),
    /// The network falls apart into the nodes of this bit set and the others.
    Split(u64),
    /// It is whole again.
    Mend,
    /// No faults from now on.
    Heal,
}

/// The events to come.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: BTreeMap<(u64, u64), Event>,
    planned: u64,
}

impl Queue {
    /// Plans an event.
    pub(super) fn push(&mut self, at_ms: u64, event: Event) {
        self.planned += 1;
        self.events.insert((at_ms, self.planned), event);
    }

    /// The next event and its time.
    pub(super) fn pop(&mut self) -> Option<(u64, Event)> {
        self.events.pop_first().map(|((at_ms, _), event)| (at_ms, event))
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }
}
