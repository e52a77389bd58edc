//! Outer optimizers: how the aggregated change moves the model, and the state they carry.
//!
//! The state of a run is one byte string. For each chunk of parameters (see `update`) it holds the
//! planes that the run needs, one after another, each an `i64` in little endian a parameter:
//! velocity and second moment of the optimizer, and what steps have not said yet. Before the first
//! round it is empty, which stands for zeros.
//!
//! Invariants: integer arithmetic only; the state is part of what a round certifies, so a node that
//! joins late continues with exactly what everybody has. What is read is held within bounds.
//! What it is not: a trainer's own optimizer.

use serde::{Deserialize, Serialize};

use super::FRACTION_BITS;
use crate::update::CHUNK;

/// How the mean change is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outer {
    /// Adds the mean: federated averaging (McMahan et al. 2017, arXiv 1602.05629).
    Average,
    /// Nesterov momentum on the mean, as in DiLoCo (Douillard et al. 2023, arXiv 2311.08105):
    /// `v <- momentum * v + mean; w <- w + rate * (mean + momentum * v)`.
    Nesterov {
        /// The rate in thousandths.
        rate_milli: u32,
        /// The momentum in thousandths, below 1000.
        momentum_milli: u32,
    },
    /// FedAdam (Reddi et al. 2021, arXiv 2003.00295): `m <- first * m + (1 - first) * mean;
    /// s <- second * s + (1 - second) * mean^2; w <- w + rate * m / (sqrt(s) + floor)`.
    Adam {
        /// The rate in millionths.
        rate_micro: u32,
        /// How much of the mean before is kept, in thousandths, below 1000.
        first_milli: u32,
        /// How much of the square before is kept, in thousandths, below 1000.
        second_milli: u32,
        /// What is added to the root, in millionths, at least 1.
        floor_micro: u32,
    },
}

/// The bound of everything remembered: 2^15 in fixed point, which keeps every product inside an
/// `i64`.
pub(super) const MEMORY_MAX: i64 = 1 << 47;
/// The second moment is in units of 2^-48, so that a square fits.
const SQUARE_DROP: u32 = 8;

impl Outer {
    /// Planes of state that it needs.
    pub(super) fn planes(&self) -> usize {
        match self {
            Self::Average => 0,
            Self::Nesterov { .. } => 1,
            Self::Adam { .. } => 2,
        }
    }

    /// Turns the means of a chunk into changes (multiples of 2^-32) and moves the state: its planes,
    /// one after another.
    #[inline(always)]
    pub(super) fn change(&self, means: &mut [i64], state: &mut [i64]) {
        match self {
            Self::Average => {}
            Self::Nesterov { rate_milli, momentum_milli } => {
                let (rate, momentum) = (i64::from(*rate_milli), i64::from(*momentum_milli));
                for (mean, velocity) in means.iter_mut().zip(state) {
                    let moved = thousandths(*velocity, momentum) + *mean;
                    *velocity = moved.clamp(-MEMORY_MAX, MEMORY_MAX);
                    *mean = thousandths(*mean + thousandths(*velocity, momentum), rate);
                }
            }
            Self::Adam { rate_micro, first_milli, second_milli, floor_micro } => {
                let [first, second] = [first_milli, second_milli].map(|milli| i64::from(*milli));
                let floor = (i64::from(*floor_micro) << FRACTION_BITS) / 1_000_000;
                let (moments, squares) = state.split_at_mut(means.len());
                for ((mean, moment), square) in means.iter_mut().zip(moments).zip(squares) {
                    *moment = thousandths(*moment, first) + thousandths(*mean, 1000 - first);
                    let coarse = *mean >> SQUARE_DROP;
                    let drawn = i128::from(*square) * i128::from(second)
                        + i128::from(coarse * coarse) * i128::from(1000 - second);
                    *square = (drawn / 1000) as i64;
                    let root = (square.unsigned_abs().isqrt() << SQUARE_DROP) as i64;
                    let scaled = i128::from(*moment) * i128::from(*rate_micro);
                    let divisor = i128::from(root + floor.max(1)) * 1_000_000;
                    let change = (scaled << FRACTION_BITS) / divisor;
                    *mean = change.clamp(-i128::from(MEMORY_MAX), i128::from(MEMORY_MAX)) as i64;
                }
            }
        }
    }

