//! From a base model and a round's accepted updates to the next model, exactly.
//!
//! ```text
//! updates --rule--> mean --outer optimizer--> change --(+ what was left)--> step --> model
//!                             ^ state                         |
//!                             +---------- what is left -------+
//! ```
//!
//! All arithmetic is on integers: a weight or a change is a multiple of 2^-32 in an `i64`. The only
//! floats are conversions and sums that are exact, and the few of `share`, whose order is fixed. So the
//! result is the same in any order of arrival, on any machine, with any number of threads. Models,
//! states and updates are read and written in pieces; what is in memory at once does not grow with the
//! model.
//!
//! Where the run has an encoding for steps, what is added to the model is the change as that encoding
//! says it, and what it does not say is kept in the state for the next round: whoever has the last
//! model needs only the step.
//!
//! Invariants: the result is a function of the base, the state, the plan and the *set* of contributions.
//! No FMA, no libm, no GPU. `limits` keeps every sum inside an `i64`.
//! What it is not: a check of who may contribute, or what (see `round`).

mod inner;
mod mean;
mod middle;
mod outer;
mod rule;
mod share;
mod slice;
mod span;
mod step;
mod tape;
mod whole;

pub use outer::{Outer, StateForm};
pub use rule::Rule;
pub use share::{DISCOUNT_LATE, DISCOUNT_ONE};
pub use slice::{Made, NORM_BYTES, Slices, aggregate_slice, assemble};
pub use step::{StepError, apply_step};
pub use tape::{Memory, Patches, Sink, Source, Tape, TapeError, hash_of};
pub use whole::{Aggregated, Whole, aggregate_whole};

use std::ops::Range;

use crate::id::CommitId;
use crate::limits::{UPDATES_MAX, WEIGHT_MAX};
use crate::update::{CHUNK, Chunk, Encoding, Update, UpdateForm, Values};
use crate::weights::VALUE_MAX;
use inner::Products;
use mean::Mean;
use middle::Middle;
use span::{Spans, Tapes};

/// Binary places of the fixed-point numbers.
pub const FRACTION_BITS: u32 = 32;
/// One in fixed point.
pub(crate) const ONE: f64 = (1u64 << FRACTION_BITS) as f64;

/// How a run aggregates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// What updates look like.
    pub update: UpdateForm,
    /// How a round's change is written; exactly if nothing.
    pub step: Option<Encoding>,
    /// The rule.
    pub rule: Rule,
    /// The outer optimizer.
    pub outer: Outer,
    /// What chance there is in a rule comes from this.
    pub seed: [u8; 32],
}

/// One trainer's part in a round.
#[derive(Clone, Copy)]
pub struct Contribution<'a> {
    /// What sets it apart from the others.
    pub id: CommitId,
    /// How much it counts, `1..=WEIGHT_MAX`, if the rule weighs.
    pub weight: u64,
    /// Of how much of it is made use, in 256ths: less for what comes late.
    pub discount: u16,
    /// Its norm in units of 2^-32, rounded down, as found when it was looked at.
    pub norm: u64,
    /// The update's bytes.
    pub source: &'a dyn Source,
}

impl<'a> Contribution<'a> {
    /// An update in memory, made use of in full.
    pub fn of(id: CommitId, weight: u64, update: &'a Update) -> Self {
        Self { id, weight, discount: DISCOUNT_ONE, norm: update.norm(), source: update }
    }
}

impl std::fmt::Debug for Contribution<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Contribution");
        shown.field("id", &self.id).field("weight", &self.weight).finish_non_exhaustive()
    }
}

/// What a round starts from.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The model's canonical file.
    pub weights: &'a dyn Source,
    /// Where its first value is.
    pub weights_start: u64,
    /// The state's bytes; none before the first round.
    pub state: &'a dyn Source,
}

/// Where a round's result goes.
#[derive(Clone, Copy)]
pub struct Outputs<'a> {
    /// The next model's canonical file.
    pub weights: &'a dyn Tape,
    /// The next state.
    pub state: &'a dyn Tape,
    /// The step, if the plan has an encoding for it.
    pub step: &'a dyn Tape,
}

impl std::fmt::Debug for Inputs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inputs").field("weights_start", &self.weights_start).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Outputs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outputs").finish_non_exhaustive()
    }
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
    /// Something does not fit the model.
    #[error("{what} has {found} bytes, not {expected}")]
    Shape {
        /// What.
        what: &'static str,
        /// Its bytes.
        found: u64,
        /// Those of this model.
        expected: u64,
    },
    /// The result is not a model.
    #[error("the result is no model: parameter {0} grows beyond {VALUE_MAX}")]
    Result(usize),
    /// Something could not be read or written.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// What is said to be part of a step is none.
    #[error(transparent)]
    Step(#[from] StepError),
}

impl Plan {
    /// The form of the state.
    pub fn state(&self) -> StateForm {
        let planes = self.outer.planes() + usize::from(self.step.is_some());
        StateForm { planes, parameters: self.update.parameters }
    }

    /// The form of the step, if there is one.
    pub fn step_form(&self) -> Option<UpdateForm> {
        let form = |encoding| UpdateForm { encoding, parameters: self.update.parameters };
        self.step.map(form)
    }
}

