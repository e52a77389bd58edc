//! The keys of one author: which are in force at a point of a feed, and which are retired.
//!
//! A feed's genesis commits to a root key and each rotation replaces daily and root key, so the keys
//! in force after a record follow from the records before it in its own feed alone. Between feeds
//! there is no order; there this file errs to the restrictive side:
//! - a key that a rotation replaced, or that is said to be in the wrong hands, is retired for all
//!   the author's feeds that were born with the same root: only what it signed before that place in
//!   the same feed keeps its power to allow or lift;
//! - an author whose feeds name different root keys at birth allows nothing;
//! - a root key replaced by different successors leaves nothing lifted and nothing allowed.
//!
//! Invariants: all three only ever take power from allows and lifts, so more records never widen a
//! use, and none depends on the order of arrival. What it is not: a place where restrictions can
//! be voided; there is none.

use std::collections::BTreeMap;

use protocol::{FeedId, FileHash, PublicKey};

use crate::payload::{Compromise, Rotation, root_commitment};

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

/// The end of a key's power in all feeds of one birth, but for what stands in `feed` before `seq`.
#[derive(Debug, Clone, Copy)]
struct Retired {
    feed: u32,
    seq: u64,
    daily: Option<PublicKey>,
    root: Option<FileHash>,
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
        let root = Some(before.root);
        anchor.retired.push(Retired { feed: feed.feed, seq, daily, root });
        let first = anchor.successors.entry(before.root).or_insert(*rotation);
        anchor.split |= first != rotation;
    }

    /// Takes note of a compromise in `feed`, where `keys` are in force.
    pub(crate) fn add_compromise(&mut self, feed: FeedId, keys: &Keys, said: &Compromise) {
        let anchor = self.anchors.entry(keys.genesis).or_default();
        let (daily, root) = (Some(said.key), Some(root_commitment(&said.key)));
        anchor.retired.push(Retired { feed: feed.feed, seq: said.kept, daily, root });
    }

    /// Whether what was signed at `seq` of `feed` still has its power, as far as keys go; `keys`
    /// were in force there, and the root key signed it or the daily key.
    pub(crate) fn upholds(&self, keys: &Keys, by_root: bool, feed: FeedId, seq: u64) -> bool {
        let (daily, root) = if by_root {
            (None, keys.root)
        } else {
            (Some(keys.daily), root_commitment(&keys.daily))
        };
        self.anchors.get(&keys.genesis).is_some_and(|anchor| {
            let voids = |retired: &Retired| {
                let its_key =
                    retired.root == Some(root) || daily.is_some() && retired.daily == daily;
                let before_it = feed.feed == retired.feed && seq < retired.seq;
                its_key && !before_it
            };
            !anchor.split && !anchor.retired.iter().any(voids)
        })
    }

    /// What replaced the root key of these keys, in whatever feed.
    pub(crate) fn successor(&self, keys: &Keys) -> Option<&Rotation> {
        self.anchors.get(&keys.genesis)?.successors.get(&keys.root)
    }

    /// Whether all feeds name one root key at birth.
    pub(crate) fn has_one_anchor(&self) -> bool {
        self.anchors.len() == 1
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

    /// Keys in force: the daily one, and a root key.
    fn keys(daily: u8, root: u8, born: &Keys) -> Keys {
        let root = root_commitment(&public(root));
        Keys { daily: public(daily), root, genesis: born.genesis }
    }

    #[test]
    fn a_rotated_key_keeps_its_power_only_before_that_in_its_feed() {
        let (author, born, feed) = author();
        let elsewhere = FeedId { feed: 1, ..feed };
        for by_root in [false, true] {
            assert!(author.upholds(&born, by_root, feed, 4));
            assert!(!author.upholds(&born, by_root, feed, 5));
            assert!(!author.upholds(&born, by_root, elsewhere, 0));
            assert!(author.upholds(&keys(3, 4, &born), by_root, elsewhere, 9));
        }
        assert!(author.has_one_anchor());
    }

    #[test]
    fn the_same_rotation_on_two_devices_is_no_conflict_another_is() {
        let (mut author, born, feed) = author();
        let elsewhere = FeedId { feed: 1, ..feed };
        author.add_rotation(elsewhere, 1, &born, &rotation(3, 4));
        assert!(author.upholds(&keys(3, 4, &born), true, feed, 9));
        author.add_rotation(FeedId { feed: 2, ..feed }, 1, &born, &rotation(8, 9));
        assert!(!author.upholds(&keys(3, 4, &born), true, feed, 9));
        assert!(!author.upholds(&keys(8, 9, &born), false, feed, 9));
    }

    #[test]
    fn a_compromised_key_keeps_what_stands_before_the_place_named() {
        let (mut author, born, feed) = author();
        let now = keys(3, 4, &born);
        author.add_compromise(feed, &now, &Compromise { key: public(3), kept: 8 });
        assert!(author.upholds(&now, false, feed, 7) && !author.upholds(&now, false, feed, 8));
        assert!(!author.upholds(&now, false, FeedId { feed: 1, ..feed }, 0));
        assert!(author.upholds(&now, true, feed, 9), "the root key is as good as before");
        author.add_compromise(feed, &now, &Compromise { key: public(4), kept: 0 });
        assert!(!author.upholds(&now, true, feed, 9));
    }

    #[test]
    fn two_births_are_one_anchor_too_many() {
        let (mut author, born, feed) = author();
        author.add_genesis(root_commitment(&public(66)));
        assert!(!author.has_one_anchor());
        assert!(author.upholds(&keys(3, 4, &born), true, feed, 9));
    }
}
