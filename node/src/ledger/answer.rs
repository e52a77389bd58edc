//! What this node answers when peers ask what they lack.
//!
//! Invariants: nobody waits at the ledger while digests are computed or envelopes are read from the
//! disk; a page is bounded in records and bytes and says where the next one starts.
//! What it is not: a choice of what is told. Every record goes to whoever asks.

use protocol::FeedId;
use protocol::limits::PAGE_ITEMS_MAX;
use protocol::reconcile::{Digests, HeadsPage, Place, RecordsPage, Want};

use super::book::LedgerBook;
use super::log::LogError;

impl LedgerBook {
    /// The heads in the buckets that differ, after the feed `after`.
    pub(crate) fn heads_differing(&self, digests: &Digests, after: Option<&FeedId>) -> HeadsPage {
        let frontier = self.frontier();
        digests.differing(&frontier, after)
    }

    /// A page of records that somebody lacks.
    pub(crate) fn records_for(
        &self,
        wants: &[Want],
        from: Place,
        urgent: bool,
    ) -> Result<RecordsPage, LogError> {
        let mut wanted = Vec::new();
        let mut next;
        let reader = {
            let inner = self.lock();
            let (lacking, after) = inner.ledger.records_for(wants, from, urgent, PAGE_ITEMS_MAX);
            next = after;
            let mut room = RecordsPage::ROOM_BYTES;
            for it in lacking {
                let place = inner.log.place(it.slot);
                let bytes = place.bytes + 16;
                if bytes > room && !wanted.is_empty() {
                    next = Some(it.at);
                    break;
                }
                room = room.saturating_sub(bytes);
                wanted.push(place);
            }
            inner.log.reader()
        };
        Ok(RecordsPage::new(reader.envelopes(&wanted)?, next))
    }
}
