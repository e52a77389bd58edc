//! Slices of a round, worked out here or taken from others.
//!
//! Invariants: what is worked out is a function of the round's base and of what counts; a trainer whose word on a
//! slice is false is named only by somebody who worked that slice out. What it is not: the whole aggregate.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::alike::compared_chunks;
use super::record::{Counted, contributions, plan_of};
use crate::aggregate::{
    AggregateError, Made, Outputs, Plan, Slices, Source, TapeError, aggregate_slice,
};
use crate::envelope::Signed;
use crate::id::{CommitId, FileHash};
use crate::round::change::{Cause, Change, What};
use crate::round::committee::{Committee, Standing};
use crate::round::record::{Accepted, RejectReason};
use crate::round::slate::{Partial, Sliced};
use crate::round::tip::Tip;
use crate::run::RunSpec;
use crate::update::{UPDATE_HEAD_BYTES, look_at, norm_of};

/// Works out a slice of the round after `tip`. Of the state and of the updates only that slice is read.
pub fn work_out(
    spec: &RunSpec,
    tip: &Tip,
    state: &dyn Source,
    accepted: &[Counted],
    slice: u32,
    threads: usize,
) -> Result<Made, AggregateError> {
    let plan = plan_of(spec, tip, accepted.iter().map(|counted| counted.entry.commit));
    let slices = Slices::new(&plan, spec.rounds.slices);
    aggregate_slice(&slices, slice, state, &contributions(accepted), threads)
}

/// The updates that do not count after all, by what all slices say: a value is none, or the norm is another than
/// the trainer's.
pub fn unfit(accepted: &[Counted], made: &[Made]) -> Vec<(CommitId, RejectReason)> {
    let mut sums: Vec<Option<u128>> = vec![Some(0); accepted.len()];
    for made in made {
        // A slice that says nothing of an update says nothing good of it.
        let norms = made.norms().chain(std::iter::repeat(None));
        for (sum, norm) in sums.iter_mut().zip(norms) {
            *sum = sum.zip(norm).and_then(|(sum, norm)| sum.checked_add(norm));
        }
    }
    let unfit = accepted.iter().zip(sums).filter_map(|(counted, sum)| {
        let reason = match sum {
            None => RejectReason::Value,
            Some(squared) if norm_of(squared) != counted.entry.norm => RejectReason::FalseNorm,
            Some(_) => return None,
        };
        Some((counted.entry.commit, reason))
    });
    unfit.collect()
}

/// How a node comes by the slices of a round: those that it works out, and those that it takes by others' word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Division {
    /// What it works out.
    pub own: BTreeSet<u32>,
    /// What it takes.
    pub taken: BTreeMap<u32, Sliced>,
}

impl Division {
    /// A steward's in a round with this committee: its own are those that nobody has agreed on, its own draw, and those
    /// of which a record says that somebody's word (`charged`) is false.
    pub fn of(
        committee: &Committee,
        partials: &[Signed<Partial>],
        spot: Option<u32>,
        charged: &[Signed<Partial>],
    ) -> Self {
        let mut division = Self::default();
        for (slice, standing) in (0..).zip(committee.standing(partials)) {
            let doubts = |partial: &Signed<Partial>| {
                let said = partial.value().of(slice);
                said.is_some_and(|said| standing != Standing::Agreed(*said))
            };
            match standing {
                Standing::Agreed(said) if spot != Some(slice) && !charged.iter().any(doubts) => {
                    division.taken.insert(slice, said);
                }
                _ => drop(division.own.insert(slice)),
            }
        }
        division
    }

    /// That of a node that takes nobody's word.
    pub fn distrustful(spec: &RunSpec) -> Self {
        Self { own: (0..spec.rounds.slices).collect(), taken: BTreeMap::new() }
    }

    /// That of one of the three of these slices.
    pub fn working(slices: &[u32]) -> Self {
        Self { own: slices.iter().copied().collect(), taken: BTreeMap::new() }
    }

    /// What must be here of each update: its head, and its own slices.
    pub fn in_update(&self, spec: &RunSpec) -> Vec<Range<u64>> {
        let plan = spec.plan([0; 32]);
        let slices = Slices::new(&plan, spec.rounds.slices);
        let own = self.own.iter().map(|slice| slices.in_update(*slice));
        std::iter::once(0..UPDATE_HEAD_BYTES as u64).chain(own).collect()
    }

