//! An update: what one trainer's round changed in the model, quantised to int8 blocks.
//!
//! A block is `BLOCK` neighbouring parameters of the flat order of [`Weights`]; it holds one
//! exponent `e` and one signed byte `q` a parameter, and stands for `q * 2^e`.
//!
//! Invariants: exponents lie in `EXPONENT_MIN..=EXPONENT_MAX` and `q` in `-127..=127`, so that every
//! value is an integer multiple of 2^-32 below 2^7; quantising is the same bits everywhere.
//! What it is not: trusted. [`Update::from_bytes`] bounds and checks it against the model's size.
//!
//! [`Weights`]: crate::weights::Weights

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::id::FileHash;

/// Parameters in a block.
pub const BLOCK: usize = 256;
/// The smallest exponent: one step is then the resolution of the aggregate.
pub const EXPONENT_MIN: i8 = -32;
/// The largest exponent: no parameter moves by more than 127 in a round.
pub const EXPONENT_MAX: i8 = 0;
/// The largest magnitude of a quantised value.
pub const STEPS_MAX: i8 = 127;

/// Why bytes are not an update of this model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// Not the encoding of an update.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It changes another number of parameters than the model has.
    #[error("it changes {found} parameters, the model has {expected}")]
    Parameters {
        /// How many it changes.
        found: usize,
        /// How many the model has.
        expected: usize,
    },
    /// It has another number of exponents than blocks.
    #[error("it has {found} exponents for {expected} blocks")]
    Exponents {
        /// How many there are.
        found: usize,
        /// How many blocks there are.
        expected: usize,
    },
    /// A value or exponent is out of range.
    #[error("block {block} holds a value or exponent out of range")]
    Range {
        /// Which block.
        block: usize,
    },
}

/// A quantised difference between a trainer's model and the round's base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    encoding: Encoding,
    #[serde(with = "serde_bytes")]
    exponents: Vec<u8>,
    #[serde(with = "serde_bytes")]
    steps: Vec<u8>,
}

/// How an update's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// One exponent a block, one signed byte a parameter.
    Int8Blocks,
}

impl Update {
    /// Quantises `delta`, one value a parameter. What rounding loses is left in `residual` (same
    /// length), which is added to the next round's delta: error feedback (Karimireddy et al. 2019,
    /// arXiv 1901.09847). Values that are not finite count as zero and leave no residual.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn quantise(delta: &[f32], residual: &mut [f32]) -> Self {
        assert_eq!(delta.len(), residual.len(), "one residual a parameter");
        let mut exponents = Vec::with_capacity(delta.len().div_ceil(BLOCK));
        let mut steps = Vec::with_capacity(delta.len());
        for (delta, residual) in delta.chunks(BLOCK).zip(residual.chunks_mut(BLOCK)) {
            for (residual, delta) in residual.iter_mut().zip(delta) {
                let sum = *residual + *delta;
                *residual = if sum.is_finite() { sum } else { 0.0 };
            }
            let largest = residual.iter().fold(0.0f32, |max, value| max.max(value.abs()));
            let exponent = exponent_for(largest);
            let step = power_of_two(exponent);
            for residual in residual.iter_mut() {
                // The product of a float and a power of two, rounded to the nearest even integer:
                // both are exact operations of IEEE 754, so every machine agrees.
                let scaled = (f64::from(*residual) / step).round_ties_even();
                let q = scaled.clamp(-f64::from(STEPS_MAX), f64::from(STEPS_MAX)) as i8;
                *residual = (f64::from(*residual) - f64::from(q) * step) as f32;
                steps.push(q as u8);
            }
            exponents.push(exponent as u8);
        }
        Self { encoding: Encoding::Int8Blocks, exponents, steps }
    }

    /// Reads untrusted bytes as an update of a model with `parameters` parameters.
    pub fn from_bytes(bytes: &[u8], parameters: usize) -> Result<Self, UpdateError> {
        let update: Self = codec::decode(bytes, bytes_max(parameters))?;
        if update.steps.len() != parameters {
            let found = update.steps.len();
            return Err(UpdateError::Parameters { found, expected: parameters });
        }
        let blocks = parameters.div_ceil(BLOCK);
        if update.exponents.len() != blocks {
            let found = update.exponents.len();
            return Err(UpdateError::Exponents { found, expected: blocks });
        }
        for (block, (exponent, steps)) in update.blocks().enumerate() {
            let in_range = (EXPONENT_MIN..=EXPONENT_MAX).contains(&exponent);
            if !in_range || steps.iter().any(|&q| q as i8 == i8::MIN) {
                return Err(UpdateError::Range { block });
            }
        }
        Ok(update)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The hash of the canonical bytes.
    pub fn hash(&self) -> FileHash {
        FileHash::of(&self.to_bytes())
    }

    /// The number of parameters it changes.
    pub fn parameters(&self) -> usize {
        self.steps.len()
    }

    /// Each block's exponent with its steps (each an `i8` as a byte).
    pub fn blocks(&self) -> impl Iterator<Item = (i8, &[u8])> {
        self.exponents.iter().map(|&e| e as i8).zip(self.steps.chunks(BLOCK))
    }

    /// One block's exponent with its steps; past the last block, no steps.
    pub fn block(&self, at: usize) -> (i8, &[u8]) {
        let start = (at * BLOCK).min(self.steps.len());
        let end = (start + BLOCK).min(self.steps.len());
        (self.exponents.get(at).map_or(0, |&e| e as i8), &self.steps[start..end])
    }

    /// The values it stands for, one a parameter.
    pub fn dequantise(&self) -> Vec<f32> {
        self.blocks()
            .flat_map(|(exponent, steps)| {
                let step = power_of_two(exponent);
                steps.iter().map(move |&q| (f64::from(q as i8) * step) as f32)
            })
            .collect()
    }
}

