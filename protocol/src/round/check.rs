//! The rules by which an update counts and a record holds, as functions of bytes.
//!
//! Every steward before it votes, every auditor and the simulator call exactly these.
//!
//! Invariants: the outcome depends on nothing but the arguments, so all who have the bytes agree; bytes
//! are looked at in pieces, wherever they are. What it is not: fetching. A caller that lacks bytes has
//! no verdict.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::commit::UpdateCommit;
use super::record::{Accepted, RejectReason, Rejected, RoundRecord};
use super::tally::accept;
use super::tip::Tip;
use crate::aggregate::{
    AggregateError, Contribution, DISCOUNT_ONE, FRACTION_BITS, Inputs, Outputs, Plan, Source,
    TapeError, Whole, aggregate, hash_of,
};
use crate::envelope::Signed;
use crate::frontier::Frontier;
use crate::id::{CommitId, FileHash, RunId};
use crate::run::{Admission, RunSpec};
use crate::update::{Look, UpdateError, look};
use crate::weights::values_start;

/// A commit with the bytes that it names; both empty if the terms refuse it anyway.
#[derive(Clone)]
pub struct Evidence {
    /// The commit.
    pub commit: Signed<UpdateCommit>,
    /// The update's bytes.
    pub update: Arc<dyn Source>,
    /// The frontier's bytes.
    pub frontier: Vec<u8>,
}

impl Evidence {
    /// A commit that the terms refuse.
    pub fn refused(commit: Signed<UpdateCommit>) -> Self {
        Self { commit, update: Arc::new(Vec::new()), frontier: Vec::new() }
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence").field("commit", &self.commit).finish_non_exhaustive()
    }
}

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
        matches!(self, Self::Missing(..) | Self::Tape(..))
    }
}

/// What can be said of a commit before its bytes are fetched.
pub fn check_terms(
    spec: &RunSpec,
    tip: &Tip,
    commit: &Signed<UpdateCommit>,
) -> Result<(), RejectReason> {
    let invited = match &spec.admission {
        Admission::Open => true,
        Admission::Invited(trainers) => trainers.binary_search(&commit.signer()).is_ok(),
    };
    if !invited {
        return Err(RejectReason::NotInvited);
    }
    if commit.value().base != tip.id {
        return Err(RejectReason::Base);
    }
    if commit.value().data.policy != spec.consent.policy_hash() {
        return Err(RejectReason::Policy);
    }
    match commit.value().update_bytes.cmp(&spec.update_form().update_bytes()) {
        std::cmp::Ordering::Greater => Err(RejectReason::Oversize),
        std::cmp::Ordering::Less => Err(RejectReason::Shape),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

/// What looking at a commit's bytes has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It counts; the update's squared norm, in units of 2^-64.
    Counts(u128),
    /// It does not.
    Rejected(RejectReason),
    /// These are not the bytes that it names.
    Missing,
}

/// Whether an update counts in the round after `tip`, which bound the frontier `required`. An error if
/// bytes cannot be read.
pub fn check_evidence(
    spec: &RunSpec,
    tip: &Tip,
    required: &Frontier,
    evidence: &Evidence,
) -> Result<Finding, TapeError> {
    let commit = &evidence.commit;
    if let Err(reason) = check_terms(spec, tip, commit) {
        return Ok(Finding::Rejected(reason));
    }
    if FileHash::of(&evidence.frontier) != commit.value().data.frontier {
        return Ok(Finding::Missing);
    }
    let Look { hash, norm_squared } =
        look(&spec.update_form(), commit.signer(), &*evidence.update)?;
    if hash != commit.value().update {
        return Ok(Finding::Missing);
    }
    let Ok(frontier) = Frontier::from_bytes(&evidence.frontier) else {
        return Ok(Finding::Rejected(RejectReason::Frontier));
    };
    if !frontier.dominates(required) {
        return Ok(Finding::Rejected(RejectReason::StaleFrontier));
    }
    let bound = (u128::from(spec.aggregate.norm_max_milli) << FRACTION_BITS) / 1000;
    Ok(match norm_squared {
        Ok(squared) if squared.isqrt() > bound => Finding::Rejected(RejectReason::Norm),
        Ok(squared) => Finding::Counts(squared),
        Err(UpdateError::Length { .. }) => Finding::Rejected(RejectReason::Shape),
        Err(UpdateError::Copied) => Finding::Rejected(RejectReason::Copied),
        Err(UpdateError::Value { .. }) => Finding::Rejected(RejectReason::Value),
    })
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
    /// Its squared norm, in units of 2^-64.
    pub norm_squared: u128,
    /// Its bytes.
    pub update: Arc<dyn Source>,
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").field("entry", &self.entry).finish_non_exhaustive()
    }
}

/// How the round after `tip` is aggregated when these commits count, sorted by id.
fn plan_of(spec: &RunSpec, tip: &Tip, accepted: &[Counted]) -> Plan {
    let mut seed = blake3::Hasher::new();
    seed.update(b"accord/round-seed/v1\n").update(tip.id.as_bytes());
    for counted in accepted {
        seed.update(counted.entry.commit.as_bytes());
    }
    spec.plan(*seed.finalize().as_bytes())
}

