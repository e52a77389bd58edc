//! The network: loses, delays, reorders, doubles and splits.
//!
//! Invariants: after `heal` nothing is lost or split any more; delay stays.
//! What it is not: fair. How bad it is differs from seed to seed.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::counts::Counts;
use super::partition::Cut;
use super::seed::Seed;

/// What becomes of packets.
#[derive(Debug)]
pub(super) struct Network {
    rng: ChaCha8Rng,
    delay_ms: (u64, u64),
    trouble: Trouble,
}

/// What is wrong with it; chances are of a thousand.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub(super) loss: u32,
    pub(super) doubling: u32,
    /// How many packets are much later than others.
    pub(super) lagging: u32,
    pub(super) lag_ms: u64,
    /// Partitions under way, by the fault's index.
    pub(super) cuts: Vec<(u32, Cut)>,
}

impl Network {
    /// A network as slow as the seed says.
    pub(super) fn new(seed: &Seed) -> Self {
        let mut rng = seed.rng();
        let slowest = rng.random_range(3..90);
        Self { rng, delay_ms: (1, slowest), trouble: Trouble::default() }
    }

    /// After how many milliseconds a packet arrives: never, once, or twice.
    pub(super) fn fates(
        &mut self,
        from: usize,
        to: usize,
        counts: &mut Counts,
    ) -> impl Iterator<Item = u64> + use<> {
        let fates = if self.trouble.cuts.iter().any(|(_, cut)| cut.parts(from, to)) {
            counts.note("packet cut off");
            [None, None]
        } else if self.chance(self.trouble.loss) {
            counts.note("packet lost");
            [None, None]
        } else if self.chance(self.trouble.doubling) {
            counts.note("packet doubled");
            [Some(self.delay_ms(counts)), Some(self.delay_ms(counts))]
        } else {
            [Some(self.delay_ms(counts)), None]
        };
        fates.into_iter().flatten()
    }

    /// What is wrong with it, to be changed.
    pub(super) fn trouble(&mut self) -> &mut Trouble {
        &mut self.trouble
    }

    /// Ends all faults.
    pub(super) fn heal(&mut self) {
        self.trouble = Trouble::default();
    }

    fn chance(&mut self, milli: u32) -> bool {
        milli > 0 && self.rng.random_range(0..1_000) < milli
    }

    fn delay_ms(&mut self, counts: &mut Counts) -> u64 {
        let (least, most) = self.delay_ms;
        let delay_ms = self.rng.random_range(least..=most);
        if !self.chance(self.trouble.lagging) {
            return delay_ms;
        }
        counts.note("packet out of order");
        delay_ms + self.rng.random_range(0..=self.trouble.lag_ms)
    }
}
