//! The keys of one author: which are in force at a point of a feed, and which are retired.
//!
//! A feed's genesis commits to a root key and each rotation replaces daily and root key, so the keys
//! in force after a record follow from the records before it in its own feed alone. Between feeds
//! there is no order; there this file errs to the restrictive side:
//! - a key that a rotation replaced is retired for all the author's feeds that were born with the
//!   same root: only what it signed before that rotation in the same feed keeps its power to allow
//!   or lift;
//! - an author whose feeds name different root keys at birth allows nothing;
//! - a root key replaced by different successors leaves nothing lifted and nothing allowed.
//!
//! Invariants: all three only ever take power from allows and lifts, so more records never widen a
//! use, and none depends on the order of arrival. What it is not: a place where restrictions can
//! be voided; there is none.

use std::collections::BTreeMap;

use protocol::{FeedId, FileHash, PublicKey};

use crate::payload::{Rotation, root_commitment};

/// The keys in force after a record of a feed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys {
    /// May state.
    pub(crate) daily: PublicKey,
    /// The hash of the key that may also lift and rotate.
    pub(crate) root: FileHash,
    /// The root that the feed's genesis committed to: the identity's anchor.
    pub(crate) genesis: FileHash,
}

/// A rotation's effect beyond its feed.
#[derive(Debug, Clone, Copy)]
struct Retired {
    feed: u32,
    seq: u64,
    daily: Option<PublicKey>,
    root: FileHash,
}

/// What follows from one root commitment at birth.
#[derive(Debug, Default)]
struct Anchor {
    retired: Vec<Retired>,
    successors: BTreeMap<FileHash, Rotation>,
    split: bool,
}

/// Everything known of one author's keys.
#[derive(Debug, Default)]
pub(crate) struct Author {
    anchors: BTreeMap<FileHash, Anchor>,
}

impl Keys {
    /// Whether `signer` is the root key.
    pub(crate) fn is_root(&self, signer: &PublicKey) -> bool {
        root_commitment(signer) == self.root
    }

    /// Whether `signer` is one of the two.
    pub(crate) fn hold(&self, signer: &PublicKey) -> bool {
        *signer == self.daily || self.is_root(signer)
    }
}

impl Author {
    /// Takes note of a feed's genesis.
    pub(crate) fn add_genesis(&mut self, root: FileHash) {
        self.anchors.entry(root).or_default();
    }

    /// Takes note of a rotation at `seq` of `feed`, from the keys `before`.
    pub(crate) fn add_rotation(
        &mut self,
        feed: FeedId,
        seq: u64,
        before: &Keys,
        rotation: &Rotation,
    ) {
        let anchor = self.anchors.entry(before.genesis).or_default();
        let daily = (before.daily != rotation.daily).then_some(before.daily);
        anchor.retired.push(Retired { feed: feed.feed, seq, daily, root: before.root });
        let first = anchor.successors.entry(before.root).or_insert(*rotation);
        anchor.split |= first != rotation;
    }

    /// Whether what `signer` allowed or lifted at `seq` of `feed` still has its power, as far as
    /// keys go.
    pub(crate) fn upholds(
        &self,
        genesis: &FileHash,
        signer: &PublicKey,
        feed: FeedId,
        seq: u64,
    ) -> bool {
        self.anchors.get(genesis).is_some_and(|anchor| {
            !anchor.split && !anchor.retired.iter().any(|r| r.voids(signer, feed, seq))
        })
    }

    /// Whether all feeds name one root key at birth.
    pub(crate) fn has_one_anchor(&self) -> bool {
        self.anchors.len() == 1
    }
}

impl Retired {
    fn voids(&self, signer: &PublicKey, feed: FeedId, seq: u64) -> bool {
        let before_it = feed.feed == self.feed && seq < self.seq;
        let its_key = self.daily == Some(*signer) || self.root == root_commitment(signer);
        its_key && !before_it
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::SecretKey;

    fn public(seed: u8) -> PublicKey {
        SecretKey::from_seed(&[seed; 32]).public()
    }

    fn rotation(daily: u8, root: u8) -> Rotation {
        Rotation { daily: public(daily), root_commitment: root_commitment(&public(root)) }
    }

    /// Born with daily key 1 and root key 2; rotated to 3 and 4 at 5 of feed 0.
    fn author() -> (Author, Keys, FeedId) {
        let root = root_commitment(&public(2));
        let keys = Keys { daily: public(1), root, genesis: root };
        let feed = FeedId { author: public(1), feed: 0 };
        let mut author = Author::default();
        author.add_genesis(root);
        author.add_rotation(feed, 5, &keys, &rotation(3, 4));
        (author, keys, feed)
    }

    #[test]
    fn a_rotated_key_keeps_its_power_only_before_that_in_its_feed() {
        let (author, keys, feed) = author();
        let elsewhere = FeedId { feed: 1, ..feed };
        for old in [public(1), public(2)] {
            assert!(author.upholds(&keys.genesis, &old, feed, 4));
            assert!(!author.upholds(&keys.genesis, &old, feed, 5));
            assert!(!author.upholds(&keys.genesis, &old, elsewhere, 0));
        }
        assert!(author.upholds(&keys.genesis, &public(3), elsewhere, 9));
        assert!(author.has_one_anchor());
    }

    #[test]
    fn the_same_rotation_on_two_devices_is_no_conflict_another_is() {
        let (mut author, keys, feed) = author();
        let elsewhere = FeedId { feed: 1, ..feed };
        author.add_rotation(elsewhere, 1, &keys, &rotation(3, 4));
        assert!(author.upholds(&keys.genesis, &public(4), feed, 9));
        author.add_rotation(FeedId { feed: 2, ..feed }, 1, &keys, &rotation(8, 9));
        assert!(!author.upholds(&keys.genesis, &public(4), feed, 9));
        assert!(!author.upholds(&keys.genesis, &public(9), feed, 9));
    }

    #[test]
    fn two_births_are_one_anchor_too_many() {
        let (mut author, keys, feed) = author();
        author.add_genesis(root_commitment(&public(66)));
        assert!(!author.has_one_anchor());
        assert!(author.upholds(&keys.genesis, &public(4), feed, 9));
    }
}
