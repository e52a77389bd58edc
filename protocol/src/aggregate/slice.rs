//! An aggregate in slices: runs of neighbouring chunks that nodes can work out apart from each other.
//!
//! ```text
//! slice of all updates, of the state --aggregate_slice--> norms, step, state of that slice
//! steps and states of all slices, the model ----assemble----> what `aggregate` gives
//! ```
//!
//! Invariants: assembled from what every slice gives, a round's outcome is that of `aggregate`, to the bit,
//! as long as the norms that trainers say are those of their updates; whoever assembles can tell by the sums of
//! the slices' norms. Only for rules that never look at two updates at once, and with an encoding for steps.
//! What it is not: who works out which slice (see `round`).

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::span::on_threads;
use super::step::{StepError, apply_chunks};
use super::tape::{Shifted, TapeError};
use super::{
    AggregateError, Contribution, Inputs, Memory, Outputs, Plan, Sink, Source, aggregate_chunks,
    copy_header,
};
use crate::update::{CHUNK, UPDATE_HEAD_BYTES, check_chunks, look_at};

/// Bytes of one update's squared norm in a slice: a little-endian number in units of 2^-64.
pub const NORM_BYTES: usize = 16;
/// Stands for the norm of an update with a value that is none.
const NO_NORM: [u8; NORM_BYTES] = [0xff; NORM_BYTES];

/// How a round is cut: all slices have as many chunks, or one less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slices<'a> {
    plan: &'a Plan,
    count: u32,
}

impl<'a> Slices<'a> {
    /// So many slices; no more than there are chunks.
    pub fn new(plan: &'a Plan, count: u32) -> Self {
        Self { plan, count }
    }

    /// How many.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The chunks of a slice.
    pub fn chunks(&self, slice: u32) -> Range<usize> {
        let start = |slice: u32| {
            (self.plan.update.chunks() as u64 * u64::from(slice) / u64::from(self.count)) as usize
        };
        start(slice)..start(slice + 1)
    }

    /// Where it is in every update.
    pub fn in_update(&self, slice: u32) -> Range<u64> {
        let (form, chunks) = (&self.plan.update, self.chunks(slice));
        let head = UPDATE_HEAD_BYTES as u64;
        head + form.chunk_range(chunks.start).start..head + form.chunk_range(chunks.end - 1).end
    }

    /// Where it is in the step.
    pub fn in_step(&self, slice: u32) -> Range<u64> {
        let chunks = self.chunks(slice);
        let form = self.plan.step_form();
        form.map_or(0..0, |form| {
            form.chunk_range(chunks.start).start..form.chunk_range(chunks.end - 1).end
        })
    }

    /// Where it is in the state.
    pub fn in_state(&self, slice: u32) -> Range<u64> {
        let (chunks, state) = (self.chunks(slice), self.plan.state());
        state.start(chunks.start)..state.start(chunks.end).min(state.bytes())
    }
}

/// What working out a slice gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Which.
    pub slice: u32,
    /// The squared norm of each update's part, [`NORM_BYTES`] each, in the order of their ids.
    pub norms: Vec<u8>,
    /// Its part of the step; nothing if an update holds a value that is none.
    pub step: Vec<u8>,
    /// Its part of the state, likewise.
    pub state: Vec<u8>,
}

impl Made {
    /// The squared norm of each update's part, or nothing where a value is none.
    pub fn norms(&self) -> impl Iterator<Item = Option<u128>> {
        let norms = self.norms.as_chunks::<NORM_BYTES>().0;
        norms.iter().map(|norm| (*norm != NO_NORM).then(|| u128::from_le_bytes(*norm)))
    }
}

