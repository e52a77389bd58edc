//! An identity's keys over time: those it was born with, and what each rotation replaced them by.
//!
//! All are kept, since a further device begins a feed of its own with the first keys and repeats
//! the rotations. Which keys are in force is the ledger's to say, so that a crash between writing a
//! file and a record leaves nothing undecided.
//!
//! Invariants: at least one generation; the author is the first daily key. What it is not: a file
//! (see `file`).

use consent::{FeedKeys, Identity, RootKey};
use protocol::{FeedId, PublicKey, SecretKey};

use crate::home::{HomeError, fresh_seed};

/// The keys between two rotations.
#[derive(Debug, Clone)]
pub(crate) struct Generation {
    pub(crate) daily: SecretKey,
    pub(crate) root: RootKey,
}

/// An identity's keys.
#[derive(Debug, Clone)]
pub(crate) struct Keyring {
    /// Its local name where the file was written.
    pub(crate) name: String,
    /// The number of the feed that this device signs.
    pub(crate) feed: u32,
    /// The node that signs that feed; none in files that are to be carried elsewhere.
    pub(crate) device: Option<PublicKey>,
    /// Whether root keys are left out of the node's file.
    pub(crate) root_elsewhere: bool,
    /// Oldest first.
    pub(crate) generations: Vec<Generation>,
    /// Made for a rotation that may or may not have been recorded.
    pub(crate) next: Option<Generation>,
}

impl Generation {
    /// New keys.
    pub(crate) fn fresh() -> Result<Self, HomeError> {
        let key = || fresh_seed().map(|seed| SecretKey::from_seed(&seed));
        Ok(Self { daily: key()?, root: key()?.into() })
    }

    /// The same without the root key, but for what commits to it.
    pub(crate) fn without_root(&self) -> Self {
        let root = RootKey::Elsewhere(self.root.commitment());
        Self { daily: self.daily.clone(), root }
    }

    /// Whether these keys are in force.
    pub(crate) fn is(&self, keys: &FeedKeys) -> bool {
        self.daily.public() == keys.daily && self.root.commitment() == keys.root
    }

    fn is_same(&self, other: &Self) -> bool {
        let keys = FeedKeys { daily: other.daily.public(), root: other.root.commitment() };
        self.is(&keys)
    }
}

impl Keyring {
    /// The identity's name for ever.
    pub(crate) fn author(&self) -> PublicKey {
        self.generations[0].daily.public()
    }

    /// The feed that this device signs.
    pub(crate) fn feed_id(&self) -> FeedId {
        FeedId { author: self.author(), feed: self.feed }
    }

    /// The keys that the feed's end names, with their place; the prepared ones have the last.
    pub(crate) fn in_force(&self, keys: &FeedKeys) -> Option<(usize, &Generation)> {
        self.generations.iter().chain(&self.next).enumerate().find(|(_, held)| held.is(keys))
    }

    /// The identity that signs with the keys of this place.
    pub(crate) fn identity(&self, at: usize) -> Option<Identity> {
        let held = self.generations.iter().chain(&self.next).nth(at)?;
        Some(Identity::rotated(self.feed_id(), held.daily.clone(), held.root.clone()))
    }

    /// Fills in root keys that another file of this identity has, and the keys it has prepared.
    pub(crate) fn fill(&mut self, other: &Self) {
        for held in self.generations.iter_mut().chain(&mut self.next) {
            let found = other.generations.iter().chain(&other.next).find(|key| key.is_same(held));
            if let Some(Generation { root: RootKey::Here(root), .. }) = found {
                held.root = root.clone().into();
            }
        }
        if self.next.is_none() {
            // A rotation that wrote only one of the two files, or settled only one.
            let known = |key: &Generation| self.generations.iter().any(|held| held.is_same(key));
            self.next = other.next.clone().filter(|next| !known(next));
        }
    }

    /// Takes over later generations of the same identity. Says whether there were any.
    pub(crate) fn catch_up(&mut self, other: &Self) -> bool {
        let held = self.generations.len();
        let begins = other.generations.iter().zip(&self.generations).all(|(a, b)| a.is_same(b));
        if !begins || other.generations.len() <= held {
            return false;
        }
        self.generations.extend(other.generations[held..].iter().cloned());
        self.next = None;
        true
    }

    /// The prepared keys are in force.
    pub(crate) fn settle(&mut self) {
        self.generations.extend(self.next.take());
    }

    /// Whether all root keys are here.
    pub(crate) fn has_roots(&self) -> bool {
        self.generations.iter().all(|held| matches!(held.root, RootKey::Here(_)))
    }

    /// What the node's own file holds.
    pub(crate) fn kept(&self) -> Self {
        let strip = |held: &Generation| match self.root_elsewhere {
            true => held.without_root(),
            false => held.clone(),
        };
        Self {
            generations: self.generations.iter().map(strip).collect(),
            next: self.next.as_ref().map(strip),
            ..self.clone()
        }
    }
}
