//! How a node dies, and how slow it is until then.
//!
//! The node's own store writes the entries of one save as one batch, all of it or nothing, so half an
//! entry cannot be found on a disk. Any prefix of what was being written is more than can be found, and
//! the round must live with that, too.
//!
//! Invariants: what was durable stays, but for a node that is gone for ever. What it is not: when (see
//! `fault`).

use rand::Rng;

use super::bus::Bus;
use super::event::{Act, Event};
use super::node::{Disk, Node};

/// How a node's disk is to fail, and how slow it and the node are.
#[derive(Debug)]
pub(super) struct Hardware {
    /// Entries journaled so far, over all boots.
    pub(super) persists: u64,
    /// The entry with which it dies, and whether that is durable.
    pub(super) dies_at: Option<(u64, bool)>,
    /// Its work takes so many times as long.
    pub(super) work_times: u64,
    /// Each write takes so much longer.
    pub(super) sync_ms: u64,
}

impl Default for Hardware {
    fn default() -> Self {
        Self { persists: 0, dies_at: None, work_times: 1, sync_ms: 0 }
    }
}

/// What is left of entries that were being written.
#[derive(Debug, Clone, Copy)]
enum Kept {
    /// A prefix, by chance.
    Some,
    /// All.
    All,
    /// All but the last.
    AllButLast,
}

impl Node {
    /// Dies.
    pub(super) fn crash(&mut self, bus: &mut Bus) {
        self.die(bus, Kept::Some);
    }

    /// Dies for ever, and its disk with it.
    pub(super) fn destroy(&mut self, bus: &mut Bus) {
        bus.set_up(self.index, false);
        (self.live, self.disk, self.lost) = (None, Disk::default(), true);
    }

    /// Counts an entry that was just written; whether the node dies of it.
    pub(super) fn dies_at_persist(&mut self, bus: &mut Bus) -> bool {
        let hardware = &mut self.hardware;
        hardware.persists += 1;
        let persists = hardware.persists;
        let Some((_, kept)) = hardware.dies_at.take_if(|(nth, _)| *nth == persists) else {
            return false;
        };
        bus.counts.note("crash at a persist");
        self.die(bus, if kept { Kept::All } else { Kept::AllButLast });
        true
    }

    fn die(&mut self, bus: &mut Bus, kept: Kept) {
        let Some(live) = self.live.take() else { return };
        bus.set_up(self.index, false);
        let kept = match kept {
            Kept::Some => self.rng.random_range(0..=live.unsynced.len()),
            Kept::All => live.unsynced.len(),
            Kept::AllButLast => live.unsynced.len().saturating_sub(1),
        };
        bus.counts.note("crash");
        bus.counts.add("entry torn off", (live.unsynced.len() - kept) as u64);
        bus.note(self.index, &format!("dies, {kept} of {} entries kept", live.unsynced.len()));
        for entry in live.unsynced.into_iter().take(kept) {
            self.make_durable(bus, entry);
        }
        let pause_ms = self.rng.random_range(20..2_500);
        bus.queue.push(bus.now_ms + pause_ms, Event::Act(Act::Start(self.index)));
    }
}
