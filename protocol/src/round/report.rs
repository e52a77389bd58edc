//! Audits of work: what some trainers of a round found out about the updates of others.
//!
//! Invariants: who looks at which update, at which of its own samples, and at which part of another's
//! training follows from the certified record that names the update, so that nobody knows it when they
//! commit and nobody chooses whom to judge; a report is its auditor's word, signed, and counts once.
//! What it is not: a verdict. Nothing is rejected or removed by a report; stewards and people read them.

use serde::{Deserialize, Serialize};

use super::record::{Accepted, RoundRecord};
use crate::envelope::{Message, Signed};
use crate::id::{CommitId, FileHash, RoundId, RunId};
use crate::key::PublicKey;
use crate::limits::{
    HARM_MIN_MICRO, HOLDOUT_SAMPLES_MAX, REPORT_BYTES_MAX, RETRAINING_DISTANCE_MAX_MICRO,
    TRACE_SEGMENTS_MAX,
};

/// An auditor's word on one update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The run.
    pub run: RunId,
    /// The round whose update was looked at.
    pub round: u64,
    /// Its certified record.
    pub record: RoundId,
    /// The commit of the update.
    pub commit: CommitId,
    /// What it does to the loss on samples of the auditor's own, if it has any.
    pub holdout: Option<Holdout>,
    /// What training a part of it again gave, if its trainer said that it shows its work.
    pub retraining: Option<Retraining>,
}

/// The loss on samples that were drawn after the commit, from rows that the gate let through: of the round's
/// base, and with the update added at its share of the round's weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdout {
    /// Merkle root of the sorted content ids of the samples: the auditor can show them in a dispute.
    pub samples_root: FileHash,
    /// How many.
    pub samples: u64,
    /// The mean loss of the round's base, in millionths of a nat.
    pub before_micro: u64,
    /// The same with the update.
    pub after_micro: u64,
    /// The same with another update of the round instead, drawn with it; nothing if there is no other.
    pub control_micro: Option<u64>,
}

/// One segment of a trainer's work, trained again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retraining {
    /// How many segments its trace has.
    pub segments: u32,
    /// Which one was drawn, from 0.
    pub segment: u32,
    /// What it gave.
    pub outcome: Outcome,
}

/// What training a segment again gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// How far its end is from the one shown, in millionths of how far the segment moved.
    Distance(u32),
    /// The trainer named a trace, and nobody gave what it names.
    Withheld,
    /// What was shown is not what the update was made from: other rows, or another end.
    Unlike,
}

impl Message for Report {
    const DOMAIN: &'static str = "accord/report/v1";
    const BYTES_MAX: usize = REPORT_BYTES_MAX;

    fn check(&self, _auditor: &PublicKey) -> Result<(), String> {
        if self.round == 0 || self.holdout.is_none() && self.retraining.is_none() {
            return Err("a report is of round 1 or later and says something".into());
        }
        let samples = self.holdout.map_or(1, |holdout| holdout.samples);
        if !(1..=HOLDOUT_SAMPLES_MAX).contains(&samples) {
            return Err("a report is on at least one sample and on no more than are drawn".into());
        }
        let fits = |retraining: Retraining| {
            retraining.segments <= TRACE_SEGMENTS_MAX && retraining.segment < retraining.segments
        };
        if !self.retraining.is_none_or(fits) {
            return Err("a report is on a segment that there is".into());
        }
        Ok(())
    }
}

/// A report as a record names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reported {
    /// The round whose update was looked at.
    pub round: u64,
    /// By whom.
    pub auditor: PublicKey,
    /// Whose update it was.
    pub trainer: PublicKey,
    /// The hash of the report's envelope.
    pub report: FileHash,
    /// Whether the update raised the loss on the auditor's samples by less than [`HARM_MIN_MICRO`], or no more
    /// than another of the round, if it has any samples.
    pub passed: Option<bool>,
    /// Whether training a part of it again gave the same, if that could be tried.
    pub matched: Option<bool>,
}

/// Why a report is not one that a record may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// It is of another run, or of a record that is not this run's.
    #[error("the report is of a record that is not of this run")]
    Record,
    /// Its signer was not asked to look at that update.
    #[error("the report is by a node that was not to look at that update")]
    Unasked,
    /// It is about another part of the training than the one drawn.
    #[error("the report is on another segment than the one drawn")]
    Segment,
}