/// The longest update of a model with `parameters` parameters, in bytes.
pub fn bytes_max(parameters: usize) -> usize {
    parameters + parameters.div_ceil(BLOCK) + 128
}

/// The smallest exponent at which `largest` is at most 127 steps.
fn exponent_for(largest: f32) -> i8 {
    (EXPONENT_MIN..EXPONENT_MAX)
        .find(|&e| f64::from(largest) <= f64::from(STEPS_MAX) * power_of_two(e))
        .unwrap_or(EXPONENT_MAX)
}

fn power_of_two(exponent: i8) -> f64 {
    // Biased exponent of an IEEE 754 double; exact for every exponent used here.
    f64::from_bits(((1023 + i64::from(exponent)) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_update_survives_its_bytes_and_loses_under_one_step(
            delta in prop::collection::vec(-2.0f32..2.0, 0..600),
        ) {
            let mut residual = vec![0.0; delta.len()];
            let update = Update::quantise(&delta, &mut residual);
            let again = Update::from_bytes(&update.to_bytes(), delta.len());
            prop_assert_eq!(again.as_ref(), Ok(&update));
            let values = update.dequantise();
            let exponents = update.blocks().map(|(e, _)| e).collect::<Vec<_>>();
            for (at, (value, delta)) in values.iter().zip(&delta).enumerate() {
                let step = power_of_two(exponents[at / BLOCK]) as f32;
                prop_assert!((value - delta).abs() <= step * 0.5001);
                prop_assert!((value + residual[at] - delta).abs() <= f32::EPSILON * 4.0);
            }
        }
    }

    #[test]
    fn what_one_round_loses_the_next_one_sends() {
        let mut residual = vec![0.0; 2];
        let mut sent = [0.0f32; 2];
        for _ in 0..200 {
            // The small value is below half a step of the large one's block.
            let update = Update::quantise(&[1.0, 0.001], &mut residual);
            for (sent, value) in sent.iter_mut().zip(update.dequantise()) {
                *sent += value;
            }
        }
        assert!((sent[1] - 0.2).abs() < 0.01, "{sent:?}");
    }

    #[test]
    fn hostile_updates_are_named() {
        let good = Update::quantise(&[0.5; 300], &mut [0.0; 300]);
        let bytes = good.to_bytes();
        assert!(matches!(
            Update::from_bytes(&bytes, 299),
            Err(UpdateError::Parameters { found: 300, expected: 299 })
        ));
        assert!(matches!(Update::from_bytes(&bytes, 3), Err(UpdateError::Decode(_))));
        let range = Update { exponents: vec![200, 0], ..good.clone() };
        assert!(matches!(
            Update::from_bytes(&range.to_bytes(), 300),
            Err(UpdateError::Range { block: 0 })
        ));
        let short = Update { exponents: vec![0], ..good };
        assert!(matches!(
            Update::from_bytes(&short.to_bytes(), 300),
            Err(UpdateError::Exponents { found: 1, expected: 2 })
        ));
    }

    #[test]
    fn infinities_and_nans_vanish() {
        let mut residual = [0.0; 3];
        let update = Update::quantise(&[f32::NAN, f32::INFINITY, 1.0], &mut residual);
        assert_eq!(update.dequantise(), [0.0, 0.0, 1.0]);
        assert_eq!(residual, [0.0; 3]);
    }
}
