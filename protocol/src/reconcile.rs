//! How two ledgers find out what one lacks: digests of heads, the heads behind those that differ, and
//! the records of those feeds, page by page.
//!
//! ```text
//! asker                                                    answerer
//!   digests of its heads, by prefix of the author   ->
//!                                                   <-   heads in the buckets that differ
//!   for feeds that it is behind in: what it holds   ->
//!                                                   <-   records, and where the next page starts
//! ```
//!
//! Digests are keyed by a nonce that the asker draws for each meeting, so nobody can have made feeds
//! whose digests collide and so hide another's; and they are over heads, which are hashes over all
//! that came before them.
//!
//! Invariants: pure; equal frontiers have equal digests, and then the first answer is empty; what a
//! side says costs the other a bounded amount of work and memory. What it is not: trusted. An answer
//! that is wrong only fails to help; every record is opened and admitted by itself.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::codec::{self, DecodeError};
use crate::frontier::{FeedHead, FeedId, Frontier};
use crate::id::RecordId;
use crate::limits::{
    DIGEST_BUCKETS_MAX, FEEDS_PER_BUCKET, PAGE_ITEMS_MAX, RECORDS_NAMED_MAX, REQUEST_BYTES_MAX,
    RESPONSE_BYTES_MAX, WANTS_MAX,
};

/// Bytes of a bucket's digest: nobody can look for collisions ahead of the nonce.
const DIGEST_BYTES: usize = 16;
/// What a wanted feed takes on the wire beside the records that it names, at most.
const WANT_BYTES: usize = 96;
/// What a named record takes on the wire, at most.
const NAMED_BYTES: usize = 40;

/// A meeting's secret until it is sent: the key of its digests.
pub type Nonce = [u8; 32];

/// Digests of somebody's heads: one for each bucket, which has the feeds of all authors whose keys
/// begin with the same bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    #[serde(with = "serde_bytes")]
    nonce: Nonce,
    #[serde(with = "serde_bytes")]
    buckets: Vec<u8>,
}

/// Heads in the buckets that differ, sorted by feed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadsPage {
    /// The heads, after the feed that was named.
    pub heads: Vec<FeedHead>,
    /// Whether there are others after these.
    pub more: bool,
}

/// A feed of which records are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The feed.
    pub feed: FeedId,
    /// Records of it that the asker holds with all before them: the ends of its branches, and some
    /// further down, in case the other is on another branch.
    pub holds: Vec<RecordId>,
}

/// A place in a feed: of the records with one number, those of other branches come after the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The sequence number.
    pub seq: u64,
    /// Which of the records there, as the answerer counts them.
    pub nth: u32,
}

/// Where the next page starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Next {
    /// Which of the wanted feeds.
    pub want: u32,
    /// Where in it.
    pub from: Place,
}

/// Records, as signed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordsPage {
    /// Envelopes, in an order in which they can be inserted.
    pub items: Vec<ByteBuf>,
    /// Where it goes on; none if this was all.
    pub next: Option<Next>,
}

impl Digests {
    /// The digests of these heads.
    pub fn of(nonce: Nonce, frontier: &Frontier) -> Self {
        let heads = frontier.heads();
        let wanted = heads.len().div_ceil(FEEDS_PER_BUCKET).next_power_of_two();
        let count = wanted.min(DIGEST_BUCKETS_MAX);
        let mut buckets = Vec::with_capacity(count * DIGEST_BYTES);
        let mut rest = heads;
        for bucket in 0..count {
            let (inside, after) =
                rest.split_at(rest.partition_point(|head| bucket_of(&head.feed, count) <= bucket));
            buckets.extend(digest(&nonce, inside));
            rest = after;
        }
        Self { nonce, buckets }
    }

    /// How many buckets there are.
    pub fn len(&self) -> usize {
        self.buckets.len() / DIGEST_BYTES
    }

    /// Whether there are none, which no honest asker says.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Whether they have a form that [`Digests::of`] makes.
    pub fn is_well_formed(&self) -> bool {
        let count = self.len();
        count.is_power_of_two()
            && count <= DIGEST_BUCKETS_MAX
            && self.buckets.len() == count * DIGEST_BYTES
    }

