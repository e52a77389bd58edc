//! From means to the next model: outer optimizer, step, weights, state.
//!
//! Invariants: what a step says and what is left of it add up to the change; the model moves by what
//! the step says. What it is not: a mean.

use std::ops::Range;

use super::outer::{MEMORY_MAX, Outer};
use super::{AggregateError, FRACTION_BITS, Inputs, ONE, Outputs, Plan};
use crate::kernel::kernel;
use crate::update::{BLOCK, CHUNK, Chunk, UpdateError, UpdateForm, Values, check, quantise};
use crate::weights::{VALUE_MAX, Weights, WeightsError};

/// Moves one piece after another.
pub(super) struct Writer<'a> {
    plan: &'a Plan,
    inputs: &'a Inputs<'a>,
    outputs: &'a Outputs<'a>,
    means: [i64; CHUNK],
    state: Vec<i64>,
    weights: Vec<u8>,
    states: Vec<u8>,
    steps: Vec<u8>,
    start: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        inputs: &'a Inputs<'a>,
        outputs: &'a Outputs<'a>,
        chunks: usize,
    ) -> Self {
        let planes = plan.state().planes;
        Self {
            plan,
            inputs,
            outputs,
            means: [0; CHUNK],
            state: vec![0; planes * CHUNK],
            weights: Vec::with_capacity(chunks * CHUNK * 4),
            states: Vec::with_capacity(chunks * planes * CHUNK * 8),
            steps: Vec::new(),
            start: 0,
        }
    }

    /// Reads what the piece starts from.
    pub(super) fn begin(&mut self, chunks: &Range<usize>) -> Result<(), AggregateError> {
        let (plan, inputs) = (self.plan, self.inputs);
        let parameters = plan.update.parameters.min(chunks.end * CHUNK) - chunks.start * CHUNK;
        self.start = chunks.start;
        self.weights.resize(parameters * 4, 0);
        inputs.weights.read_at(self.weights_at(), &mut self.weights)?;
        let state = plan.state();
        self.states.resize(parameters * state.planes * 8, 0);
        if inputs.state.bytes() > 0 {
            inputs.state.read_at(state.start(self.start), &mut self.states)?;
        } else {
            self.states.fill(0);
        }
        self.steps.clear();
        Ok(())
    }

    /// Where the means of chunk `at` are to be put.
    pub(super) fn means(&mut self, at: usize) -> &mut [i64] {
        &mut self.means[..self.plan.update.chunk_parameters(at)]
    }

    /// Takes the means of chunk `at`.
    pub(super) fn take(&mut self, at: usize) -> Result<(), AggregateError> {
        let plan = self.plan;
        let (parameters, planes) = (plan.update.chunk_parameters(at), plan.state().planes);
        let first = (at - self.start) * CHUNK;
        let means = &mut self.means[..parameters];
        let states = &mut self.states[first * planes * 8..(first + parameters) * planes * 8];
        let state = &mut self.state[..parameters * planes];
        for (value, bytes) in state.iter_mut().zip(states.as_chunks::<8>().0) {
            *value = i64::from_le_bytes(*bytes);
        }
        move_state(&plan.outer, means, state, plan.step.is_some());
        if let Some(encoding) = &plan.step {
            let left = &mut state[plan.outer.planes() * parameters..];
            quantise(encoding, left, &mut self.steps);
            // What is said is what was there without what is left.
            for (mean, left) in means.iter_mut().zip(left) {
                *mean -= *left;
                *left = (*left).clamp(-MEMORY_MAX, MEMORY_MAX);
            }
        }
        let weights = &mut self.weights[first * 4..(first + parameters) * 4];
        for (value, bytes) in state.iter().zip(states.as_chunks_mut::<8>().0) {
            *bytes = value.to_le_bytes();
        }
        if move_weights(weights, means) { Err(AggregateError::Result(at * CHUNK)) } else { Ok(()) }
    }

    /// Writes what the piece came to.
    pub(super) fn end(&mut self) -> Result<(), AggregateError> {
        let outputs = self.outputs;
        outputs.weights.write_at(self.weights_at(), &self.weights)?;
        if !self.states.is_empty() {
            outputs.state.write_at(self.plan.state().start(self.start), &self.states)?;
        }
        if let Some(form) = self.plan.step_form() {
            outputs.step.write_at(form.chunk_range(self.start).start, &self.steps)?;
        }
        Ok(())
    }

    fn weights_at(&self) -> u64 {
        self.inputs.weights_start + (self.start * CHUNK * 4) as u64
    }
}

kernel! {
    /// From means to changes; with steps, what was left before is added, and the sum also stands where
    /// what is left will be.
    fn move_state<'a>(
        outer: &'a Outer,
        means: &'a mut [i64],
        state: &'a mut [i64],
        has_step: bool,
    ) -> () {
        outer.change(means, state);
        if has_step {
            let left = &mut state[outer.planes() * means.len()..];
            for (mean, left) in means.iter_mut().zip(left) {
                *mean = mean.saturating_add(*left);
                *left = *mean;
            }
        }
    }
}

