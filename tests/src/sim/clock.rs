//! A node's clocks: a steady one for waits, and a time of day for words to others.
//!
//! Invariants: the steady clock never goes back within a boot, however fast or slow it is.
//! What it is not: the world's time, which no node sees.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// The time of day at which simulations start.
const EPOCH_MS: u64 = 1_700_000_000_000;
const MILLION: u64 = 1_000_000;

/// Both clocks.
#[derive(Debug)]
pub(super) struct Clock {
    /// Steady milliseconds in a million of the world's.
    rate: u64,
    /// What the steady clock of this boot shows at the world's zero.
    offset_ms: u64,
    /// What the time of day is ahead.
    ahead_ms: i64,
}

impl Clock {
    pub(super) fn new(rng: &mut ChaCha8Rng) -> Self {
        Self { rate: MILLION, offset_ms: 0, ahead_ms: rng.random_range(0..60_000) }
    }

    /// Makes the steady clock fast, or slow. Before the node starts.
    pub(super) fn drift(&mut self, ppm: i64) {
        self.rate = MILLION.saturating_add_signed(ppm);
    }

    /// Sets the time of day forward, or back.
    pub(super) fn jump(&mut self, by_ms: i64) {
        self.ahead_ms += by_ms;
    }

    /// Begins a boot, whose steady clock starts somewhere else.
    pub(super) fn boot(&mut self, offset_ms: u64) {
        self.offset_ms = offset_ms;
    }

    /// The steady clock.
    pub(super) fn steady_ms(&self, now_ms: u64) -> u64 {
        self.offset_ms + now_ms * self.rate / MILLION
    }

    /// How long it takes in the world until the steady clock shows this.
    pub(super) fn until_ms(&self, now_ms: u64, deadline_ms: u64) -> u64 {
        let wait_ms = deadline_ms.saturating_sub(self.steady_ms(now_ms));
        (wait_ms * MILLION).div_ceil(self.rate)
    }

    /// The time of day.
    pub(super) fn day_ms(&self, now_ms: u64) -> u64 {
        (EPOCH_MS + now_ms).saturating_add_signed(self.ahead_ms)
    }
}
