//! What another ledger lacks of this one, and this one of another.
//!
//! The asker names records that it holds with all before them, which are the ends of its branches and
//! some further down; whatever does not build up to one of those is what it lacks. So one round in
//! each direction makes any two ledgers equal, forked feeds too. Who asks for what, in which order,
//! is in `catch_up`.
//!
//! Invariants: equal heads mean equal records; the order given can be inserted as it comes; a page
//! goes on where the last one ended, at a place in a feed, so that the work for all pages grows with
//! the records and for one page is bounded. What it is not: exact about what an asker holds on a
//! branch that is not here: it may be sent again what it has.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::limits::{RECORDS_LOOKED_AT_MAX, RECORDS_NAMED_MAX};
use protocol::reconcile::{Next, Place, Want};
use protocol::{FeedHead, FeedId, FileHash, Frontier, RecordId};

use super::Ledger;
use super::feed::Feed;
use super::table::Slot;

/// Ends of branches that are named of a forked feed; the rest are further down.
const ENDS_NAMED_MAX: usize = RECORDS_NAMED_MAX / 2;

/// A record that somebody lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lacking {
    /// Its number in this ledger.
    pub slot: Slot,
    /// Where it stands: a page that ends before it goes on here.
    pub at: Next,
}

impl Ledger {
    /// How much of every feed is held. Where a feed forked, the head is a hash over the ends of
    /// all its branches.
    pub fn frontier(&self) -> &Frontier {
        self.frontier_cell()
    }

    /// The same, to be kept while the ledger goes on.
    pub fn frontier_shared(&self) -> Arc<Frontier> {
        Arc::clone(self.frontier_cell())
    }

    /// The id of the frontier.
    pub fn frontier_id(&self) -> FileHash {
        *self.statements.frontier_id.get_or_init(|| self.frontier().id())
    }

    fn frontier_cell(&self) -> &Arc<Frontier> {
        self.statements.frontier.get_or_init(|| Arc::new(Frontier::new(self.heads())))
    }

    /// The heads of all feeds, by feed.
    pub fn heads(&self) -> impl Iterator<Item = FeedHead> {
        self.feed_at.values().filter_map(|at| self.feeds[*at as usize].head(&self.entries))
    }

    /// What to ask of somebody with this head, with how many records this ledger seems to be behind;
    /// none if it has all of them, as far as can be told.
    pub fn want(&self, theirs: &FeedHead) -> Option<(Want, u64)> {
        let id = theirs.feed;
        let Some((feed, ours)) =
            self.feed(&id).and_then(|feed| Some((feed, feed.head(&self.entries)?)))
        else {
            let holds = Vec::new();
            return Some((Want { feed: id, holds }, theirs.seq.saturating_add(1)));
        };
        let has_theirs = |held: super::HeldRecord| held.feed == id && held.seq == theirs.seq;
        if ours.head == theirs.head || self.held_record(&theirs.head).is_some_and(has_theirs) {
            return None;
        }
        let behind = theirs.seq.saturating_sub(ours.seq);
        // Whoever is further along on the one branch knows its end. Others may be on another.
        let branched = behind == 0 || feed.fork_seq().is_some();
        Some((Want { feed: id, holds: self.named(feed, branched) }, behind))
    }

    /// Records of a feed to be named as held: the ends of the longest branches, and with `deep` some
    /// of the longest one at ever greater distances from its end.
    fn named(&self, feed: &Feed, deep: bool) -> Vec<RecordId> {
        let mut ends = feed.tips().to_vec();
        ends.sort_by_key(|slot| (std::cmp::Reverse(self.entry(*slot).seq), *slot));
        ends.truncate(ENDS_NAMED_MAX);
        let mut named: Vec<RecordId> = ends.iter().map(|slot| self.id(*slot)).collect();
        if deep && let Some(end) = ends.first() {
            let before = |slot: &Slot| self.entry(*slot).prev();
            let mut wanted = 1;
            for (down, slot) in std::iter::successors(Some(*end), before).enumerate() {
                if named.len() >= RECORDS_NAMED_MAX {
                    break;
                }
                if down == wanted {
                    named.push(self.id(slot));
                    // A quarter further each time: of what is held already as little comes again.
                    wanted += (wanted / 4).max(1);
                }
            }
        }
        named
    }

    /// The records that somebody with this frontier lacks, as far as can be told, in an order in
    /// which they can be inserted: what restricts and key events first.
    pub fn records_since(&self, frontier: &Frontier) -> Vec<Slot> {
        let wants: Vec<Want> = self
            .feed_at
            .iter()
            .filter_map(|(id, at)| {
                let ours = self.feeds[*at as usize].head(&self.entries)?;
                let theirs = head_of(frontier, id);
                // Whose head is further along and not here has most likely all of ours, and we
                // shall know once we have asked for theirs.
                let behind = theirs.is_none_or(|theirs| {
                    let is_ahead = theirs.seq > ours.seq && self.slot(&theirs.head).is_none();
                    theirs.head != ours.head && !is_ahead
                });
                let holds = theirs.iter().map(|theirs| theirs.head).collect();
                behind.then_some(Want { feed: *id, holds })
            })
            .collect();
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        for urgent in [true, false] {
            let mut next = Some(Next::default());
            while let Some(at) = next {
                let part = &wants[at.want as usize..];
                let (lacking, later) = self.records_for(part, at.from, urgent, usize::MAX);
                all.extend(lacking.iter().map(|it| it.slot).filter(|slot| seen.insert(*slot)));
                next = later.map(|later| Next { want: at.want + later.want, ..later });
            }
        }
        all
    }

