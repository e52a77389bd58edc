//! Whether a record holds: what it names is judged and aggregated again.
//!
//! Invariants: building and verifying go through one function, so that they cannot differ.
//! What it is not: agreement on a record.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::alike::alike;
use super::entries::Entries;
use super::evidence::Evidence;
use crate::aggregate::{
    AggregateError, Contribution, DISCOUNT_LATE, DISCOUNT_ONE, Inputs, Made, Outputs, Plan, Slices,
    Source, TapeError, Whole, aggregate, assemble, hash_of,
};
use crate::frontier::Frontier;
use crate::id::{CommitId, FileHash, RunId};
use crate::round::change::{Change, ChangeError};
use crate::round::record::{Accepted, Findings, Parts, Rejected, RoundRecord};
use crate::round::report::{ReportError, Reported};
use crate::round::roster::RosterError;
use crate::round::slate::Sliced;
use crate::round::tip::Tip;
use crate::run::RunSpec;
use crate::weights::values_start;

/// Why a record does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It does not start from the base.
    #[error("round {0} does not start from the record before it")]
    Base(u64),
    /// It breaks a rule that needs no bytes.
    #[error("round {0}: {1}")]
    Rule(u64, &'static str),
    /// Its frontier falls behind the one before.
    #[error("round {0} binds a ledger frontier that falls behind the one before")]
    Frontier(u64),
    /// A commit that it names is not in the evidence, or not with the bytes that it names.
    #[error("round {0} names commit {1}, whose bytes are missing")]
    Missing(u64, CommitId),
    /// The proof of a change, or a report, is not among the exhibits.
    #[error("round {0} names a report or the proof of a change, {1}, which is missing")]
    NoProof(u64, FileHash),
    /// The record that a report is about is not among the exhibits.
    #[error("round {0} names a report about round {1}, whose record is missing")]
    NoAncestor(u64, u64),
    /// Bytes could not be read or written here; says nothing of the record.
    #[error("round {0}: {1}")]
    Tape(u64, TapeError),
    /// It counts an update otherwise than the rules do.
    #[error("round {round} counts commit {commit} otherwise than the rules do")]
    Verdict {
        /// The round.
        round: u64,
        /// The commit.
        commit: CommitId,
    },
    /// A report in it is none that it may name.
    #[error("round {0} names a report otherwise than it is: {1}")]
    Report(u64, ReportError),
    /// It says of updates that they are alike, or does not, otherwise than they are.
    #[error("round {0} names updates as alike otherwise than they are")]
    Alike(u64),
    /// What it calls a false partial is not known to be one: that slice was not worked out here.
    #[error("round {0} names a false partial of slice {1}, which was not worked out here")]
    NoTruth(u64, u32),
    /// What it calls a false partial is none.
    #[error("round {0} names a partial as false that is not")]
    NotFalse(u64),
    /// A change in it is not shown to be due.
    #[error("round {0} names a change whose proof does not hold: {1}")]
    Change(u64, ChangeError),
    /// Its changes do not fit.
    #[error("round {0}: {1}")]
    Roster(u64, RosterError),
    /// The aggregate cannot be computed.
    #[error("round {0}: {1}")]
    Aggregate(u64, AggregateError),
    /// The aggregate is another than the record says.
    #[error("round {round} certifies model {certified}, recomputing gives {recomputed}")]
    Root {
        /// The round.
        round: u64,
        /// The model root in the record.
        certified: FileHash,
        /// The model root that recomputing gives.
        recomputed: FileHash,
    },
}

impl RecordError {
    /// Whether it says that something is missing here, and nothing of the record.
    pub fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::Missing(..)
                | Self::NoProof(..)
                | Self::NoAncestor(..)
                | Self::NoTruth(..)
                | Self::Tape(..)
        )
    }
}

/// What a round starts from, in full.
#[derive(Clone)]
pub struct Base {
    /// The tip that names the rest by hash.
    pub tip: Tip,
    /// The model's canonical file.
    pub weights: Arc<dyn Source>,
    /// Where its first value is.
    pub weights_start: u64,
    /// The outer optimizer's state.
    pub state: Arc<dyn Source>,
    /// The frontier that trainers must have reached.
    pub required: Frontier,
}

impl Base {
    /// A base whose model's file and state have the hashes that the tip names.
    pub fn new(
        tip: Tip,
        weights: Arc<dyn Source>,
        state: Arc<dyn Source>,
        required: Frontier,
    ) -> Result<Self, TapeError> {
        let weights_start = values_start(&*weights)?;
        Ok(Self { tip, weights, weights_start, state, required })
    }

    /// Room in memory for what the next round comes to.
    pub fn room(&self, spec: &RunSpec) -> Whole {
        Whole::new(&spec.plan([0; 32]), self.weights.bytes())
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base").field("tip", &self.tip).finish_non_exhaustive()
    }
}

/// An update that counts, with its bytes.
#[derive(Clone)]
pub struct Counted {
    /// How it stands in the record.
    pub entry: Accepted,
    /// Its bytes; where the aggregate comes in slices, those that are needed here.
    pub update: Arc<dyn Source>,
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").field("entry", &self.entry).finish_non_exhaustive()
    }
}

/// How the round after `tip` is aggregated when these commits count, sorted by id.
pub(super) fn plan_of(
    spec: &RunSpec,
    tip: &Tip,
    accepted: impl IntoIterator<Item = CommitId>,
) -> Plan {
    let mut seed = blake3::Hasher::new();
    seed.update(b"accord/round-seed/v1\n").update(tip.id.as_bytes());
    for commit in accepted {
        seed.update(commit.as_bytes());
    }
    spec.plan(*seed.finalize().as_bytes())
}

