//! Aggregation rules: what each update may count for, before the weighted mean.
//!
//! Invariants: a rule sees the contributions as a set; its result for one is an exact rational.
//! What it is not: the mean itself.

use serde::{Deserialize, Serialize};

use super::{Contribution, FRACTION_BITS};
use crate::update::Update;

/// How updates become one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The mean, weighted, after scaling every update whose Euclidean norm is above the bound down
    /// to it.
    ClippedMean {
        /// The bound on an update's norm, in thousandths.
        norm_max_milli: u64,
    },
}

/// A factor in `0..=1`, in 65,536ths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scale(i64);

const SCALE_BITS: u32 = 16;
const ONE: Scale = Scale(1 << SCALE_BITS);

impl Scale {
    /// `value * self`, to the nearest integer; |value| < 2^40, so the product fits.
    pub(super) fn apply(self, value: i64) -> i64 {
        if self == ONE {
            return value;
        }
        (value * self.0 + (1 << (SCALE_BITS - 1))) >> SCALE_BITS
    }
}

impl Rule {
    /// Each contribution's factor, in their order.
    pub(super) fn scales(&self, contributions: &[Contribution<'_>]) -> Vec<Scale> {
        let Self::ClippedMean { norm_max_milli } = *self;
        let bound = (u128::from(norm_max_milli) << FRACTION_BITS) / 1000;
        contributions
            .iter()
            .map(|contribution| {
                let norm = norm_squared(contribution.update).isqrt();
                if norm <= bound { ONE } else { Scale(((bound << SCALE_BITS) / norm) as i64) }
            })
            .collect()
    }
}

/// The squared Euclidean norm in units of 2^-64, exactly: at most 2^7 a value and 2^30 values, so
/// at most 2^(14 + 64 + 30) < 2^128.
fn norm_squared(update: &Update) -> u128 {
    update
        .blocks()
        .map(|(exponent, steps)| {
            let sum: u64 = steps.iter().map(|&q| u64::from((q as i8).unsigned_abs()).pow(2)).sum();
            u128::from(sum) << (2 * (FRACTION_BITS as i32 + i32::from(exponent)))
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_too_long_is_scaled() {
        let short = Update::quantise(&[0.5, 0.0], &mut [0.0; 2]);
        let long = Update::quantise(&[3.0, 4.0], &mut [0.0; 2]);
        let contributions = [&short, &long].map(|update| Contribution { weight: 1, update });
        let scales = Rule::ClippedMean { norm_max_milli: 1000 }.scales(&contributions);
        assert_eq!(scales, [ONE, Scale(65_536 / 5)]);
        assert_eq!(scales[1].apply(5 << 32), ((65_536 / 5) * (5i64 << 32)) >> 16);
    }
}
