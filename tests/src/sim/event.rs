//! What can happen, and the queue of what will.
//!
//! Invariants: events come out by time, and at one time in the order in which they were planned.
//! What it is not: cancelled. An event that no longer fits (of an earlier boot) is let pass.

use std::collections::{BTreeMap, VecDeque};

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
    /// The fault of the plan with this index begins.
    Begin(u32),
    /// It ends.
    End(u32),
    /// No faults from now on.
    Heal,
}

/// The events to come.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// By time, and at one time in the order in which they were planned.
    events: BTreeMap<u64, VecDeque<Event>>,
    waiting: usize,
}

impl Queue {
    /// Plans an event.
    pub(super) fn push(&mut self, at_ms: u64, event: Event) {
        self.waiting += 1;
        self.events.entry(at_ms).or_default().push_back(event);
    }

    /// The next event and its time.
    pub(super) fn pop(&mut self) -> Option<(u64, Event)> {
        let mut soonest = self.events.first_entry()?;
        let at_ms = *soonest.key();
        let event = soonest.get_mut().pop_front();
        if soonest.get().is_empty() {
            soonest.remove();
        }
        self.waiting -= 1;
        event.map(|event| (at_ms, event))
    }

    pub(super) fn len(&self) -> usize {
        self.waiting
    }
}