/// What counts, as the aggregate takes it; whoever is on trial weighs nothing.
pub(super) fn contributions(accepted: &[Counted]) -> Vec<Contribution<'_>> {
    let contributions = accepted.iter().map(|Counted { entry, update }| Contribution {
        id: entry.commit,
        weight: entry.weight,
        discount: if entry.late { DISCOUNT_LATE } else { DISCOUNT_ONE },
        norm: entry.norm,
        source: &**update,
    });
    contributions.collect()
}

/// What a record is to say beside what aggregating gives.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The updates that count, sorted by commit.
    pub accepted: Vec<Counted>,
    /// Those that do not, sorted.
    pub rejected: Vec<Rejected>,
    /// What audits have found, sorted.
    pub reports: Vec<Reported>,
    /// What changes of who has which part, sorted.
    pub changes: Vec<Change>,
    /// The frontier that is bound for the next round.
    pub frontier: FileHash,
    /// All slices, in order, where the aggregate comes in slices.
    pub made: Option<Arc<Vec<Made>>>,
}

/// What a record names, to judge it by.
#[derive(Debug, Clone, Default)]
pub struct Exhibits {
    /// Commits with their bytes.
    pub commits: BTreeMap<CommitId, Evidence>,
    /// The proofs of changes, and the envelopes of reports.
    pub proofs: BTreeMap<FileHash, Vec<u8>>,
    /// The records before it, the newest first, as far back as the reports go.
    pub ancestors: Vec<RoundRecord>,
    /// The frontier that it binds.
    pub bound: Frontier,
    /// All slices, in order, if this node takes the aggregate in slices, and has of the updates only what it
    /// looks at by itself.
    pub made: Option<Arc<Vec<Made>>>,
    /// What the slices come to that this node has worked out.
    pub truths: BTreeMap<u32, Sliced>,
}

/// Why no record comes of a draft.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The aggregate cannot be computed.
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
    /// Its changes do not fit.
    #[error(transparent)]
    Roster(#[from] RosterError),
}

/// Aggregates a draft into the record that follows `base`.
pub fn build(
    run: RunId,
    spec: &RunSpec,
    base: &Base,
    draft: Draft,
    outputs: &Outputs<'_>,
    threads: usize,
) -> Result<RoundRecord, BuildError> {
    let (tip, round) = (&base.tip, base.tip.round + 1);
    let plan = plan_of(spec, tip, draft.accepted.iter().map(|counted| counted.entry.commit));
    let inputs =
        Inputs { weights: &*base.weights, weights_start: base.weights_start, state: &*base.state };
    match &draft.made {
        Some(made) => {
            let slices = Slices::new(&plan, spec.rounds.slices);
            assemble(&slices, &inputs, made, outputs, threads)?;
        }
        None => {
            let mut weighing = contributions(&draft.accepted);
            weighing.retain(|contribution| contribution.weight > 0);
            aggregate(&plan, &inputs, &weighing, outputs, threads)?;
        }
    }
    let hash = |tape| hash_of(tape).map_err(AggregateError::from);
    let alike = alike(&plan.update, &plan.seed, &draft.accepted).map_err(AggregateError::from)?;
    let Draft { accepted, rejected, reports, changes, frontier, .. } = draft;
    let accepted: Vec<Accepted> = accepted.into_iter().map(|counted| counted.entry).collect();
    let mut record = RoundRecord {
        run,
        round,
        prev: tip.id,
        model_in: tip.model,
        accepted,
        rejected,
        frontier,
        model_out: hash(outputs.weights)?,
        outer_out: hash(outputs.state)?,
        step: plan.step.map(|_| hash(outputs.step)).transpose()?,
        found: Findings { alike, reports },
        parts: Parts { changes, roster: FileHash::of(b"") },
    };
    record.parts.roster = tip.roster.after(&record)?.id();
    Ok(record)
}

/// Recomputes a record from the bytes that it names.
pub fn verify(
    run: RunId,
    spec: &RunSpec,
    base: &Base,
    record: &RoundRecord,
    exhibits: &Exhibits,
    outputs: &Outputs<'_>,
    threads: usize,
) -> Result<(), RecordError> {
    let round = record.round;
    if record.run != run || !base.tip.is_base_of(record) {
        return Err(RecordError::Base(round));
    }
    record.check(spec).map_err(|rule| RecordError::Rule(round, rule))?;
    if exhibits.bound.id() != record.frontier || !exhibits.bound.dominates(&base.required) {
        return Err(RecordError::Frontier(round));
    }
    let entries = Entries { spec, base, record, exhibits };
    let accepted = entries.accepted()?;
    entries.rejected()?;
    entries.reports()?;
    entries.changes(run)?;
    let draft = Draft {
        accepted: accepted.clone(),
        rejected: record.rejected.clone(),
        reports: record.found.reports.clone(),
        changes: record.parts.changes.clone(),
        frontier: record.frontier,
        made: exhibits.made.clone(),
    };
    let built = build(run, spec, base, draft, outputs, threads);
    let built = built.map_err(|error| match error {
        BuildError::Aggregate(AggregateError::Tape(error)) => RecordError::Tape(round, error),
        BuildError::Aggregate(error) => RecordError::Aggregate(round, error),
        BuildError::Roster(error) => RecordError::Roster(round, error),
    })?;
    entries.false_partials(run, &accepted, outputs)?;
    if built == *record {
        return Ok(());
    }
    if built.found != record.found {
        return Err(RecordError::Alike(round));
    }
    if built.parts != record.parts {
        return Err(RecordError::Roster(round, RosterError::Root));
    }
    let (certified, recomputed) = (record.model_out, built.model_out);
    Err(RecordError::Root { round, certified, recomputed })
}