    /// The heads of `frontier` in buckets whose digest is another here, after the feed `after`.
    pub fn differing(&self, frontier: &Frontier, after: Option<&FeedId>) -> HeadsPage {
        let (heads, count) = (frontier.heads(), self.len());
        let mut page = HeadsPage::default();
        // The bucket in which the last page ended is compared again, as a whole.
        let first = after.map_or(0, |after| bucket_of(after, count));
        let mut rest = &heads[heads.partition_point(|head| bucket_of(&head.feed, count) < first)..];
        for theirs in self.buckets.chunks_exact(DIGEST_BYTES).skip(first).enumerate() {
            let (bucket, theirs) = (first + theirs.0, theirs.1);
            let end = rest.partition_point(|head| bucket_of(&head.feed, count) <= bucket);
            let (inside, later) = rest.split_at(end);
            rest = later;
            if digest(&self.nonce, inside) == theirs {
                continue;
            }
            for head in inside.iter().filter(|head| after.is_none_or(|after| head.feed > *after)) {
                if page.heads.len() >= PAGE_ITEMS_MAX {
                    page.more = true;
                    return page;
                }
                page.heads.push(*head);
            }
        }
        page
    }
}

/// The bucket of a feed among `count`, a power of two of at most 2^16.
fn bucket_of(feed: &FeedId, count: usize) -> usize {
    let [a, b, ..] = feed.author.as_bytes();
    (usize::from(u16::from_be_bytes([*a, *b])) * count) >> 16
}

fn digest(nonce: &Nonce, heads: &[FeedHead]) -> [u8; DIGEST_BYTES] {
    let mut hasher = blake3::Hasher::new_keyed(nonce);
    for head in heads {
        let mut bytes = [0; 76];
        bytes[..32].copy_from_slice(head.feed.author.as_bytes());
        bytes[32..36].copy_from_slice(&head.feed.feed.to_le_bytes());
        bytes[36..44].copy_from_slice(&head.seq.to_le_bytes());
        bytes[44..].copy_from_slice(head.head.as_bytes());
        hasher.update(&bytes);
    }
    *hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes")
}

impl Want {
    /// What it takes on the wire, at most.
    fn bytes_max(&self) -> usize {
        WANT_BYTES + NAMED_BYTES * self.holds.len()
    }

    /// How many of `wants`, from the first on, fit one question; at least one if there is any.
    pub fn fitting<'a>(wants: impl IntoIterator<Item = &'a Self>) -> usize {
        let mut room = REQUEST_BYTES_MAX / 2;
        let fits = |want: &&Self| {
            let bytes = want.bytes_max();
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        };
        wants.into_iter().take(WANTS_MAX).take_while(fits).count()
    }

    /// Whether these are as many as one question may have.
    pub fn are_bounded(wants: &[Self]) -> bool {
        wants.len() <= WANTS_MAX && wants.iter().all(|want| want.holds.len() <= RECORDS_NAMED_MAX)
    }
}