    /// Records that somebody lacks who wants these and holds what they name, from a place in the
    /// first of them on, at most `count`, in an order in which they can be inserted. Says where it
    /// goes on.
    ///
    /// With `urgent` only those up to the last restriction or key event of each feed.
    pub fn records_for(
        &self,
        wants: &[Want],
        from: Place,
        urgent: bool,
        count: usize,
    ) -> (Vec<Lacking>, Option<Next>) {
        let mut page = Page { lacking: Vec::new(), count, looks: RECORDS_LOOKED_AT_MAX };
        for (at, want) in wants.iter().enumerate() {
            let from = if at == 0 { from } else { Place::default() };
            let Some(feed) = self.feed(&want.feed) else { continue };
            let end =
                if urgent { feed.urgent_seq().map(|seq| seq + 1) } else { Some(feed.places()) };
            let Some(end) = end.filter(|end| from.seq < u64::from(*end)) else { continue };
            let start = from.seq as u32;
            let (known_to, known) = self.known(feed, &want.holds, start, &mut page.looks);
            let starts =
                if known_to > start { Place { seq: known_to.into(), nth: 0 } } else { from };
            for seq in starts.seq as u32..end {
                let nth = if u64::from(seq) == starts.seq { starts.nth } else { 0 };
                for (nth, slot) in feed.at(seq).enumerate().skip(nth as usize) {
                    let place = Place { seq: seq.into(), nth: nth as u32 };
                    let next = Next { want: at as u32, from: place };
                    if page.is_full(place > from || at > 0) {
                        return (page.lacking, Some(next));
                    }
                    if known.binary_search(&slot).is_err() {
                        page.lacking.push(Lacking { slot, at: next });
                    }
                }
            }
        }
        (page.lacking, None)
    }

    /// What somebody has of a feed who holds these records with all before them: everything below a
    /// place, and from `start` on these further ones, sorted.
    fn known(
        &self,
        feed: &Feed,
        holds: &[RecordId],
        start: u32,
        looks: &mut usize,
    ) -> (u32, Vec<Slot>) {
        let of_feed = |id: &RecordId| self.held_record(id).filter(|held| held.feed == feed.id);
        let held: Vec<(u64, Slot)> =
            holds.iter().filter_map(of_feed).map(|held| (held.seq, held.slot)).collect();
        let Some((highest, _)) = held.iter().max() else { return (0, Vec::new()) };
        // Below the first fork there is one branch.
        let above = *highest as u32 + 1;
        let Some(fork_seq) = feed.fork_seq() else { return (above, Vec::new()) };
        let known_to = above.min(fork_seq);
        let start = start.max(known_to);
        let place = |at: Slot| (self.entry(at).seq, at);
        let mut ends: BTreeSet<(u32, Slot)> = held.iter().map(|(_, slot)| place(*slot)).collect();
        let mut known = Vec::new();
        // From the highest down, so that branches that meet are one from there on.
        while let Some((seq, at)) = ends.pop_last() {
            if seq < start || *looks == 0 {
                break;
            }
            *looks -= 1;
            known.push(at);
            ends.extend(self.entry(at).prev().map(place));
        }
        known.sort_unstable();
        (known_to, known)
    }

    /// The ends of a feed's branches, in the order in which [`super::forked_head`] takes them.
    pub fn ends(&self, feed: &FeedId) -> Vec<RecordId> {
        let tips = self.feed(feed).map_or(&[][..], |feed| feed.tips());
        let mut ends: Vec<(u32, RecordId)> =
            tips.iter().map(|slot| self.entry(*slot)).map(|entry| (entry.seq, entry.id)).collect();
        ends.sort_unstable();
        ends.into_iter().map(|(_, id)| id).collect()
    }

    /// The id of the record admitted as number `slot`.
    pub fn id(&self, slot: Slot) -> RecordId {
        self.entry(slot).id
    }
}

/// A page as it fills.
struct Page {
    lacking: Vec<Lacking>,
    count: usize,
    looks: usize,
}

impl Page {
    /// Whether it ends before the next record; `is_further` says whether it has come further than
    /// where it started, as every page must.
    fn is_full(&mut self, is_further: bool) -> bool {
        self.looks = self.looks.saturating_sub(1);
        is_further && (self.lacking.len() >= self.count || self.looks == 0)
    }
}

fn head_of(frontier: &Frontier, feed: &FeedId) -> Option<FeedHead> {
    let heads = frontier.heads();
    let at = heads.binary_search_by(|head| head.feed.cmp(feed)).ok()?;
    Some(heads[at])
}
