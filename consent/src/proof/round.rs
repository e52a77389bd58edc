//! "Round N was bound by my record", "these bytes were not used", "this was left out because of me".
//!
//! Invariants: everything hangs on the run's id, the hash of its signed specification: that names the
//! first stewards; more than two thirds of those in office signed each record that changed who they are,
//! and the round's record, which names the frontier and the trainers' commits. What it is not: proof of what a trainer did; it is what the trainer signed.

use protocol::limits::{PROOF_CHAIN_MAX, PROOF_HANDOVERS_MAX};
use protocol::round::{Certificate, CertificateError, UpdateCommit, commit_id, stewards_after};
use protocol::run::{RunSpec, run_id};
use protocol::{
    CommitId, ContentId, FeedHead, Frontier, OpenError, PublicKey, RecordId, RunId, Signed,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::buf;
use super::unused::{ExcludedProof, Unused};
use crate::ledger::forked_head;
use crate::record::{Record, record_id};

/// A certified round, and what of it is to be shown: one of the two at least.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundProof {
    spec: ByteBuf,
    /// Certificates of the rounds before it that changed who the stewards are, in order.
    handovers: Vec<ByteBuf>,
    certificate: ByteBuf,
    bound: Option<BoundProof>,
    data: Option<DataProof>,
}

/// A record within the frontier that the round bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundProof {
    frontier: ByteBuf,
    /// The ends of the feed's branches if it had forked, else none.
    ends: Vec<RecordId>,
    /// The feed's records from the one meant to an end.
    chain: Vec<ByteBuf>,
}

/// A work and a trainer's commit of the round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataProof {
    commit: ByteBuf,
    content: ContentId,
    unused: Unused,
    excluded: Option<ExcludedProof>,
}

/// What it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundShown {
    /// The run.
    pub run: RunId,
    /// Its name.
    pub name: String,
    /// The round.
    pub round: u64,
    /// How many stewards signed.
    pub votes: usize,
    /// How many there are.
    pub stewards: usize,
    /// The record that the round was bound by.
    pub bound: Option<BoundShown>,
    /// The work that was not used.
    pub data: Option<DataShown>,
}

/// A record that the round was bound by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundShown {
    /// The record.
    pub record: RecordId,
    /// Where the frontier stands in its feed.
    pub head: FeedHead,
}

/// A work that was not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataShown {
    /// The work.
    pub content: ContentId,
    /// Whose commit it is.
    pub trainer: PublicKey,
    /// The commit.
    pub commit: CommitId,
    /// Whether the round counted the update.
    pub accepted: bool,
    /// How many works were used.
    pub used: u64,
    /// Whether the work is listed as left out, and because of which record if not by silence.
    pub excluded: Option<Option<RecordId>>,
}

/// Why it shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoundProofError {
    /// What changed the stewards is out of order or does not fit.
    #[error("the rounds that changed the stewards are out of order or do not fit")]
    Handover,
    /// Nothing is claimed.
    #[error("the proof shows neither a record nor a work")]
    Empty,
    /// Not a run.
    #[error("the run's specification: {0}")]
    Spec(OpenError),
    /// Not certified.
    #[error("the round's certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// Not the frontier that the round bound.
    #[error("the frontier is not the one that the round bound")]
    Frontier,
    /// A record of the chain does not open.
    #[error("record {0} of the chain: {1}")]
    Record(usize, OpenError),
    /// The chain does not lead to the frontier.
    #[error("the chain of records does not lead to the frontier's head of the feed")]
    Chain,
    /// Not a commit.
    #[error("the trainer's commit: {0}")]
    Commit(OpenError),
    /// Not one of this round.
    #[error("the trainer's commit is not one that the round names")]
    OtherCommit,
    /// The neighbours do not show it.
    #[error("the neighbours in the list of used works do not show that the work is not in it")]
    Unused,
    /// The place among those left out does not hold.
    #[error("the work's place in the list of those left out does not hold")]
    Excluded,
}

impl RoundProof {
    /// The proof of these parts; `certificate`, and those of the `handovers` before it, as they were
    /// received.
    pub fn new(
        spec: &Signed<RunSpec>,
        handovers: &[Vec<u8>],
        certificate: &[u8],
        bound: Option<BoundProof>,
        data: Option<DataProof>,
    ) -> Self {
        let handovers = handovers.iter().map(|bytes| buf(bytes)).collect();
        Self { spec: buf(spec.bytes()), handovers, certificate: buf(certificate), bound, data }
    }

