//! A round whose model fits in memory, whole.
//!
//! Invariants: the same as in pieces. What it is not: for models near the size of the memory.

use super::{AggregateError, Contribution, Inputs, Memory, Outputs, Plan, TapeError, aggregate};
use crate::weights::Weights;

/// Where a round's results go.
#[derive(Debug)]
pub struct Whole {
    /// The model's canonical file.
    pub weights: Memory,
    /// The outer optimizer's state.
    pub state: Memory,
    /// The step.
    pub step: Memory,
}

impl Whole {
    /// Room for what a round of this plan comes to; the model's file has so many bytes.
    pub fn new(plan: &Plan, weights_bytes: u64) -> Self {
        Self {
            weights: Memory::zeros(weights_bytes),
            state: Memory::zeros(plan.state().bytes()),
            step: Memory::zeros(plan.step_form().map_or(0, |form| form.step_bytes())),
        }
    }

    /// As the aggregate wants them.
    pub fn outputs(&self) -> Outputs<'_> {
        Outputs { weights: &self.weights, state: &self.state, step: &self.step }
    }
}

/// What a round comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregated {
    /// The next model.
    pub weights: Weights,
    /// The next state.
    pub state: Vec<u8>,
    /// The step, empty if the plan has none.
    pub step: Vec<u8>,
    /// What each contribution was of the mean, in units of 2^-22, in the order of their ids.
    pub shares: Vec<i32>,
}

/// Aggregates a round of a model that is in memory.
pub fn aggregate_whole(
    plan: &Plan,
    base: &Weights,
    state: &[u8],
    contributions: &[Contribution<'_>],
    threads: usize,
) -> Result<Aggregated, AggregateError> {
    let bytes = base.to_bytes();
    let state = state.to_vec();
    let weights_start = base.values_start();
    let inputs = Inputs { weights: &bytes, weights_start, state: &state };
    let whole = Whole::new(plan, bytes.len() as u64);
    let shares = aggregate(plan, &inputs, contributions, &whole.outputs(), threads)?;
    let weights = Weights::from_bytes(&whole.weights.into_bytes());
    Ok(Aggregated {
        weights: weights.map_err(|error| TapeError(error.to_string()))?,
        state: whole.state.into_bytes(),
        step: whole.step.into_bytes(),
        shares,
    })
}
