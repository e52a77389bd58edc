//! Two things that one steward said in one place: proof, to anyone, that it lies.
//!
//! Invariants: both envelopes carry the steward's signature, are of one run, round and attempt, and of one
//! phase if they are votes, and say different things. An honest steward journals before it speaks and so
//! never makes such a pair. What it is not: a judgement; a record that names it dismisses the steward.

use serde::{Deserialize, Serialize};

use super::vote::{Proposal, Vote};
use crate::codec::{self, DecodeError};
use crate::envelope::{OpenError, Signed};
use crate::id::RunId;
use crate::key::PublicKey;
use crate::limits::EVIDENCE_BYTES_MAX;

/// Two envelopes of one steward.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Equivocation {
    /// Two votes.
    Votes(#[serde(with = "serde_bytes")] Vec<u8>, #[serde(with = "serde_bytes")] Vec<u8>),
    /// Two proposals.
    Proposals(#[serde(with = "serde_bytes")] Vec<u8>, #[serde(with = "serde_bytes")] Vec<u8>),
}

/// Why bytes do not show that somebody lies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EquivocationError {
    /// Not well formed.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// An envelope does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The two agree, or are of two places, of another run, or of two signers.
    #[error("the two envelopes do not contradict each other")]
    Agree,
}

impl Equivocation {
    /// Two envelopes of one place; the lesser first, so that one lie has one form.
    pub(super) fn votes(one: &[u8], other: &[u8]) -> Self {
        Self::Votes(one.min(other).to_vec(), one.max(other).to_vec())
    }

    /// The same of two proposals.
    pub(super) fn proposals(one: &[u8], other: &[u8]) -> Self {
        Self::Proposals(one.min(other).to_vec(), one.max(other).to_vec())
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads untrusted bytes and verifies that they show whoever is returned to lie in `run`.
    pub fn open(bytes: &[u8], run: RunId) -> Result<(PublicKey, Self), EquivocationError> {
        let pair: Self = codec::decode(bytes, EVIDENCE_BYTES_MAX)?;
        let culprit = pair.culprit(run)?;
        Ok((culprit, pair))
    }

    fn culprit(&self, run: RunId) -> Result<PublicKey, EquivocationError> {
        match self {
            Self::Votes(one, other) => {
                let (one, other) = (Signed::<Vote>::open(one)?, Signed::<Vote>::open(other)?);
                let place = |vote: &Signed<Vote>| {
                    let value = vote.value();
                    (vote.signer(), value.run, value.round, value.attempt, value.phase)
                };
                let contradict = one.value().record != other.value().record
                    && one.bytes() < other.bytes()
                    && one.value().run == run;
                (contradict && place(&one) == place(&other)).then(|| one.signer())
            }
            Self::Proposals(one, other) => {
                let one = Signed::<Proposal>::open(one)?;
                let other = Signed::<Proposal>::open(other)?;
                let place = |proposal: &Signed<Proposal>| {
                    let value = proposal.value();
                    (proposal.signer(), value.record.run, value.record.round, value.attempt)
                };
                let contradict = one.bytes() < other.bytes() && one.value().record.run == run;
                (contradict && place(&one) == place(&other)).then(|| one.signer())
            }
        }
        .ok_or(EquivocationError::Agree)
    }
}
