//! Outer optimizers: how the aggregated change moves the model, and the state they carry.
//!
//! Invariants: integer arithmetic only; the state is part of what a round certifies, so a node that
//! joins late continues with exactly the momentum that everybody has.
//! What it is not: a trainer's own optimizer.

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::id::FileHash;

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
}

/// The velocity bound: 2^15 in fixed point, which keeps every product below inside an `i64`.
const VELOCITY_MAX: i64 = 1 << 47;

impl Outer {
    /// The change of one parameter for this `mean`, both multiples of 2^-32; moves the velocity.
    pub(super) fn change(&self, mean: i64, velocity: Option<&mut i64>) -> i64 {
        match (self, velocity) {
            (Self::Nesterov { rate_milli, momentum_milli }, Some(velocity)) => {
                let momentum = i64::from(*momentum_milli);
                *velocity =
                    (thousandths(*velocity, momentum) + mean).clamp(-VELOCITY_MAX, VELOCITY_MAX);
                thousandths(mean + thousandths(*velocity, momentum), i64::from(*rate_milli))
            }
            _ => mean,
        }
    }
}

fn thousandths(value: i64, milli: i64) -> i64 {
    super::divide_to_nearest(value.saturating_mul(milli), 1000)
}

/// What the outer optimizer remembers between rounds: one fixed-point number a parameter, or
/// nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OuterState {
    velocity: Vec<i64>,
}

impl OuterState {
    pub(super) fn of(velocity: Vec<i64>) -> Self {
        Self { velocity }
    }

    /// Reads untrusted bytes as the state for a model with `parameters` parameters.
    pub fn from_bytes(bytes: &[u8], parameters: usize) -> Result<Self, DecodeError> {
        let state: Self = codec::decode(bytes, Self::bytes_max(parameters))?;
        if state.velocity.iter().any(|v| !(-VELOCITY_MAX..=VELOCITY_MAX).contains(v)) {
            return Err(DecodeError::Malformed("a velocity is out of range".into()));
        }
        Ok(state)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The hash of the canonical bytes: the outer root of a round.
    pub fn root(&self) -> FileHash {
        FileHash::of(&self.to_bytes())
    }

    /// The longest outer state of a model with `parameters` parameters, in bytes.
    pub fn bytes_max(parameters: usize) -> usize {
        64 + parameters * 9
    }

    /// Whether nothing is remembered, as before the first round.
    pub fn is_empty(&self) -> bool {
        self.velocity.is_empty()
    }

    pub(super) fn parameters(&self) -> usize {
        self.velocity.len()
    }

    /// The velocities to step: none for an optimizer without any, zeros before the first round.
    pub(super) fn for_optimizer(&self, outer: &Outer, parameters: usize) -> Vec<i64> {
        match outer {
            Outer::Average => Vec::new(),
            Outer::Nesterov { .. } if self.is_empty() => vec![0; parameters],
            Outer::Nesterov { .. } => self.velocity.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i64 = 1 << 32;

    #[test]
    fn momentum_follows_its_formula() {
        let outer = Outer::Nesterov { rate_milli: 700, momentum_milli: 900 };
        let mut velocity = 0;
        let first = outer.change(ONE, Some(&mut velocity));
        assert_eq!(velocity, ONE);
        assert!((first as f64 / ONE as f64 - 0.7 * 1.9).abs() < 1e-9);
        let second = outer.change(0, Some(&mut velocity));
        assert!((second as f64 / ONE as f64 - 0.7 * 0.81).abs() < 1e-9);
    }

    #[test]
    fn averaging_adds_the_mean() {
        assert_eq!(Outer::Average.change(-5, None), -5);
    }

    #[test]
    fn state_survives_its_bytes_and_has_bounds() {
        let state = OuterState { velocity: vec![1, -2, VELOCITY_MAX] };
        assert_eq!(OuterState::from_bytes(&state.to_bytes(), 3), Ok(state));
        let wild = OuterState { velocity: vec![VELOCITY_MAX + 1] };
        assert!(OuterState::from_bytes(&wild.to_bytes(), 1).is_err());
    }
}
