//! Records of the ledger for people to look at.
//!
//! Invariants: the newest first, and no more than asked for. What it is not: a decision about a
//! work.

use consent::ledger::HeldRecord;
use consent::{GivingDoubt, Ledger, Payload, Record, RecordState, Standing};
use protocol::{FeedId, PublicKey, RecordId, Signed};

use super::book::{Inner, LedgerBook, TakeError};

/// A record, and what has become of it.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Where it stands.
    pub(crate) held: HeldRecord,
    /// Its kind.
    pub(crate) kind: String,
    /// What it says.
    pub(crate) payload: Payload,
    /// What has become of it.
    pub(crate) state: RecordState,
    /// What witnesses found.
    pub(crate) attested: Vec<(PublicKey, Standing)>,
}

/// A feed with the number of its records and where it forked.
pub(crate) type FeedCount = (FeedId, u64, Option<u64>);

impl LedgerBook {
    /// One record.
    pub(crate) fn listed(&self, id: &RecordId) -> Result<Option<Listed>, TakeError> {
        let inner = self.lock();
        let held = inner.ledger.held_record(id);
        held.map(|held| inner.listed(held.slot)).transpose()
    }

    /// The newest records of these authors, at most `count`, and how many there are.
    pub(crate) fn records_by(
        &self,
        authors: &[PublicKey],
        count: usize,
    ) -> Result<(Vec<Listed>, usize), TakeError> {
        let inner = self.lock();
        let feeds = authors.iter().flat_map(|author| inner.ledger.feeds_of(*author));
        let mut slots: Vec<u32> = feeds.flat_map(|feed| inner.ledger.slots_of(&feed)).collect();
        slots.sort_unstable_by(|a, b| b.cmp(a));
        slots.dedup();
        let total = slots.len();
        let newest = slots.into_iter().take(count);
        Ok((newest.map(|slot| inner.listed(slot)).collect::<Result<_, _>>()?, total))
    }

    /// The feeds of an author, and why what the feed `own` gives would be void, in one word.
    pub(crate) fn feeds(
        &self,
        author: PublicKey,
        own: u32,
    ) -> (Vec<FeedCount>, Option<&'static str>) {
        let inner = self.lock();
        let ledger: &Ledger = &inner.ledger;
        let count = |feed: FeedId| {
            let records = ledger.slots_of(&feed).len() as u64;
            (feed, records, ledger.fork_seq(&feed))
        };
        let doubt =
            ledger.giving_doubt(&FeedId { author, feed: own }, false).map(|doubt| match doubt {
                GivingDoubt::Forked => "forked",
                GivingDoubt::Retired => "retired",
                GivingDoubt::Births => "births",
            });
        (ledger.feeds_of(author).map(count).collect(), doubt)
    }
}

impl Inner {
    fn listed(&self, slot: u32) -> Result<Listed, TakeError> {
        let held = self.ledger.at(slot);
        let record = Signed::<Record>::open(&self.log.envelope(slot)?)?;
        let record = record.value();
        let payload = record.payload().unwrap_or(Payload::Unknown);
        let state = self.ledger.state(slot, &payload);
        let attested = match &payload {
            Payload::Statement(_) => self.ledger.attested(slot),
            _ => Vec::new(),
        };
        Ok(Listed { held, kind: record.kind.clone(), payload, state, attested })
    }
}
