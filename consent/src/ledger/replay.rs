//! Starting again: the digests of a ledger's records, taken in order, make that ledger.
//!
//! Where records and works are found by their ids is put off to the end, and then done in the order of
//! the tables: one after another, as they were admitted, each would wait for memory of its own.
//!
//! Invariants: replaying the digests of a ledger's records, in their order, gives that ledger; one that
//! does not fit what was replayed before is refused; of one that is there twice the end tells.
//! What it is not: a check of what was signed. Whoever keeps digests keeps them from harm.

use super::digest::{Digest, DigestError, Origin};
use super::table::{Slot, in_order};
use super::{Admission, Ledger};
use crate::payload::Payload;

/// A ledger that is being made again.
#[derive(Debug)]
pub struct Replay {
    /// Nobody can ask it anything yet.
    ledger: Ledger,
    /// How many of its records are found by their ids.
    listed: usize,
}

impl Replay {
    /// Goes on from what a ledger has.
    pub fn new(ledger: Ledger) -> Self {
        Self { listed: ledger.len(), ledger }
    }

    /// Takes in the next record by its digest; one that is refused changes nothing.
    pub fn take(&mut self, digest: &[u8]) -> Result<(), DigestError> {
        let Digest { id, received_ms, origin, seq, by_root, payload } = Digest::read(digest)?;
        let (feed, prev) = match origin {
            Origin::Genesis(feed) if seq == 0 => (feed, None),
            Origin::Genesis(_) => return Err(DigestError::Order),
            Origin::Later { feed, prev } => {
                let of = self.ledger.feeds.get(feed as usize).ok_or(DigestError::Order)?.id;
                let before = self.ledger.entries.get(prev as usize).ok_or(DigestError::Order)?;
                if before.feed != feed || before.seq.checked_add(1) != Some(seq) {
                    return Err(DigestError::Order);
                }
                (of, Some(prev))
            }
        };
        if matches!(payload, Payload::Reconcile(_)) {
            // The one kind that looks for other records when it comes.
            self.list()?;
        }
        self.ledger.add(Admission { id, received_ms, feed, seq, prev, by_root, payload });
        Ok(())
    }

    /// The ledger, unless a record was there twice.
    pub fn finish(mut self) -> Result<Ledger, DigestError> {
        self.list()?;
        self.ledger.statements.subjects.link();
        Ok(self.ledger)
    }

    /// Lets all records be found by their ids.
    fn list(&mut self) -> Result<(), DigestError> {
        let Ledger { entries, ids, seed, .. } = &mut self.ledger;
        let unlisted = self.listed..entries.len();
        self.listed = entries.len();
        ids.reserve(unlisted.len());
        let hash = |slot: usize| (seed.hash(entries[slot].id.as_bytes()), slot as Slot);
        for cell in in_order(unlisted.map(hash)) {
            let (hash, slot) = (cell, cell as Slot);
            let id = entries[slot as usize].id;
            if ids.find(hash, |other| entries[other as usize].id == id).is_some() {
                return Err(DigestError::Order);
            }
            ids.insert(hash, slot);
        }
        Ok(())
    }
}
