//! Quotas: how many new feeds and records each peer may bring, and how many of one feed are passed on.
//!
//! A quota is a bucket that fills with time up to what it may hold. Records that come by gossip are
//! pushed by whoever likes; answers are to questions of ours, so they have wider bounds, which let a
//! node that was away for a year catch up.
//!
//! Invariants: what is refused is only put off: other peers may bring it, or the same one later, and
//! it decides nothing about whom to blame; memory is bounded, and who is forgotten starts anew.
//! What it is not: consensus. Two nodes with other quotas end with the same ledger; nor a hold
//! against somebody with many keys, who is as many peers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::limits::{
    FEED_RECORDS_PER_DAY, FEEDS_ANSWERED_PER_HOUR, FEEDS_GOSSIPED_PER_HOUR, QUOTAS_MAX,
    RECORDS_ANSWERED_MAX, RECORDS_ANSWERED_PER_HOUR, RECORDS_GOSSIPED_PER_MINUTE,
};
use protocol::{FeedId, PublicKey};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// How something came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// Pushed by a peer.
    Gossip,
    /// Asked for.
    Answer,
}

/// What somebody may still bring; counted down as it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// New feeds.
    pub feeds: u64,
    /// Records that are news.
    pub records: u64,
    /// New feeds that were refused.
    pub feeds_refused: u64,
    /// Records that were refused.
    pub records_refused: u64,
}

impl Allowance {
    const fn of(feeds: u64, records: u64) -> Self {
        Self { feeds, records, feeds_refused: 0, records_refused: 0 }
    }
}

/// What was refused since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    /// New feeds.
    pub feeds: u64,
    /// Records.
    pub records: u64,
    /// Records that were kept and not passed on.
    pub forwards: u64,
}

/// All quotas.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    peers: Mutex<BTreeMap<(PublicKey, Way), [Bucket; 2]>>,
    feeds: Mutex<BTreeMap<FeedId, Bucket>>,
    feeds_refused: AtomicU64,
    records_refused: AtomicU64,
    forwards_refused: AtomicU64,
}

/// So much at once, and so much again in a time.
#[derive(Debug, Clone, Copy)]
struct Rate {
    most: u64,
    per: u64,
    per_ms: u64,
}

const FEED: Rate = Rate { most: FEED_RECORDS_PER_DAY, per: FEED_RECORDS_PER_DAY, per_ms: DAY_MS };

impl Way {
    /// The rates of new feeds and of records.
    fn rates(self) -> [Rate; 2] {
        let even = |per, per_ms| Rate { most: per, per, per_ms };
        match self {
            Self::Gossip => [
                even(FEEDS_GOSSIPED_PER_HOUR, HOUR_MS),
                even(RECORDS_GOSSIPED_PER_MINUTE, MINUTE_MS),
            ],
            Self::Answer => [
                even(FEEDS_ANSWERED_PER_HOUR, HOUR_MS),
                Rate {
                    most: RECORDS_ANSWERED_MAX,
                    per: RECORDS_ANSWERED_PER_HOUR,
                    per_ms: HOUR_MS,
                },
            ],
        }
    }
}

/// What is left of a quota.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: u64,
    /// Up to when it was filled.
    at_ms: u64,
}

impl Bucket {
    fn full(rate: Rate, now_ms: u64) -> Self {
        Self { left: rate.most, at_ms: now_ms }
    }

    /// What is left now.
    fn fill(&mut self, rate: Rate, now_ms: u64) -> u64 {
        let past_ms = now_ms.saturating_sub(self.at_ms);
        // At least one is added, or the time goes on adding up.
        let added = (u128::from(past_ms) * u128::from(rate.per) / u128::from(rate.per_ms)) as u64;
        if added > 0 {
            self.left = self.left.saturating_add(added).min(rate.most);
            self.at_ms = now_ms;
        }
        self.left
    }

    fn take(&mut self, count: u64) {
        self.left = self.left.saturating_sub(count);
    }
}

impl Quotas {
    /// What a peer may bring now; `now_ms` is on a clock that never goes back.
    pub(crate) fn allowance(&self, peer: PublicKey, way: Way, now_ms: u64) -> Allowance {
        let rates = way.rates();
        let mut peers = lock(&self.peers);
        let Some(buckets) = peers.get_mut(&(peer, way)) else {
            return Allowance::of(rates[0].most, rates[1].most);
        };
        Allowance::of(buckets[0].fill(rates[0], now_ms), buckets[1].fill(rates[1], now_ms))
    }

