//! The seed tree: every stream of randomness has a label of its own.
//!
//! Invariants: a stream depends on the run's seed and its path of labels, so drawing more from one
//! never shifts another. What it is not: secret.

use protocol::{FileHash, SecretKey};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A node of the tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seed(FileHash);

impl Seed {
    /// The root of seed `number`.
    pub(super) fn root(number: u64) -> Self {
        Self(FileHash::of(&number.to_le_bytes()))
    }

    /// The branch with this label.
    pub(super) fn child(&self, label: &str) -> Self {
        Self(FileHash::of(&[self.0.as_bytes(), label.as_bytes()].concat()))
    }

    /// The stream of this branch.
    pub(super) fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(*self.0.as_bytes())
    }

    /// A key of this branch.
    pub(super) fn key(&self) -> SecretKey {
        SecretKey::from_seed(self.0.as_bytes())
    }
}

/// Some of the items, by chance.
pub(super) fn pick<T: Copy>(rng: &mut ChaCha8Rng, items: &[T], count: usize) -> Vec<T> {
    let mut items = items.to_vec();
    items.partial_shuffle(rng, count).0.to_vec()
}