impl HeadsPage {
    /// Reads untrusted bytes: bounded, sorted by feed, and all after `after`.
    pub fn from_bytes(bytes: &[u8], after: Option<&FeedId>) -> Result<Self, DecodeError> {
        let page: Self = codec::decode(bytes, RESPONSE_BYTES_MAX)?;
        let is_sorted = page.heads.is_sorted_by(|a, b| a.feed < b.feed);
        let is_later = page.heads.first().is_none_or(|head| after.is_none_or(|a| head.feed > *a));
        let goes_on = !page.more || !page.heads.is_empty();
        if is_sorted && is_later && goes_on && page.heads.len() <= PAGE_ITEMS_MAX {
            Ok(page)
        } else {
            Err(DecodeError::NotCanonical)
        }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

impl RecordsPage {
    /// What the envelopes of one page may take in bytes, 16 added for each.
    pub const ROOM_BYTES: usize = RESPONSE_BYTES_MAX / 2;

    /// A page of these envelopes.
    pub fn new(envelopes: Vec<Vec<u8>>, next: Option<Next>) -> Self {
        Self { items: envelopes.into_iter().map(ByteBuf::from).collect(), next }
    }

    /// Reads untrusted bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let page: Self = codec::decode(bytes, RESPONSE_BYTES_MAX)?;
        if page.items.len() <= PAGE_ITEMS_MAX { Ok(page) } else { Err(DecodeError::NotCanonical) }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    const NONCE: Nonce = [7; 32];

    fn head(author: u16, feed: u32, seq: u64) -> FeedHead {
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&author.to_le_bytes());
        let author = SecretKey::from_seed(&seed).public();
        let feed = FeedId { author, feed };
        FeedHead { feed, seq, head: RecordId::of(&seq.to_le_bytes()) }
    }

    /// All pages together.
    fn differing(digests: &Digests, frontier: &Frontier) -> Vec<FeedHead> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = digests.differing(frontier, after.as_ref());
            let page = HeadsPage::from_bytes(&page.to_bytes(), after.as_ref()).expect("sound");
            all.extend(&page.heads);
            after = page.heads.last().map(|head| head.feed);
            if !page.more {
                return all;
            }
        }
    }

    #[test]
    fn equal_frontiers_differ_nowhere_and_others_where_they_do() {
        let heads: Vec<FeedHead> = (0..400).map(|author| head(author, 0, 3)).collect();
        let ours = Frontier::new(heads.clone());
        let digests = Digests::of(NONCE, &ours);
        assert!(digests.is_well_formed());
        assert_eq!(digests.len(), (400 / FEEDS_PER_BUCKET).next_power_of_two());
        assert_eq!(differing(&digests, &ours), []);

        let theirs = heads.iter().enumerate().map(|(at, h)| match at {
            7 => FeedHead { seq: 9, ..*h },
            _ => *h,
        });
        let theirs = Frontier::new(theirs.chain([head(7, 1, 0)]));
        let found = differing(&digests, &theirs);
        assert!(found.contains(&FeedHead { seq: 9, ..heads[7] }));
        assert!(found.contains(&head(7, 1, 0)));
        assert!(found.len() < 8 * FEEDS_PER_BUCKET, "{}", found.len());
        // With another nonce they are other digests of the same.
        assert_ne!(Digests::of([8; 32], &ours), digests);
        assert_eq!(differing(&Digests::of([8; 32], &ours), &theirs).len(), found.len());
    }

    #[test]
    fn pages_go_on_inside_a_bucket() {
        let many = PAGE_ITEMS_MAX as u32 * 2 + 5;
        let theirs = Frontier::new((0..many).map(|feed| head(1, feed, 0)).chain([head(2, 0, 0)]));
        let found = differing(&Digests::of(NONCE, &Frontier::default()), &theirs);
        assert_eq!(found, theirs.heads());
    }

    #[test]
    fn what_is_out_of_order_or_without_end_is_refused() {
        let (a, b) = (head(1, 0, 0), head(1, 1, 0));
        let page = |heads: &[FeedHead], more| HeadsPage { heads: heads.to_vec(), more }.to_bytes();
        assert!(HeadsPage::from_bytes(&page(&[a, b], true), None).is_ok());
        assert!(HeadsPage::from_bytes(&page(&[b, a], false), None).is_err());
        assert!(HeadsPage::from_bytes(&page(&[a, b], false), Some(&a.feed)).is_err());
        assert!(HeadsPage::from_bytes(&page(&[], true), None).is_err());
        for length in [0, 15, 48, (DIGEST_BUCKETS_MAX * 2) * DIGEST_BYTES] {
            assert!(!Digests { nonce: NONCE, buckets: vec![0; length] }.is_well_formed());
        }
    }

    #[test]
    fn as_many_wants_are_asked_at_once_as_fit() {
        let feed = head(1, 0, 0).feed;
        let holds = vec![RecordId::of(b"x"); RECORDS_NAMED_MAX];
        let wants = vec![Want { feed, holds }; WANTS_MAX + 1];
        let fitting = Want::fitting(&wants);
        assert!((1..WANTS_MAX).contains(&fitting));
        assert!(codec::encode(&wants[..fitting].to_vec()).len() <= REQUEST_BYTES_MAX / 2);
        let short = vec![Want { feed, holds: Vec::new() }; WANTS_MAX + 1];
        assert_eq!(Want::fitting(&short), WANTS_MAX);
        assert!(!Want::are_bounded(&short) && Want::are_bounded(&short[1..]));
    }
}