/// Works out one slice. Of `state` and of the updates only that slice is read; contributions are sorted by id,
/// and those that weigh nothing are only looked at.
pub fn aggregate_slice(
    slices: &Slices<'_>,
    slice: u32,
    state: &dyn Source,
    contributions: &[Contribution<'_>],
    threads: usize,
) -> Result<Made, AggregateError> {
    let (plan, chunks) = (slices.plan, slices.chunks(slice));
    let mut made = Made { slice, norms: Vec::new(), step: Vec::new(), state: Vec::new() };
    for contribution in contributions {
        let squared = look_at(&plan.update, chunks.clone(), contribution.source)?;
        made.norms.extend(squared.map_or(NO_NORM, u128::to_le_bytes));
    }
    if made.norms().any(|norm| norm.is_none()) {
        return Ok(made);
    }
    let room = |range: Range<u64>| Shifted {
        part: Memory::zeros(range.end - range.start),
        start: range.start,
    };
    let (step, next) = (room(slices.in_step(slice)), room(slices.in_state(slice)));
    // The model is the assembler's: what a slice gives does not depend on it.
    let blank = Blank(plan.update.parameters as u64 * 4);
    let inputs = Inputs { weights: &blank, weights_start: 0, state };
    let outputs = Outputs { weights: &blank, state: &next, step: &step };
    let weighing: Vec<Contribution<'_>> =
        contributions.iter().filter(|contribution| contribution.weight > 0).copied().collect();
    aggregate_chunks(plan, &inputs, &weighing, &outputs, chunks, threads)?;
    (made.step, made.state) = (step.part.into_bytes(), next.part.into_bytes());
    Ok(made)
}

/// Puts all slices, in their order, together. An error if one is not what a slice looks like.
pub fn assemble(
    slices: &Slices<'_>,
    inputs: &Inputs<'_>,
    made: &[Made],
    outputs: &Outputs<'_>,
    threads: usize,
) -> Result<(), AggregateError> {
    let plan = slices.plan;
    let form = plan.step_form().ok_or_else(|| TapeError("the run writes no steps".into()))?;
    if made.len() != slices.count as usize {
        return Err(TapeError(format!("{} slices of {}", made.len(), slices.count)).into());
    }
    copy_header(inputs, outputs)?;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut weights = Vec::new();
        while let Some(made) = made.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (chunks, step) = (slices.chunks(made.slice), slices.in_step(made.slice));
            let state = slices.in_state(made.slice);
            fits("a slice's step", made.step.len() as u64, step.end - step.start)?;
            fits("a slice's state", made.state.len() as u64, state.end - state.start)?;
            check_chunks(&form, chunks.clone(), &made.step).map_err(StepError::from)?;
            let start = (chunks.start * CHUNK * 4) as u64 + inputs.weights_start;
            let parameters = plan.update.parameters.min(chunks.end * CHUNK) - chunks.start * CHUNK;
            weights.resize(parameters * 4, 0);
            inputs.weights.read_at(start, &mut weights)?;
            if let Some(beyond) = apply_chunks(&form, &chunks, &made.step, &mut weights) {
                return Err(AggregateError::Result(beyond));
            }
            outputs.weights.write_at(start, &weights)?;
            outputs.step.write_at(step.start, &made.step)?;
            if !made.state.is_empty() {
                outputs.state.write_at(state.start, &made.state)?;
            }
        }
        Ok(())
    };
    on_threads(threads, work)
}

fn fits(what: &'static str, found: u64, expected: u64) -> Result<(), AggregateError> {
    if found == expected { Ok(()) } else { Err(AggregateError::Shape { what, found, expected }) }
}

/// So many zeros, which take what is written and stay as they are.
struct Blank(u64);

impl Source for Blank {
    fn bytes(&self) -> u64 {
        self.0
    }

    fn read_at(&self, _at: u64, into: &mut [u8]) -> Result<(), TapeError> {
        into.fill(0);
        Ok(())
    }
}

impl Sink for Blank {
    fn write_at(&self, _at: u64, _bytes: &[u8]) -> Result<(), TapeError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{Outer, Patches, Rule, Whole, aggregate};
    use crate::id::CommitId;
    use crate::key::SecretKey;
    use crate::update::{Encoding, Update, UpdateForm, norm_of};

    const PARAMETERS: usize = 5 * CHUNK - 300;

    fn wave(seed: usize) -> Vec<f32> {
        (0..PARAMETERS).map(|at| ((at * (seed + 3) + seed) as f32 * 0.7).sin() * 0.1).collect()
    }

    fn plan(rule: Rule, step: Encoding) -> Plan {
        let update = UpdateForm { encoding: Encoding::MaxOf { group: 8 }, parameters: PARAMETERS };
        let outer = Outer::Nesterov { rate_milli: 700, momentum_milli: 900 };
        Plan { update, step: Some(step), rule, outer, seed: [3; 32] }
    }

    fn updates(plan: &Plan) -> Vec<Update> {
        let update = |at: usize| {
            let trainer = SecretKey::from_seed(&[at as u8 + 1; 32]).public();
            Update::make(&plan.update, trainer, &wave(at), &mut vec![0.0; PARAMETERS])
        };
        (0..7).map(update).collect()
    }

    /// Each slice from nothing but its own part of the state and of the updates.
    fn made(slices: &Slices<'_>, state: &[u8], updates: &[Update]) -> Vec<Made> {
        let one = |slice: u32| {
            let part = |source: &dyn Source, range: Range<u64>| {
                let mut patches = Patches::of(source.bytes());
                let mut part = vec![0; (range.end - range.start) as usize];
                source.read_at(range.start, &mut part).expect("in memory");
                patches.add(range.start, part);
                patches
            };
            let parts: Vec<Patches> =
                updates.iter().map(|update| part(update, slices.in_update(slice))).collect();
            let contributions = updates.iter().zip(&parts).enumerate();
            let contributions: Vec<_> = contributions
                .map(|(at, (update, part))| {
                    let id = CommitId::from_bytes([at as u8; 32]);
                    // The last one is on trial.
                    let weight = if at == 6 { 0 } else { at as u64 + 1 };
                    Contribution { source: part, ..Contribution::of(id, weight, update) }
                })
                .collect();
            let state = match state.is_empty() {
                true => Patches::of(0),
                false => part(&state.to_vec(), slices.in_state(slice)),
            };
            aggregate_slice(slices, slice, &state, &contributions, 1).expect("a slice")
        };
        (0..slices.count()).map(one).collect()
    }

