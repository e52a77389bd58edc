//! Changes of who has which part in a run, and the proofs by which anyone can check them.
//!
//! Invariants: a change is carried out only by a certified record that names its proof: the motion that
//! more than two thirds of the stewards signed, or two things that a steward said in one place.
//! What it is not: applied here; that is the roster's part.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::equivocation::Equivocation;
use super::record::is_quorum;
use super::roster::Roster;
use crate::codec::{self, DecodeError};
use crate::envelope::{Message, OpenError, Signed};
use crate::id::{FileHash, RunId};
use crate::key::PublicKey;
use crate::limits::{MOTION_BYTES_MAX, PROOF_BYTES_MAX, STEWARDS_MAX};

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A node becomes a steward.
    Appoint(PublicKey),
    /// A steward is one no longer.
    Dismiss(PublicKey),
    /// A trainer is removed: nothing of it counts any more.
    Remove(PublicKey),
    /// A removed trainer may train again.
    Readmit(PublicKey),
}

/// Why something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A steward said two things in one place.
    Equivocation,
    /// More than two thirds of the stewards moved it.
    Motion,
    /// A node signed a false [`Partial`](super::Partial) of the round; whoever has worked the slice out knows.
    Partial,
}

/// One change, as a record names it; what it brings about counts from the next round on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// What changes.
    pub what: What,
    /// Why.
    pub cause: Cause,
    /// The hash of the proof's bytes: an [`Equivocation`], a [`Resolution`] or a partial's envelope.
    pub proof: FileHash,
}

/// A steward's wish to change something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Motion {
    /// The run.
    pub run: RunId,
    /// How many motions were carried out before: one that was, or that others overtook, is void.
    pub serial: u64,
    /// What is to change.
    pub what: What,
}

impl Message for Motion {
    const DOMAIN: &'static str = "accord/motion/v1";
    const BYTES_MAX: usize = MOTION_BYTES_MAX;

    fn check(&self, _steward: &PublicKey) -> Result<(), String> {
        Ok(())
    }
}

/// A motion as more than two thirds of the stewards signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// The envelopes, sorted by signer.
    pub motions: Vec<ByteBuf>,
}

/// Why a proof does not show a change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Not the bytes that the record names.
    #[error("the proof is not the one that the record names")]
    Other,
    /// Not well formed.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// What it carries does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It shows something else.
    #[error("the proof shows something else")]
    Unlike,
    /// Too few stewards moved it.
    #[error("{motions} of {stewards} stewards moved it, more than two thirds are needed")]
    Quorum {
        /// Stewards that signed.
        motions: usize,
        /// Stewards there are.
        stewards: usize,
    },
}

impl Change {
    /// Whether it changes who the stewards are.
    pub fn is_handover(&self) -> bool {
        matches!(self.what, What::Appoint(_) | What::Dismiss(_))
    }

    /// Verifies that `proof` shows this change to be due in a round of `run` after `roster`. Of a false partial
    /// bytes alone cannot show that: see `check`.
    pub fn verify(&self, run: RunId, roster: &Roster, proof: &[u8]) -> Result<(), ChangeError> {
        if FileHash::of(proof) != self.proof {
            return Err(ChangeError::Other);
        }
        let what = match self.cause {
            Cause::Equivocation => {
                What::Dismiss(Equivocation::open(proof, run).map_err(|_| ChangeError::Unlike)?.0)
            }
            Cause::Motion => Resolution::open(proof, run, roster)?,
            Cause::Partial => return Err(ChangeError::Unlike),
        };
        if what == self.what { Ok(()) } else { Err(ChangeError::Unlike) }
    }
}

impl Resolution {
    /// The resolution of these motions, which are for one thing and each by another steward.
    pub fn new<'a>(motions: impl IntoIterator<Item = &'a Signed<Motion>>) -> Self {
        let mut motions: Vec<&Signed<Motion>> = motions.into_iter().collect();
        motions.sort_by_key(|motion| motion.signer());
        let bytes = |motion: &&Signed<Motion>| ByteBuf::from(motion.bytes().to_vec());
        Self { motions: motions.iter().map(bytes).collect() }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// What untrusted bytes show the stewards of `roster` to have resolved next.
    fn open(bytes: &[u8], run: RunId, roster: &Roster) -> Result<What, ChangeError> {
        let resolution: Self = codec::decode(bytes, PROOF_BYTES_MAX)?;
        let (motions, stewards) = (resolution.motions.len(), roster.stewards().len());
        if motions > STEWARDS_MAX || !is_quorum(motions, stewards) {
            return Err(ChangeError::Quorum { motions, stewards });
        }
        let mut before: Option<PublicKey> = None;
        let mut what = None;
        for bytes in &resolution.motions {
            let motion = Signed::<Motion>::open(bytes)?;
            let (signer, value) = (motion.signer(), motion.value());
            let in_order = before.is_none_or(|before| before < signer);
            let alike = *what.get_or_insert(value.what) == value.what;
            let due = value.run == run && value.serial == roster.motions();
            if !in_order || !alike || !due || !roster.is_steward(&signer) {
                return Err(ChangeError::Unlike);
            }
            before = Some(signer);
        }
        what.ok_or(ChangeError::Unlike)
    }
}
