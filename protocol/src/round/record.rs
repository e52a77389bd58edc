//! What a round agrees on, and the certificate that shows it was agreed.
//!
//! Invariants: a [`RoundRecord`] is hashes and counts, never floats; everything in it can be
//! recomputed by anyone who has the bytes that it names. A [`Certificate`] holds precommits of more
//! than two thirds of the stewards that the roster before it names, all for this record's id.
//! What it is not: the evidence for a rejection; the rejected commit is there by id to look at.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use super::change::Change;
use super::report::Reported;
use super::vote::{Phase, Vote};
use crate::codec::{self, DecodeError};
use crate::envelope::{OpenError, Signed};
use crate::id::{CommitId, FileHash, RoundId, RunId};
use crate::key::PublicKey;
use crate::limits::{ALIKE_MAX, AUDITS_MAX, CERTIFICATE_BYTES_MAX, STEWARDS_MAX, UPDATES_MAX};
use crate::run::RunSpec;

/// The outcome of one round.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoundRecord {
    /// The run.
    pub run: RunId,
    /// The round, from 1.
    pub round: u64,
    /// The record before, or the run itself.
    pub prev: RoundId,
    /// The model root that the updates were made from.
    pub model_in: FileHash,
    /// Updates that count, sorted by commit id.
    pub accepted: Vec<Accepted>,
    /// Updates that do not, with the reason, sorted by commit id.
    pub rejected: Vec<Rejected>,
    /// The ledger frontier that the next round's trainers must have reached.
    pub frontier: FileHash,
    /// The model root that results.
    pub model_out: FileHash,
    /// The root of the outer optimizer's state that results.
    pub outer_out: FileHash,
    /// The hash of the step from one model to the other, if the run writes steps.
    pub step: Option<FileHash>,
    /// What was found out about trainers' work.
    pub found: Findings,
    /// Who has which part.
    pub parts: Parts,
}

/// What a record says of trainers' work.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Findings {
    /// Updates that are alike, sorted: one of each two may be a copy.
    pub alike: Vec<Alike>,
    /// What audits of work have found since the record before, sorted; one of an auditor.
    pub reports: Vec<Reported>,
}

/// What a record says of who has which part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Parts {
    /// What changes, sorted.
    pub changes: Vec<Change>,
    /// The hash of the roster that results.
    pub roster: FileHash,
}

/// An update that counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Accepted {
    /// The trainer's commit.
    pub commit: CommitId,
    /// The trainer.
    pub trainer: PublicKey,
    /// The hash of the update's bytes.
    pub update: FileHash,
    /// Its norm in units of 2^-32, rounded down.
    pub norm: u64,
    /// What it counted for: nothing for a trainer on trial.
    pub weight: u64,
    /// It was made for the round before, and counts discounted.
    pub late: bool,
    /// Who vouches for the trainer, if this is how it came in.
    pub voucher: Option<PublicKey>,
}

/// Two updates that count and point nearly the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alike {
    /// The first by commit id.
    pub one: CommitId,
    /// The other.
    pub other: CommitId,
    /// Their cosine in thousandths, from some of their chunks.
    pub cosine_milli: u32,
}

/// An update that does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rejected {
    /// The trainer's commit.
    pub commit: CommitId,
    /// The trainer.
    pub trainer: PublicKey,
    /// Why.
    pub reason: RejectReason,
}

/// Why an update does not count. Every steward that has the bytes comes to the same reason.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "kebab-case")]
pub enum RejectReason {
    /// Its trainer is not invited.
    #[error("the trainer is not invited to this run")]
    NotInvited,
    /// Whoever vouches for its trainer has brought in as many as it may.
    #[error("whoever invited the trainer has brought in as many as it may")]
    VouchedOut,
    /// Its trainer was removed.
    #[error("the trainer was removed from this run")]
    Removed,
    /// It was made from something else than the round's base.
    #[error("it was made from another base than the round's")]
    Base,
    /// It was decided by another policy than the run's.
    #[error("it was decided by another consent policy than the run's")]
    Policy,
    /// It is longer than every update of the run.
    #[error("it is longer than the updates of this run")]
    Oversize,
    /// It has another length than every update of the run.
    #[error("it has another shape than the model")]
    Shape,
    /// The bytes of its frontier are not a frontier.
    #[error("its ledger frontier is malformed")]
    Frontier,
    /// Its frontier lacks records that the round before has bound.
    #[error("its ledger frontier is older than the one the round before has bound")]
    StaleFrontier,
    /// Its bytes are another trainer's.
    #[error("its bytes are another trainer's update")]
    Copied,
    /// A value in it is not a number or out of range.
    #[error("it holds a value that is not a number or out of range")]
    Value,
    /// It has another norm than its trainer says.
    #[error("its norm is another than its trainer says")]
    FalseNorm,
    /// It is longer, as a vector, than the run allows.
    #[error("its norm is above what this run allows")]
    Norm,
    /// Its trainer's other commit of this round counts.
    #[error("its trainer has committed to another update of this round")]
    Duplicate,
}

