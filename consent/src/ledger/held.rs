//! Records that wait for the record before them.
//!
//! Invariants: at most `RECORDS_HELD_MAX`; when full the one that waited longest makes room. What is
//! dropped is not lost: no frontier counts it, so the next reconciliation brings it again.
//! What it is not: part of the ledger's answer. A held record decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use protocol::limits::RECORDS_HELD_MAX;
use protocol::{RecordId, Signed};

use crate::record::{Record, record_id};

/// A record and when it first came, in milliseconds since 1970.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) record: Signed<Record>,
    pub(crate) received_ms: u64,
    ticket: u64,
}

/// The records that wait.
#[derive(Debug, Default)]
pub(crate) struct Held {
    waiting: BTreeMap<RecordId, Waiting>,
    /// Which records wait for which.
    after: BTreeSet<(RecordId, RecordId)>,
    /// In order of arrival.
    arrivals: BTreeMap<u64, RecordId>,
    tickets: u64,
}

impl Held {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Lets a record wait for `prev`, and drops the oldest if there are too many.
    pub(crate) fn add(&mut self, record: Signed<Record>, prev: RecordId, received_ms: u64) {
        let id = record_id(&record);
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.received_ms = waiting.received_ms.min(received_ms);
            return;
        }
        if self.len() >= RECORDS_HELD_MAX
            && let Some((_, oldest)) = self.arrivals.pop_first()
        {
            self.remove(&oldest);
        }
        let ticket = self.tickets;
        self.tickets += 1;
        self.arrivals.insert(ticket, id);
        self.after.insert((prev, id));
        self.waiting.insert(id, Waiting { record, received_ms, ticket });
    }

    /// Takes out the records that waited for `prev`.
    pub(crate) fn take_after(&mut self, prev: RecordId) -> Vec<Waiting> {
        let lowest = (prev, RecordId::from_bytes([0; 32]));
        let highest = (prev, RecordId::from_bytes([0xff; 32]));
        let ids: Vec<RecordId> = self.after.range(lowest..=highest).map(|key| key.1).collect();
        ids.iter().filter_map(|id| self.remove(id)).collect()
    }

    fn remove(&mut self, id: &RecordId) -> Option<Waiting> {
        let waiting = self.waiting.remove(id)?;
        self.arrivals.remove(&waiting.ticket);
        if let Some(prev) = waiting.record.value().prev {
            self.after.remove(&(prev, *id));
        }
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::SecretKey;

    fn record(seq: u64, prev: RecordId) -> Signed<Record> {
        let key = SecretKey::from_seed(&[1; 32]);
        let (author, kind, payload) = (key.public(), "later".into(), Vec::new());
        Signed::sign(
            Record { author, feed: 0, seq, prev: Some(prev), kind, payload, remark: None },
            &key,
        )
    }

    #[test]
    fn the_oldest_makes_room_and_the_others_are_found() {
        let mut held = Held::default();
        let first = RecordId::of(b"first");
        for seq in 0..=RECORDS_HELD_MAX as u64 {
            let prev = if seq < 3 { first } else { RecordId::of(&seq.to_le_bytes()) };
            held.add(record(seq + 1, prev), prev, seq);
        }
        assert_eq!(held.len(), RECORDS_HELD_MAX);
        let mut seqs: Vec<u64> =
            held.take_after(first).iter().map(|w| w.record.value().seq).collect();
        seqs.sort_unstable();
        assert_eq!(seqs, [2, 3]);
        assert_eq!(held.len(), RECORDS_HELD_MAX - 2);
        assert!(held.take_after(first).is_empty());
        assert_eq!((held.after.len(), held.arrivals.len()), (held.len(), held.len()));
    }
}