kernel! {
    /// Adds changes to weights; says whether one grew beyond the range.
    fn move_weights<'a>(weights: &'a mut [u8], changes: &'a [i64]) -> bool {
        let mut beyond = false;
        for (bytes, change) in weights.as_chunks_mut::<4>().0.iter_mut().zip(changes) {
            let value = to_fixed(f32::from_le_bytes(*bytes)).saturating_add(*change);
            beyond |= value.abs() > LIMIT;
            *bytes = from_fixed(value).to_le_bytes();
        }
        beyond
    }
}

const LIMIT: i64 = (VALUE_MAX as i64) << FRACTION_BITS;

/// The multiple of 2^-32 at or next to `value` towards zero, from its bits: `1.m * 2^(e - 127)`. A cast would
/// not be done on many at once.
#[inline(always)]
fn to_fixed(value: f32) -> i64 {
    let bits = value.to_bits();
    let exponent = (bits >> 23) & 0xff;
    let mantissa = u64::from((bits & 0x7f_ffff) | u32::from(exponent > 0) << 23);
    // Everything below 2^-32 is shifted out; a weight is at most 2^20.
    let left = exponent.saturating_sub(118).min(39);
    let right = 118u32.saturating_sub(exponent).min(63);
    let magnitude = ((mantissa << left) >> right) as i64;
    let minus = -i64::from(bits >> 31);
    (magnitude ^ minus) - minus
}

/// The nearest float, ties to even. `+ 0.0` makes one zero of two.
#[inline(always)]
fn from_fixed(value: i64) -> f32 {
    (value as f64 / ONE) as f32 + 0.0
}

/// The model after a certified step: what everybody does who has the model before it.
pub fn apply_step(form: &UpdateForm, base: &Weights, step: &[u8]) -> Result<Weights, StepError> {
    if base.parameters() != form.parameters {
        return Err(StepError::Parameters { found: base.parameters(), expected: form.parameters });
    }
    check(form, step)?;
    let mut values = base.values().to_vec();
    let mut room = Values::default();
    for (at, values) in values.chunks_mut(CHUNK).enumerate() {
        let range = form.chunk_range(at);
        let bytes = &step[range.start as usize..range.end as usize];
        let chunk = Chunk::split(&form.encoding, values.len(), bytes);
        apply_chunk(&chunk, &mut room, values);
    }
    Ok(Weights::from_flat(base.layout().to_vec(), values)?)
}

/// Adds a step's chunks, which were looked at, to the bytes of their weights; says which parameter grew beyond
/// the range, if one did.
pub(super) fn apply_chunks(
    form: &UpdateForm,
    chunks: &Range<usize>,
    step: &[u8],
    weights: &mut [u8],
) -> Option<usize> {
    let start = form.chunk_range(chunks.start).start;
    let (mut room, mut changes) = (Values::default(), [0; CHUNK]);
    for (at, weights) in chunks.clone().zip(weights.chunks_mut(CHUNK * 4)) {
        let range = form.chunk_range(at);
        let bytes = &step[(range.start - start) as usize..(range.end - start) as usize];
        let changes = &mut changes[..form.chunk_parameters(at)];
        expand_changes(&Chunk::split(&form.encoding, changes.len(), bytes), &mut room, changes);
        if move_weights(weights, changes) {
            return Some(at * CHUNK);
        }
    }
    None
}

kernel! {
    /// What a chunk says, in units of 2^-32.
    fn expand_changes<'a>(chunk: &'a Chunk<'a>, room: &'a mut Values, changes: &'a mut [i64]) -> () {
        chunk.expand(room);
        for (block, changes) in changes.chunks_mut(BLOCK).enumerate() {
            let steps = &room.steps[block * BLOCK..(block + 1) * BLOCK];
            for (change, step) in changes.iter_mut().zip(steps) {
                *change = i64::from(*step) << room.shifts[block];
            }
        }
    }
}

kernel! {
    fn apply_chunk<'a>(chunk: &'a Chunk<'a>, room: &'a mut Values, values: &'a mut [f32]) -> () {
        chunk.expand(room);
        for (block, values) in values.chunks_mut(BLOCK).enumerate() {
            let steps = &room.steps[block * BLOCK..(block + 1) * BLOCK];
            for (value, step) in values.iter_mut().zip(steps) {
                let change = i64::from(*step) << room.shifts[block];
                *value = from_fixed(to_fixed(*value).saturating_add(change));
            }
        }
    }
}

/// Why a step could not be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The model has another size.
    #[error("the model has {found} parameters, the run's has {expected}")]
    Parameters {
        /// The model's parameters.
        found: usize,
        /// The run's.
        expected: usize,
    },
    /// The bytes are no step of this run.
    #[error("the step is bad: {0}")]
    Step(#[from] UpdateError),
    /// The result is no model.
    #[error("the step makes no model: {0}")]
    Weights(#[from] WeightsError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_are_those_of_the_language() {
        let values =
            [0.0, -0.0, 1.0, -1.0, 1e-9, -1e-9, 1e-10, 2.3e-10, -2.4e-10, 1e-40, VALUE_MAX];
        let more = (0..100_000u32).map(|at| f32::from_bits(at.wrapping_mul(2_654_435_761)));
        for value in values.into_iter().chain(more).filter(|value| value.abs() <= VALUE_MAX) {
            assert_eq!(to_fixed(value), (f64::from(value) * ONE) as i64, "{value}");
            let back = from_fixed(to_fixed(value));
            assert!((back - value).abs() <= value.abs() * 1e-7 + 2.4e-10, "{value} {back}");
        }
    }
}