/// Aggregates the accepted updates, sorted by commit, into a record that binds `frontier` for the next
/// round.
pub fn build(
    run: RunId,
    spec: &RunSpec,
    base: &Base,
    accepted: &[Counted],
    rejected: Vec<Rejected>,
    frontier: FileHash,
    outputs: &Outputs<'_>,
    threads: usize,
) -> Result<RoundRecord, AggregateError> {
    let plan = plan_of(spec, &base.tip, accepted);
    let contributions: Vec<Contribution<'_>> = accepted
        .iter()
        .map(|counted| Contribution {
            id: counted.entry.commit,
            weight: counted.entry.weight,
            discount: DISCOUNT_ONE,
            norm_squared: counted.norm_squared,
            source: &*counted.update,
        })
        .collect();
    let inputs =
        Inputs { weights: &*base.weights, weights_start: base.weights_start, state: &*base.state };
    aggregate(&plan, &inputs, &contributions, outputs, threads)?;
    Ok(RoundRecord {
        run,
        round: base.tip.round + 1,
        prev: base.tip.id,
        model_in: base.tip.model,
        accepted: accepted.iter().map(|counted| counted.entry.clone()).collect(),
        rejected,
        frontier,
        model_out: hash_of(outputs.weights)?,
        outer_out: hash_of(outputs.state)?,
        step: plan.step.map(|_| hash_of(outputs.step)).transpose()?,
    })
}

/// Recomputes a record from the bytes that it names; `bound` is the frontier that it binds.
pub fn verify(
    run: RunId,
    spec: &RunSpec,
    base: &Base,
    record: &RoundRecord,
    evidence: &BTreeMap<CommitId, Evidence>,
    bound: &Frontier,
    outputs: &Outputs<'_>,
    threads: usize,
) -> Result<(), RecordError> {
    let round = record.round;
    if record.run != run || !base.tip.is_base_of(record) {
        return Err(RecordError::Base(round));
    }
    record.check(spec).map_err(|rule| RecordError::Rule(round, rule))?;
    if bound.id() != record.frontier || !bound.dominates(&base.required) {
        return Err(RecordError::Frontier(round));
    }
    let entries = Entries { spec, base, record, evidence };
    let accepted = entries.accepted()?;
    entries.rejected()?;
    let (frontier, rejected) = (record.frontier, record.rejected.clone());
    let built = build(run, spec, base, &accepted, rejected, frontier, outputs, threads);
    let built = built.map_err(|error| match error {
        AggregateError::Tape(error) => RecordError::Tape(round, error),
        error => RecordError::Aggregate(round, error),
    })?;
    if built == *record {
        return Ok(());
    }
    let (certified, recomputed) = (record.model_out, built.model_out);
    Err(RecordError::Root { round, certified, recomputed })
}

/// A record's entries with what there is to judge them by.
struct Entries<'a> {
    spec: &'a RunSpec,
    base: &'a Base,
    record: &'a RoundRecord,
    evidence: &'a BTreeMap<CommitId, Evidence>,
}

impl Entries<'_> {
    fn find(&self, commit: CommitId) -> Result<(&Evidence, Finding), RecordError> {
        let round = self.record.round;
        let missing = RecordError::Missing(round, commit);
        let found = self.evidence.get(&commit).ok_or(missing)?;
        let finding = check_evidence(self.spec, &self.base.tip, &self.base.required, found);
        Ok((found, finding.map_err(|error| RecordError::Tape(round, error))?))
    }

    fn verdict(&self, commit: CommitId) -> RecordError {
        RecordError::Verdict { round: self.record.round, commit }
    }

    fn accepted(&self) -> Result<Vec<Counted>, RecordError> {
        let mut accepted = Vec::with_capacity(self.record.accepted.len());
        for entry in &self.record.accepted {
            let (found, finding) = self.find(entry.commit)?;
            let commit = &found.commit;
            let same = accept(commit.signer(), commit, self.spec.local.weight_max) == *entry;
            match finding {
                Finding::Counts(norm_squared) if same && self.is_current(found) => {
                    let update = Arc::clone(&found.update);
                    accepted.push(Counted { entry: entry.clone(), norm_squared, update });
                }
                Finding::Missing => {
                    return Err(RecordError::Missing(self.record.round, entry.commit));
                }
                _ => return Err(self.verdict(entry.commit)),
            }
        }
        Ok(accepted)
    }

    fn rejected(&self) -> Result<(), RecordError> {
        for entry in &self.record.rejected {
            let otherwise = Err(self.verdict(entry.commit));
            let missing = RecordError::Missing(self.record.round, entry.commit);
            let found = self.evidence.get(&entry.commit).ok_or_else(|| missing.clone())?;
            if found.commit.signer() != entry.trainer || !self.is_current(found) {
                return otherwise;
            }
            let mut accepted = self.record.accepted.iter();
            let reason = if accepted.any(|other| other.trainer == entry.trainer) {
                // Whatever is in it: one of its trainer's counts.
                RejectReason::Duplicate
            } else {
                match self.find(entry.commit)?.1 {
                    Finding::Rejected(reason) => reason,
                    Finding::Counts(_) => return otherwise,
                    Finding::Missing => return Err(missing),
                }
            };
            if reason != entry.reason {
                return otherwise;
            }
        }
        Ok(())
    }

    fn is_current(&self, evidence: &Evidence) -> bool {
        evidence.commit.value().round == self.record.round
    }
}