/// Aggregates one round. `threads` changes the speed and nothing else.
///
/// Returns how much of the mean each contribution was, in units of 2^-22 and the order of their ids;
/// nothing if the rule looks at every parameter by itself.
pub fn aggregate(
    plan: &Plan,
    inputs: &Inputs<'_>,
    contributions: &[Contribution<'_>],
    outputs: &Outputs<'_>,
    threads: usize,
) -> Result<Vec<i32>, AggregateError> {
    copy_header(inputs, outputs)?;
    aggregate_chunks(plan, inputs, contributions, outputs, 0..plan.update.chunks(), threads)
}

/// The same for some chunks, without what stands before the first of them.
fn aggregate_chunks(
    plan: &Plan,
    inputs: &Inputs<'_>,
    contributions: &[Contribution<'_>],
    outputs: &Outputs<'_>,
    chunks: Range<usize>,
    threads: usize,
) -> Result<Vec<i32>, AggregateError> {
    check(plan, inputs, contributions)?;
    let mut contributions = contributions.to_vec();
    contributions.sort_by_key(|contribution| contribution.id);
    let contributions = contributions.as_slice();
    let products = if plan.rule.looks_at_pairs() {
        inner::products(plan, contributions, threads)?
    } else {
        Products::default()
    };
    let shares = share::shares(&plan.rule, contributions, &products, &plan.seed);
    let count = contributions.len();
    let middle = match plan.rule {
        Rule::TrimmedMean { trim_milli } => {
            Some(Middle::trimmed(count, count * trim_milli as usize / 1000))
        }
        Rule::Median => Some(Middle::median(count)),
        _ => None,
    };
    let spans = Spans::new(plan, count, chunks);
    let work = || {
        let mut means = Means::new(plan, contributions, &shares, middle.as_ref());
        let mut step = step::Writer::new(plan, inputs, outputs, spans.each());
        while let Some(chunks) = spans.next() {
            means.read(&chunks)?;
            step.begin(&chunks)?;
            for at in chunks.clone() {
                means.take(at, step.means(at));
                step.take(at)?;
            }
            step.end()?;
        }
        Ok(())
    };
    span::on_threads(threads, work)?;
    Ok(shares)
}

/// The next model has the tensors of the base.
fn copy_header(inputs: &Inputs<'_>, outputs: &Outputs<'_>) -> Result<(), AggregateError> {
    let mut header = vec![0; inputs.weights_start as usize];
    inputs.weights.read_at(0, &mut header)?;
    Ok(outputs.weights.write_at(0, &header)?)
}

fn check(
    plan: &Plan,
    inputs: &Inputs<'_>,
    contributions: &[Contribution<'_>],
) -> Result<(), AggregateError> {
    if contributions.is_empty() || contributions.len() > UPDATES_MAX {
        return Err(AggregateError::Updates(contributions.len()));
    }
    let fits = |what, found, expected| {
        if found == expected {
            Ok(())
        } else {
            Err(AggregateError::Shape { what, found, expected })
        }
    };
    let values = (plan.update.parameters * 4) as u64;
    fits("the model", inputs.weights.bytes(), inputs.weights_start + values)?;
    if inputs.state.bytes() > 0 {
        fits("the outer state", inputs.state.bytes(), plan.state().bytes())?;
    }
    for contribution in contributions {
        if !(1..=WEIGHT_MAX).contains(&contribution.weight) {
            return Err(AggregateError::Weight(contribution.weight));
        }
        fits("an update", contribution.source.bytes(), plan.update.update_bytes())?;
    }
    Ok(())
}

/// Makes the means of chunks.
struct Means<'a> {
    plan: &'a Plan,
    contributions: &'a [Contribution<'a>],
    shares: &'a [i32],
    middle: Option<&'a Middle>,
    tapes: Tapes<'a>,
    mean: Mean,
    room: Values,
    rows: Vec<[i32; CHUNK]>,
    lanes: Vec<middle::Lanes>,
}

impl<'a> Means<'a> {
    fn new(
        plan: &'a Plan,
        contributions: &'a [Contribution<'a>],
        shares: &'a [i32],
        middle: Option<&'a Middle>,
    ) -> Self {
        let rows = middle.map_or(0, |_| contributions.len());
        Self {
            plan,
            contributions,
            shares,
            middle,
            tapes: Tapes::default(),
            mean: Mean::new(contributions.len()),
            room: Values::default(),
            rows: vec![[0; CHUNK]; rows],
            lanes: Vec::new(),
        }
    }

    fn read(&mut self, chunks: &Range<usize>) -> Result<(), AggregateError> {
        self.tapes.read(&self.plan.update, self.contributions, chunks)
    }

    /// Writes the means of chunk `at` to `means`, in units of 2^-32.
    fn take(&mut self, at: usize, means: &mut [i64]) {
        let form = &self.plan.update;
        let parameters = form.chunk_parameters(at);
        let tapes = &self.tapes;
        let chunk =
            |update| Chunk::split(&form.encoding, parameters, tapes.chunk(form, update, at));
        let Some(middle) = self.middle else {
            let chunks: Vec<Chunk<'_>> = (0..self.contributions.len()).map(chunk).collect();
            let (mean, shares) = (&mut self.mean, self.shares);
            return mean::means(mean, &chunks, shares, means);
        };
        for (update, row) in self.rows.iter_mut().enumerate() {
            let (chunk, room) = (chunk(update), &mut self.room);
            let discount = self.contributions[update].discount;
            middle::write_row(&chunk, discount, room, row);
        }
        middle::means(middle, &self.rows, &mut self.lanes, means);
    }
}

#[cfg(test)]
mod tests;
