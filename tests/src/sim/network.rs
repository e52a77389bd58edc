//! The network: loses, delays, reorders, doubles and splits.
//!
//! Invariants: after `heal` nothing is lost or split any more; delay stays.
//! What it is not: fair. How bad it is differs from seed to seed.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::seed::Seed;

/// What becomes of packets.
#[derive(Debug)]
pub(super) struct Network {
    rng: ChaCha8Rng,
    loss: f64,
    doubling: f64,
    /// How many packets are much later than others.
    lagging: f64,
    delay_ms: (u64, u64),
    lag_ms: u64,
    split: Option<u64>,
    /// Packets lost.
    pub(super) lost: u64,
    /// Packets delivered twice.
    pub(super) doubled: u64,
}

impl Network {
    /// A network as bad as the seed says.
    pub(super) fn new(seed: &Seed) -> Self {
        let mut rng = seed.rng();
        let quiet = rng.random_bool(0.1);
        let loss = if quiet { 0.0 } else { rng.random_range(0.0..0.35) };
        let doubling = if quiet { 0.0 } else { rng.random_range(0.0..0.15) };
        let lagging = if quiet { 0.0 } else { rng.random_range(0.0..0.2) };
        let slowest = rng.random_range(3..90);
        let lag_ms = rng.random_range(100..1_500);
        let delay_ms = (1, slowest);
        Self { rng, loss, doubling, lagging, delay_ms, lag_ms, split: None, lost: 0, doubled: 0 }
    }

    /// After how many milliseconds a packet arrives: never, once, or twice.
    pub(super) fn fates(&mut self, from: usize, to: usize) -> impl Iterator<Item = u64> + use<> {
        let apart = self.split.is_some_and(|side| (side >> from) & 1 != (side >> to) & 1);
        let fates = if apart || self.rng.random_bool(self.loss) {
            self.lost += 1;
            [None, None]
        } else if self.rng.random_bool(self.doubling) {
            self.doubled += 1;
            [Some(self.delay_ms()), Some(self.delay_ms())]
        } else {
            [Some(self.delay_ms()), None]
        };
        fates.into_iter().flatten()
    }

    /// Splits the network into the nodes of `side` and the others, or mends it.
    pub(super) fn split(&mut self, side: Option<u64>) {
        self.split = side;
    }

    /// Ends all faults.
    pub(super) fn heal(&mut self) {
        (self.loss, self.doubling, self.lagging, self.split) = (0.0, 0.0, 0.0, None);
    }

    fn delay_ms(&mut self) -> u64 {
        let (least, most) = self.delay_ms;
        let lag = if self.rng.random_bool(self.lagging) { self.lag_ms } else { 0 };
        self.rng.random_range(least..=most) + self.rng.random_range(0..=lag)
    }
}