    #[test]
    fn slices_put_together_are_the_whole() {
        let rules = [
            Rule::ClippedMean { norm_max_milli: 3_000, median_milli: 1_000 },
            Rule::TrimmedMean { trim_milli: 200 },
            Rule::Median,
        ];
        for (rule, step) in rules.into_iter().zip([Encoding::Int8, Encoding::Sign, Encoding::Int8])
        {
            let plan = plan(rule, step);
            let updates = updates(&plan);
            let contributions: Vec<_> = (0..6u8)
                .map(|at| {
                    let id = CommitId::from_bytes([at; 32]);
                    Contribution::of(id, u64::from(at) + 1, &updates[usize::from(at)])
                })
                .collect();
            let mut weights: Vec<u8> = wave(9).into_iter().flat_map(f32::to_le_bytes).collect();
            let mut state = Vec::new();
            for round in 0..2 {
                let inputs = Inputs { weights: &weights, weights_start: 0, state: &state };
                let whole = Whole::new(&plan, weights.bytes());
                aggregate(&plan, &inputs, &contributions, &whole.outputs(), 2).expect("whole");
                for count in [1, 2, 3, 5] {
                    let slices = Slices::new(&plan, count);
                    let made = made(&slices, &state, &updates);
                    let put = Whole::new(&plan, weights.bytes());
                    assemble(&slices, &inputs, &made, &put.outputs(), 2).expect("assembled");
                    for (put, whole) in [
                        (&put.weights, &whole.weights),
                        (&put.state, &whole.state),
                        (&put.step, &whole.step),
                    ] {
                        let [put, whole] = [put, whole].map(|tape| super::super::hash_of(tape));
                        assert_eq!(put, whole, "{rule:?}, round {round}, {count} slices");
                    }
                    for (at, update) in updates.iter().enumerate() {
                        let squares = made.iter().map(|made| made.norms().nth(at).flatten());
                        let squared: Option<u128> = squares.sum();
                        assert_eq!(squared.map(norm_of), Some(update.norm()));
                    }
                }
                weights = whole.weights.into_bytes();
                state = whole.state.into_bytes();
            }
        }
    }

    #[test]
    fn a_value_that_is_none_is_named_by_its_slice() {
        let plan = plan(Rule::Median, Encoding::Int8);
        let mut updates = updates(&plan);
        let slices = Slices::new(&plan, 5);
        let mut bytes = updates[2].bytes().to_vec();
        bytes[slices.in_update(3).start as usize] = 0x7f;
        let bad = |made: &Made| made.norms().position(|norm| norm.is_none());
        let good = made(&slices, &[], &updates);
        assert!(good.iter().all(|made| bad(made).is_none()));
        let form = plan.update;
        let trainer = SecretKey::from_seed(&[3; 32]).public();
        assert!(Update::open(bytes.clone(), &form, trainer).is_err());
        updates[2] = Update::unlooked(bytes);
        let made = made(&slices, &[], &updates);
        assert_eq!(bad(&made[3]), Some(2));
        assert!(made[3].step.is_empty() && made[3].state.is_empty());
        assert_eq!(made[1], good[1]);
    }

    #[test]
    fn what_is_no_slice_is_refused() {
        let plan = plan(Rule::Median, Encoding::Int8);
        let slices = Slices::new(&plan, 2);
        let weights = vec![0; PARAMETERS * 4];
        let state = Vec::new();
        let inputs = Inputs { weights: &weights, weights_start: 0, state: &state };
        let good = made(&slices, &state, &updates(&plan));
        let whole = Whole::new(&plan, weights.bytes());
        let put = |made: &[Made]| assemble(&slices, &inputs, made, &whole.outputs(), 1);
        assert_eq!(put(&good), Ok(()));
        assert!(matches!(put(&good[..1]), Err(AggregateError::Tape(_))));
        let mut short = good.clone();
        short[1].state.pop();
        assert!(matches!(put(&short), Err(AggregateError::Shape { .. })));
        let mut wrong = good.clone();
        wrong[0].step[0] = 1;
        assert!(matches!(put(&wrong), Err(AggregateError::Step(_))));
    }
}