/// Who looks at which update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The one that looks.
    pub auditor: PublicKey,
    /// What it looks at.
    pub update: Accepted,
    /// What it compares it with, if there is another.
    pub control: Option<Accepted>,
    /// The update's share of the round's weight, in millionths; on trial, as if all weighed alike.
    pub share_micro: u64,
    /// Where the chance comes from that draws samples and a segment.
    pub seed: [u8; 32],
}

/// Who looks at which of the updates that a certified record counts: of its trainers that have a weight
/// the first `audits` by a hash, each at one of the others' that were in time.
pub fn assignments(record: &RoundRecord, audits: u32) -> Vec<Assignment> {
    let id = record.id();
    let mut auditors: Vec<_> = record
        .accepted
        .iter()
        .filter(|entry| entry.weight > 0)
        .map(|entry| (draw(id, entry.trainer), entry.trainer))
        .collect();
    auditors.sort();
    let total: u64 = record.accepted.iter().map(|entry| entry.weight).sum();
    auditors.truncate(audits as usize);
    let looks = |(seed, auditor): ([u8; 32], PublicKey)| {
        let in_time = record.accepted.iter().filter(|entry| !entry.late);
        let mut others: Vec<&Accepted> = in_time.filter(|entry| entry.trainer != auditor).collect();
        let update = others.remove(index(&seed, b"update", others.len() as u64)? as usize);
        let control = index(&seed, b"control", others.len() as u64);
        let control = control.map(|at| others[at as usize].clone());
        let share_micro = match update.weight {
            0 => 1_000_000 / record.accepted.len() as u64,
            weight => weight * 1_000_000 / total,
        };
        Some(Assignment { auditor, update: update.clone(), control, share_micro, seed })
    };
    auditors.into_iter().filter_map(looks).collect()
}

impl Assignment {
    /// The segment to train again, of so many.
    pub fn segment(&self, segments: u32) -> Option<u32> {
        index(&self.seed, b"segment", segments.into()).map(|at| at as u32)
    }

    /// The seed of the draw of samples.
    pub fn samples_seed(&self) -> u64 {
        word(&self.seed, b"samples")
    }
}

impl Reported {
    /// How a record names this report, which is about `record` of its run.
    pub fn of(
        report: &Signed<Report>,
        record: &RoundRecord,
        audits: u32,
    ) -> Result<Self, ReportError> {
        let (said, auditor) = (report.value(), report.signer());
        let same = said.run == record.run && said.round == record.round;
        if !same || said.record != record.id() {
            return Err(ReportError::Record);
        }
        let mut asked = assignments(record, audits).into_iter();
        let asked = asked.find(|asked| asked.auditor == auditor);
        let asked = asked.filter(|asked| asked.update.commit == said.commit);
        let asked = asked.ok_or(ReportError::Unasked)?;
        let drawn = |found: Retraining| asked.segment(found.segments) == Some(found.segment);
        if !said.retraining.is_none_or(drawn) {
            return Err(ReportError::Segment);
        }
        Ok(Self {
            round: said.round,
            auditor,
            trainer: asked.update.trainer,
            report: FileHash::from_bytes(*report.id().as_bytes()),
            passed: said.holdout.map(|holdout| holdout.passed()),
            matched: said.retraining.map(|found| found.outcome.matched()),
        })
    }
}

impl Holdout {
    /// Whether the update does no harm to speak of, or no more than another.
    pub fn passed(&self) -> bool {
        let control = self.control_micro.is_some_and(|control| self.after_micro <= control);
        self.after_micro < self.before_micro.saturating_add(HARM_MIN_MICRO) || control
    }
}

impl Outcome {
    /// Whether it is what floats on two machines may come to.
    pub fn matched(self) -> bool {
        matches!(self, Self::Distance(micro) if micro <= RETRAINING_DISTANCE_MAX_MICRO)
    }
}

/// A trainer's chance in a round.
fn draw(record: RoundId, trainer: PublicKey) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"accord/audit/v1\n").update(record.as_bytes()).update(trainer.as_bytes());
    *hasher.finalize().as_bytes()
}

fn word(seed: &[u8; 32], what: &[u8]) -> u64 {
    let hash = blake3::keyed_hash(seed, what);
    let (first, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
    u64::from_le_bytes(*first)
}

/// One of `count`, if there are any. Of 2^64 words the few that make some likelier are no matter.
fn index(seed: &[u8; 32], what: &[u8], count: u64) -> Option<u64> {
    word(seed, what).checked_rem(count)
}
