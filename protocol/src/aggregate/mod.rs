//! From a base model and a round's accepted updates to the next model, exactly.
//!
//! All arithmetic is on integers: a weight or a change is a multiple of 2^-32 in an `i64`. Sums are
//! therefore the same in any order, on any machine, with any number of threads.
//!
//! Invariants: the result is a function of the base, the outer state, the rule, the outer optimizer
//! and the *set* of contributions. No FMA, no libm, no GPU. `limits` keeps every sum inside an `i64`.
//! What it is not: a check of who may contribute, or what (see `round`).

mod outer;
mod rule;

pub use outer::{Outer, OuterState};
pub use rule::Rule;

use crate::limits::{UPDATES_MAX, WEIGHT_MAX};
use crate::update::{BLOCK, Update};
use crate::weights::{VALUE_MAX, Weights, WeightsError};

/// Binary places of the fixed-point numbers.
pub const FRACTION_BITS: u32 = 32;

/// One trainer's part in a round.
#[derive(Debug, Clone, Copy)]
pub struct Contribution<'a> {
    /// How much it counts, `1..=WEIGHT_MAX`.
    pub weight: u64,
    /// What it changes.
    pub update: &'a Update,
}

/// Why a round has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AggregateError {
    /// Nothing to aggregate, or more than a round may hold.
    #[error("{0} updates, a round takes 1 to {UPDATES_MAX}")]
    Updates(usize),
    /// A weight of zero or above the cap.
    #[error("a weight of {0}, it must be 1 to {WEIGHT_MAX}")]
    Weight(u64),
    /// An update or the outer state does not fit the model.
    #[error("{what} has {found} parameters, the model {expected}")]
    Shape {
        /// Which of the two.
        what: &'static str,
        /// How many it has.
        found: usize,
        /// How many the model has.
        expected: usize,
    },
    /// The result is not a model (a weight grew beyond the range).
    #[error("the result is no model: {0}")]
    Result(#[from] WeightsError),
}

/// Aggregates one round: applies `rule` to the contributions and `outer` to their result.
/// `threads` changes the speed and nothing else.
pub fn aggregate(
    base: &Weights,
    state: &OuterState,
    contributions: &[Contribution<'_>],
    rule: &Rule,
    outer: &Outer,
    threads: usize,
) -> Result<(Weights, OuterState), AggregateError> {
    let parameters = base.parameters();
    check(parameters, state, contributions)?;
    let scales = rule.scales(contributions);
    let blocks = parameters.div_ceil(BLOCK);
    let blocks_each = blocks.div_ceil(threads.max(1)).max(1);

    let mut values = base.values().to_vec();
    let mut velocity = state.for_optimizer(outer, parameters);
    let span = blocks_each * BLOCK;
    std::thread::scope(|scope| {
        let mut velocities = velocity.chunks_mut(span);
        for (part, values) in values.chunks_mut(span).enumerate() {
            let velocity = velocities.next().unwrap_or_default();
            let (scales, first) = (&scales, part * blocks_each);
            if threads <= 1 {
                step(values, velocity, first, contributions, scales, outer);
            } else {
                scope.spawn(move || step(values, velocity, first, contributions, scales, outer));
            }
        }
    });
    let weights = Weights::from_flat(base.layout().to_vec(), values)?;
    Ok((weights, OuterState::of(velocity)))
}

/// Steps the parameters of consecutive blocks, from block `first` on.
fn step(
    values: &mut [f32],
    velocity: &mut [i64],
    first: usize,
    contributions: &[Contribution<'_>],
    scales: &[rule::Scale],
    outer: &Outer,
) {
    let total = contributions.iter().map(|c| c.weight).sum::<u64>() as i64;
    for (at, values) in values.chunks_mut(BLOCK).enumerate() {
        let mut sum = [0i64; BLOCK];
        for (contribution, scale) in contributions.iter().zip(scales) {
            let weight = contribution.weight as i64;
            let (exponent, steps) = contribution.update.block(first + at);
            let shift = (FRACTION_BITS as i32 + i32::from(exponent)) as u32;
            for (sum, &q) in sum.iter_mut().zip(steps) {
                *sum += scale.apply(i64::from(q as i8) << shift) * weight;
            }
        }
        let velocity = velocity.get_mut(at * BLOCK..).unwrap_or_default();
        for (i, value) in values.iter_mut().enumerate() {
            let mean = divide_to_nearest(sum[i], total);
            let change = outer.change(mean, velocity.get_mut(i));
            *value = from_fixed(to_fixed(*value).saturating_add(change));
        }
    }
}

fn check(
    parameters: usize,
    state: &OuterState,
    contributions: &[Contribution<'_>],
) -> Result<(), AggregateError> {
    if contributions.is_empty() || contributions.len() > UPDATES_MAX {
        return Err(AggregateError::Updates(contributions.len()));
    }
    let shape = |what, found| AggregateError::Shape { what, found, expected: parameters };
    if !state.is_empty() && state.parameters() != parameters {
        return Err(shape("the outer state", state.parameters()));
    }
    for contribution in contributions {
        if !(1..=WEIGHT_MAX).contains(&contribution.weight) {
            return Err(AggregateError::Weight(contribution.weight));
        }
        if contribution.update.parameters() != parameters {
            return Err(shape("an update", contribution.update.parameters()));
        }
    }
    Ok(())
}

/// The multiple of 2^-32 at or next to `value` towards zero; exact arithmetic on the double.
fn to_fixed(value: f32) -> i64 {
    (f64::from(value) * (1u64 << FRACTION_BITS) as f64) as i64
}

/// The nearest float, ties to even; a value out of range becomes one that `Weights` refuses.
fn from_fixed(value: i64) -> f32 {
    let limit = ((f64::from(VALUE_MAX)) * (1u64 << FRACTION_BITS) as f64) as i64;
    if value.abs() > limit {
        return f32::INFINITY;
    }
    (value as f64 / (1u64 << FRACTION_BITS) as f64) as f32
}

/// `numerator / denominator` to the nearest integer, halves away from zero; `denominator > 0`.
fn divide_to_nearest(numerator: i64, denominator: i64) -> i64 {
    let half = denominator / 2;
    if numerator >= 0 {
        (numerator.saturating_add(half)) / denominator
    } else {
        -(numerator.saturating_neg().saturating_add(half) / denominator)
    }
}

#[cfg(test)]
mod tests;