impl RoundRecord {
    /// The record's id: the hash of its canonical bytes.
    pub fn id(&self) -> RoundId {
        RoundId::of(&codec::encode(self))
    }

    /// Checks that need only the spec: bounds, orders, nobody twice among the accepted.
    pub fn check(&self, spec: &RunSpec) -> Result<(), &'static str> {
        if self.round == 0 || self.round > spec.rounds.count {
            return Err("the round is not one of the run's");
        }
        let enough = self.accepted.len() >= spec.rounds.updates_min as usize;
        if !enough || self.accepted.len() > UPDATES_MAX || self.rejected.len() > UPDATES_MAX {
            return Err("too few or too many updates");
        }
        let sorted = self.accepted.windows(2).all(|pair| pair[0].commit < pair[1].commit)
            && self.rejected.windows(2).all(|pair| pair[0].commit < pair[1].commit);
        if !sorted {
            return Err("updates are out of order");
        }
        let mut trainers: Vec<PublicKey> = self.accepted.iter().map(|a| a.trainer).collect();
        trainers.sort();
        if trainers.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("a trainer counts twice");
        }
        let weights = || self.accepted.iter().map(|entry| entry.weight);
        if weights().all(|weight| weight == 0) || weights().any(|w| w > spec.local.weight_max) {
            return Err("a weight is out of range");
        }
        let sorted = self.found.alike.windows(2).all(|pair| pair[0] < pair[1])
            && self.found.reports.windows(2).all(|pair| pair[0] < pair[1]);
        if !sorted
            || self.found.alike.len() > ALIKE_MAX
            || self.found.reports.len() > AUDITS_MAX as usize
        {
            return Err("what audits found is out of order or too much");
        }
        Ok(())
    }
}

/// A record with the votes that certify it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// What was agreed.
    pub record: RoundRecord,
    /// The attempt in which it was.
    pub attempt: u32,
    /// The stewards' precommits, sorted by steward.
    pub precommits: Vec<Precommit>,
}

/// A steward's signature of the precommit for a certificate's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Precommit {
    /// Whose it is.
    pub steward: PublicKey,
    /// The signature in the envelope of its [`Vote`]; the rest of that follows from the certificate.
    pub signature: ByteArray<64>,
}

/// Why bytes are not a certificate of this run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not well formed.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It is of another run.
    #[error("it is of another run")]
    Run,
    /// The record breaks a rule.
    #[error("{0}")]
    Record(&'static str),
    /// A vote in it is not one.
    #[error("a vote in it is bad: {0}")]
    Vote(#[from] OpenError),
    /// Votes in it are out of order or there twice.
    #[error("votes in it are out of order or there twice")]
    Order,
    /// A vote in it is by a stranger.
    #[error("a vote in it is by a node that is no steward of that round")]
    Stranger,
    /// Too few votes.
    #[error("{votes} votes of {stewards} stewards, more than two thirds are needed")]
    Quorum {
        /// Votes there are.
        votes: usize,
        /// Stewards there are.
        stewards: usize,
    },
}

impl Certificate {
    /// Opens untrusted bytes as a certificate of the run `run`, and verifies every signature in it.
    /// Whether those who signed have a say is for [`Certificate::check`].
    pub fn open(bytes: &[u8], run: RunId) -> Result<Self, CertificateError> {
        let certificate: Self = codec::decode(bytes, CERTIFICATE_BYTES_MAX)?;
        certificate.verify(run)?;
        Ok(certificate)
    }

    fn verify(&self, run: RunId) -> Result<(), CertificateError> {
        if self.record.run != run {
            return Err(CertificateError::Run);
        }
        let (votes, stewards) = (self.precommits.len(), STEWARDS_MAX);
        if votes > stewards {
            return Err(CertificateError::Quorum { votes, stewards });
        }
        if !self.precommits.windows(2).all(|pair| pair[0].steward < pair[1].steward) {
            return Err(CertificateError::Order);
        }
        let (round, record) = (self.record.round, Some(self.record.id()));
        for Precommit { steward, signature } in &self.precommits {
            let (attempt, phase) = (self.attempt, Phase::Precommit);
            let vote = Vote { run, round, attempt, phase, record };
            Signed::assemble(vote, *steward, signature)?;
        }
        Ok(())
    }

    /// Checks the record by rules that need only the spec, and that more than two thirds of these
    /// stewards signed it, and nobody else.
    pub fn check(&self, spec: &RunSpec, stewards: &[PublicKey]) -> Result<(), CertificateError> {
        self.record.check(spec).map_err(CertificateError::Record)?;
        let is_stranger =
            |precommit: &Precommit| stewards.binary_search(&precommit.steward).is_err();
        if self.precommits.iter().any(is_stranger) {
            return Err(CertificateError::Stranger);
        }
        let (votes, stewards) = (self.precommits.len(), stewards.len());
        if !is_quorum(votes, stewards) {
            return Err(CertificateError::Quorum { votes, stewards });
        }
        Ok(())
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

/// Whether `votes` of `stewards` are more than two thirds.
pub fn is_quorum(votes: usize, stewards: usize) -> bool {
    votes <= stewards && votes * 3 > stewards * 2
}