    /// Counts what a peer brought: what is gone from `left` since it was `given`, and refused.
    pub(crate) fn charge(
        &self,
        peer: PublicKey,
        way: Way,
        given: Allowance,
        left: Allowance,
        now_ms: u64,
    ) {
        self.feeds_refused.fetch_add(left.feeds_refused, Ordering::Relaxed);
        self.records_refused.fetch_add(left.records_refused, Ordering::Relaxed);
        let used = [given.feeds - left.feeds, given.records - left.records];
        if used == [0, 0] {
            return;
        }
        let rates = way.rates();
        let mut peers = lock(&self.peers);
        if peers.len() >= QUOTAS_MAX && !peers.contains_key(&(peer, way)) {
            peers.retain(|(_, way), buckets| {
                let rates = way.rates();
                (0..2).any(|at| buckets[at].fill(rates[at], now_ms) < rates[at].most)
            });
            if peers.len() >= QUOTAS_MAX {
                peers.pop_first();
            }
        }
        let full = || rates.map(|rate| Bucket::full(rate, now_ms));
        let buckets = peers.entry((peer, way)).or_insert_with(full);
        for at in 0..2 {
            buckets[at].fill(rates[at], now_ms);
            buckets[at].take(used[at]);
        }
    }

    /// Counts a message of a peer that was not looked at.
    pub(crate) fn refuse(&self) {
        self.records_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether one more record of this feed is passed on today.
    pub(crate) fn may_forward(&self, feed: FeedId, now_ms: u64) -> bool {
        let mut feeds = lock(&self.feeds);
        if feeds.len() >= QUOTAS_MAX && !feeds.contains_key(&feed) {
            feeds.retain(|_, bucket| bucket.fill(FEED, now_ms) < FEED.most);
            if feeds.len() >= QUOTAS_MAX {
                feeds.pop_first();
            }
        }
        let bucket = feeds.entry(feed).or_insert_with(|| Bucket::full(FEED, now_ms));
        let may = bucket.fill(FEED, now_ms) > 0;
        bucket.take(1);
        if !may {
            self.forwards_refused.fetch_add(1, Ordering::Relaxed);
        }
        may
    }

    /// What was refused since the start.
    pub(crate) fn refused(&self) -> Refused {
        Refused {
            feeds: self.feeds_refused.load(Ordering::Relaxed),
            records: self.records_refused.load(Ordering::Relaxed),
            forwards: self.forwards_refused.load(Ordering::Relaxed),
        }
    }
}

fn lock<T>(counts: &Mutex<T>) -> MutexGuard<'_, T> {
    // Counts are whole after a panic elsewhere.
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::SecretKey;

    fn peer(seed: u64) -> PublicKey {
        let mut bytes = [1; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        SecretKey::from_seed(&bytes).public()
    }

    #[test]
    fn what_a_peer_brings_is_gone_and_comes_back_with_time() {
        let quotas = Quotas::default();
        let given = quotas.allowance(peer(1), Way::Gossip, 0);
        assert_eq!(given.feeds, FEEDS_GOSSIPED_PER_HOUR);
        let left = Allowance { feeds: 0, records: given.records - 10, feeds_refused: 3, ..given };
        quotas.charge(peer(1), Way::Gossip, given, left, 0);
        assert_eq!(quotas.allowance(peer(1), Way::Gossip, 0).feeds, 0);
        assert_eq!(quotas.allowance(peer(1), Way::Answer, 0).feeds, FEEDS_ANSWERED_PER_HOUR);
        assert_eq!(quotas.allowance(peer(2), Way::Gossip, 0), given, "others are as before");
        // However often it is looked at meanwhile.
        (0..=HOUR_MS / 2).step_by(500).for_each(|at| {
            quotas.allowance(peer(1), Way::Gossip, at);
        });
        let half = quotas.allowance(peer(1), Way::Gossip, HOUR_MS / 2).feeds;
        assert!(
            half.abs_diff(FEEDS_GOSSIPED_PER_HOUR / 2) <= FEEDS_GOSSIPED_PER_HOUR / 8,
            "{half}"
        );
        assert_eq!(quotas.allowance(peer(1), Way::Gossip, 9 * HOUR_MS), given);
        assert_eq!(quotas.refused(), Refused { feeds: 3, ..Refused::default() });
    }

    #[test]
    fn a_feed_without_end_is_passed_on_no_further() {
        let quotas = Quotas::default();
        let feed = |n| FeedId { author: peer(n), feed: 0 };
        let passed =
            (0..FEED_RECORDS_PER_DAY * 2).filter(|_| quotas.may_forward(feed(1), 5)).count();
        assert_eq!(passed as u64, FEED_RECORDS_PER_DAY);
        assert!(quotas.may_forward(feed(2), 5));
        assert_eq!(quotas.refused().forwards, FEED_RECORDS_PER_DAY);
    }
}