    /// Whether its numbers are in range, or which is not.
    pub fn check(&self) -> Result<(), String> {
        use crate::limits::{OUTER_MOMENTUM_MAX_MILLI, OUTER_RATE_MAX_MILLI};
        let within = |field: &str, value: u32, least: u32, most: u32| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(format!("outer.{field} is {value}: {least} to {most} are allowed"))
        };
        match self {
            Self::Average => Ok(()),
            Self::Nesterov { rate_milli, momentum_milli } => {
                within("rate_milli", *rate_milli, 1, OUTER_RATE_MAX_MILLI)?;
                within("momentum_milli", *momentum_milli, 0, OUTER_MOMENTUM_MAX_MILLI)
            }
            Self::Adam { rate_micro, first_milli, second_milli, floor_micro } => {
                within("rate_micro", *rate_micro, 1, OUTER_RATE_MAX_MILLI * 1000)?;
                within("first_milli", *first_milli, 0, OUTER_MOMENTUM_MAX_MILLI)?;
                within("second_milli", *second_milli, 0, OUTER_MOMENTUM_MAX_MILLI)?;
                within("floor_micro", *floor_micro, 1, 1_000_000)
            }
        }
    }
}

#[inline(always)]
fn thousandths(value: i64, milli: i64) -> i64 {
    let product = value.saturating_mul(milli);
    // To the nearest, halves away from zero.
    (product + if product < 0 { -500 } else { 500 }) / 1000
}

/// Where the state of a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateForm {
    /// Planes.
    pub planes: usize,
    /// The model's parameters.
    pub parameters: usize,
}

impl StateForm {
    /// Bytes of the whole state, after the first round.
    pub fn bytes(&self) -> u64 {
        (self.planes * self.parameters * 8) as u64
    }

    /// Where the state of the chunks from `at` on begins.
    pub(super) fn start(&self, at: usize) -> u64 {
        (self.planes * at * CHUNK * 8) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i64 = 1 << 32;

    #[test]
    fn momentum_follows_its_formula() {
        let outer = Outer::Nesterov { rate_milli: 700, momentum_milli: 900 };
        let (mut state, mut means) = ([0], [ONE]);
        outer.change(&mut means, &mut state);
        assert_eq!(state, [ONE]);
        assert!((means[0] as f64 / ONE as f64 - 0.7 * 1.9).abs() < 1e-9);
        let mut means = [0];
        outer.change(&mut means, &mut state);
        assert!((means[0] as f64 / ONE as f64 - 0.7 * 0.81).abs() < 1e-9);
    }

    #[test]
    fn adam_follows_its_formula() {
        let outer = Outer::Adam {
            rate_micro: 10_000,
            first_milli: 900,
            second_milli: 990,
            floor_micro: 1_000,
        };
        let mut state = [0; 4];
        let (mut moment, mut square) = ([0.0f64; 2], [0.0f64; 2]);
        for round in 1..=20i64 {
            let mut means = [ONE / 7 / round, -ONE / 1000];
            let exact = means.map(|mean| mean as f64 / ONE as f64);
            outer.change(&mut means, &mut state);
            for at in 0..2 {
                moment[at] = 0.9 * moment[at] + 0.1 * exact[at];
                square[at] = 0.99 * square[at] + 0.01 * exact[at] * exact[at];
                let expected = 0.01 * moment[at] / (square[at].sqrt() + 0.001);
                let found = means[at] as f64 / ONE as f64;
                assert!((found - expected).abs() < 1e-4, "{round} {at}: {found} {expected}");
            }
        }
    }

    #[test]
    fn averaging_adds_the_mean() {
        let mut means = [-5];
        Outer::Average.change(&mut means, &mut []);
        assert_eq!(means, [-5]);
    }
}