    pub(super) fn verify(&self) -> Result<RoundShown, RoundProofError> {
        if self.bound.is_none() && self.data.is_none() {
            return Err(RoundProofError::Empty);
        }
        let spec = Signed::<RunSpec>::open(&self.spec).map_err(RoundProofError::Spec)?;
        let run = run_id(&spec);
        let certificate = Certificate::open(&self.certificate, run)?;
        let stewards = self.stewards(run, spec.value(), certificate.record.round)?;
        certificate.check(spec.value(), &stewards)?;
        let bound = self.bound.as_ref().map(|bound| bound.verify(&certificate)).transpose()?;
        let data = self.data.as_ref().map(|data| data.verify(&certificate)).transpose()?;
        Ok(RoundShown {
            run,
            name: spec.value().name.clone(),
            round: certificate.record.round,
            votes: certificate.precommits.len(),
            stewards: stewards.len(),
            bound,
            data,
        })
    }

    /// The stewards of `round`: those of the spec, as the handovers changed them.
    fn stewards(
        &self,
        run: RunId,
        spec: &RunSpec,
        round: u64,
    ) -> Result<Vec<PublicKey>, RoundProofError> {
        let (mut stewards, mut before) = (spec.stewards.clone(), 0);
        if self.handovers.len() > PROOF_HANDOVERS_MAX {
            return Err(RoundProofError::Handover);
        }
        for bytes in &self.handovers {
            let certificate = Certificate::open(bytes, run)?;
            certificate.check(spec, &stewards)?;
            let record = &certificate.record;
            if record.round <= before || record.round >= round {
                return Err(RoundProofError::Handover);
            }
            before = record.round;
            stewards = stewards_after(&stewards, &record.parts.changes)
                .map_err(|_| RoundProofError::Handover)?;
        }
        Ok(stewards)
    }
}

impl BoundProof {
    /// The proof of these parts: `chain` are envelopes from the record meant to an end of its feed,
    /// `ends` the ends of all branches if it had forked.
    pub fn new<T: AsRef<[u8]>>(frontier: &Frontier, ends: Vec<RecordId>, chain: &[T]) -> Self {
        let chain = chain.iter().map(|envelope| buf(envelope.as_ref())).collect();
        Self { frontier: buf(&frontier.to_bytes()), ends, chain }
    }

    fn verify(&self, certificate: &Certificate) -> Result<BoundShown, RoundProofError> {
        let frontier =
            Frontier::from_bytes(&self.frontier).map_err(|_| RoundProofError::Frontier)?;
        if frontier.id() != certificate.record.frontier {
            return Err(RoundProofError::Frontier);
        }
        if self.chain.len() > PROOF_CHAIN_MAX {
            return Err(RoundProofError::Chain);
        }
        let mut records = Vec::with_capacity(self.chain.len());
        for (at, envelope) in self.chain.iter().enumerate() {
            let record = Signed::<Record>::open(envelope);
            records.push(record.map_err(|error| RoundProofError::Record(at, error))?);
        }
        let follows = |pair: &[Signed<Record>]| {
            let (before, after) = (pair[0].value(), pair[1].value());
            after.prev == Some(record_id(&pair[0]))
                && after.feed_id() == before.feed_id()
                && before.seq.checked_add(1) == Some(after.seq)
        };
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            return Err(RoundProofError::Chain);
        };
        let (feed, end) = (last.value().feed_id(), record_id(last));
        let head = frontier.heads().iter().find(|head| head.feed == feed).copied();
        let leads = |head: &FeedHead| match self.ends.len() {
            0 => head.head == end && head.seq == last.value().seq,
            1 => false,
            _ => {
                self.ends.contains(&end)
                    && head.head == forked_head(&self.ends)
                    && head.seq >= last.value().seq
            }
        };
        match head.filter(leads) {
            Some(head) if records.windows(2).all(follows) => {
                Ok(BoundShown { record: record_id(first), head })
            }
            _ => Err(RoundProofError::Chain),
        }
    }
}

impl DataProof {
    /// The proof of these parts.
    pub fn new(
        commit: &[u8],
        content: ContentId,
        unused: Unused,
        excluded: Option<ExcludedProof>,
    ) -> Self {
        Self { commit: buf(commit), content, unused, excluded }
    }

    fn verify(&self, certificate: &Certificate) -> Result<DataShown, RoundProofError> {
        let commit = Signed::<UpdateCommit>::open(&self.commit).map_err(RoundProofError::Commit)?;
        let (id, record) = (commit_id(&commit), &certificate.record);
        let accepted = record.accepted.iter().any(|entry| entry.commit == id);
        let value = commit.value();
        let named = accepted || record.rejected.iter().any(|entry| entry.commit == id);
        // One that came late is of the round before.
        let of_round = value.round == record.round || value.round + 1 == record.round;
        if !named || value.run != record.run || !of_round {
            return Err(RoundProofError::OtherCommit);
        }
        if !self.unused.holds(&self.content, &value.data) {
            return Err(RoundProofError::Unused);
        }
        if self.excluded.as_ref().is_some_and(|it| !it.holds(&self.content, &value.data)) {
            return Err(RoundProofError::Excluded);
        }
        Ok(DataShown {
            content: self.content,
            trainer: commit.signer(),
            commit: id,
            accepted,
            used: value.data.used,
            excluded: self.excluded.as_ref().map(|excluded| excluded.record),
        })
    }
}