    /// What must be here of the state, once there is one.
    pub fn in_state(&self, spec: &RunSpec) -> Vec<Range<u64>> {
        let plan = spec.plan([0; 32]);
        let slices = Slices::new(&plan, spec.rounds.slices);
        self.own.iter().map(|slice| slices.in_state(*slice)).collect()
    }

    /// All slices, in order, from the bytes of what was taken and of what counts; and what those come to that
    /// were worked out. An error if bytes are missing.
    pub fn put_together(
        &self,
        spec: &RunSpec,
        tip: &Tip,
        state: &dyn Source,
        accepted: &[Counted],
        bytes_of: impl Fn(FileHash) -> Option<Vec<u8>>,
        threads: usize,
    ) -> Result<(Vec<Made>, BTreeMap<u32, Sliced>), AggregateError> {
        let mut all = BTreeMap::new();
        let mut truths = BTreeMap::new();
        for (slice, said) in &self.taken {
            let read = |hash| bytes_of(hash).ok_or_else(|| TapeError("a slice is not here".into()));
            let (norms, step) = (read(said.norms)?, read(said.step)?);
            all.insert(*slice, Made { slice: *slice, norms, step, state: read(said.state)? });
        }
        for slice in &self.own {
            let made = work_out(spec, tip, state, accepted, *slice, threads)?;
            truths.insert(*slice, Sliced::of(&made));
            all.insert(*slice, made);
        }
        Ok((all.into_values().collect(), truths))
    }
}

/// Where the chunks are in an update by which the updates are compared that count in the round after `tip`.
pub fn compared_in_update(spec: &RunSpec, tip: &Tip, accepted: &[Accepted]) -> Vec<Range<u64>> {
    let (form, head) = (spec.update_form(), UPDATE_HEAD_BYTES as u64);
    let range = |at: usize| {
        let range = form.chunk_range(at);
        head + range.start..head + range.end
    };
    compared_chunks(spec, tip, accepted).into_iter().map(range).collect()
}

/// What a false word on a slice costs whoever signed it: a trainer its place in the run, a steward that is
/// none of the three its office.
pub(super) fn consequence(
    committee: &Committee,
    partial: &Signed<Partial>,
    slice: u32,
) -> Option<What> {
    let signer = partial.signer();
    if committee.triple(slice).contains(&signer) {
        Some(What::Remove(signer))
    } else {
        committee.has_word(&signer, slice).then_some(What::Dismiss(signer))
    }
}

/// The changes that these words call for beside those that are due, by slices that were worked out here, with the
/// envelopes that show it; what would not change anything is left out.
pub fn charges(
    spec: &RunSpec,
    tip: &Tip,
    due: &[Change],
    partials: &[Signed<Partial>],
    truths: &BTreeMap<u32, Sliced>,
) -> Vec<(Change, Vec<u8>)> {
    let Some(committee) = Committee::of(spec, tip) else { return Vec::new() };
    let (mut roster, mut charged) = ((*tip.roster).clone(), BTreeSet::new());
    for change in due {
        // They fit, or the record that they are due in is none.
        let _ = roster.carry_out(change.what);
    }
    let mut charges = Vec::new();
    for partial in partials {
        let is_false = |said: &&Sliced| truths.get(&said.slice).is_some_and(|truth| truth != *said);
        let lies = partial.value().slices.iter().filter(is_false);
        for what in lies.filter_map(|said| consequence(&committee, partial, said.slice)) {
            if charged.insert(what) && roster.carry_out(what).is_ok() {
                let proof = partial.bytes().to_vec();
                charges.push((
                    Change { what, cause: Cause::Partial, proof: FileHash::of(&proof) },
                    proof,
                ));
            }
        }
    }
    charges
}

/// What a slice comes to, read off a round that was worked out whole.
pub(super) fn truth(
    slices: &Slices<'_>,
    slice: u32,
    plan: &Plan,
    accepted: &[Counted],
    outputs: &Outputs<'_>,
) -> Result<Sliced, TapeError> {
    let read = |source: &dyn Source, range: Range<u64>| {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        source.read_at(range.start, &mut bytes).map(|()| bytes)
    };
    let mut norms = Vec::new();
    for counted in accepted {
        let squared = look_at(&plan.update, slices.chunks(slice), &*counted.update)?;
        norms.extend(squared.unwrap_or(u128::MAX).to_le_bytes());
    }
    let step = read(outputs.step, slices.in_step(slice))?;
    let state = read(outputs.state, slices.in_state(slice))?;
    Ok(Sliced::of(&Made { slice, norms, step, state }))
}
