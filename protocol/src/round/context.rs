//! Our types as malachite's driver wants them.
//!
//! Invariants: a value is a [`RoundRecord`], its id a [`RoundId`], a validator's address its public
//! key, everyone's power 1, and a "signature" the whole envelope, so that what the driver hands back
//! can be sent and certified as it was received. The proposer rotates by round and attempt.
//! What it is not: protocol. Nothing here is encoded or sent.

use std::fmt;
use std::sync::Arc;

use arc_malachitebft_core_types as malachite;
use malachite::{NilOrVal, SignedExtension, VoteType};

use super::record::RoundRecord;
use crate::id::RoundId;
use crate::key::{PublicKey, SecretKey};

/// The context: nothing but types and the choice of proposer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context;

/// A round's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Height(pub u64);

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl malachite::Height for Height {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);
    fn increment_by(&self, n: u64) -> Self {
        Self(self.0 + n)
    }
    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Self)
    }
    fn as_u64(&self) -> u64 {
        self.0
    }
}

impl malachite::Address for PublicKey {}

/// One steward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Steward(PublicKey);

impl malachite::Validator<Context> for Steward {
    fn address(&self) -> &PublicKey {
        &self.0
    }
    fn public_key(&self) -> &PublicKey {
        &self.0
    }
    fn voting_power(&self) -> u64 {
        1
    }
}

/// All stewards, sorted by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stewards(Vec<Steward>);

impl Stewards {
    pub(super) fn new(keys: &[PublicKey]) -> Self {
        Self(keys.iter().copied().map(Steward).collect())
    }

    /// Whose turn it is.
    pub(super) fn proposer(&self, round: u64, attempt: u32) -> &Steward {
        let turn = (round + u64::from(attempt)) % self.0.len() as u64;
        &self.0[turn as usize]
    }
}

impl malachite::ValidatorSet<Context> for Stewards {
    fn count(&self) -> usize {
        self.0.len()
    }
    fn total_voting_power(&self) -> u64 {
        self.0.len() as u64
    }
    fn get_by_address(&self, address: &PublicKey) -> Option<&Steward> {
        self.0.binary_search_by_key(address, |steward| steward.0).ok().map(|at| &self.0[at])
    }
    fn get_by_index(&self, index: usize) -> Option<&Steward> {
        self.0.get(index)
    }
}

impl malachite::Value for RoundRecord {
    type Id = RoundId;
    fn id(&self) -> RoundId {
        Self::id(self)
    }
}

/// A vote as the driver sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ballot {
    pub round: u64,
    pub attempt: malachite::Round,
    pub kind: VoteType,
    pub record: NilOrVal<RoundId>,
    pub steward: PublicKey,
}

impl malachite::Vote<Context> for Ballot {
    fn height(&self) -> Height {
        Height(self.round)
    }
    fn round(&self) -> malachite::Round {
        self.attempt
    }
    fn value(&self) -> &NilOrVal<RoundId> {
        &self.record
    }
    fn take_value(self) -> NilOrVal<RoundId> {
        self.record
    }
    fn vote_type(&self) -> VoteType {
        self.kind
    }
    fn validator_address(&self) -> &PublicKey {
        &self.steward
    }
    fn extension(&self) -> Option<&SignedExtension<Context>> {
        None
    }
    fn take_extension(&mut self) -> Option<SignedExtension<Context>> {
        None
    }
    fn extend(self, _: SignedExtension<Context>) -> Self {
        self
    }
}

/// A proposal as the driver sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub attempt: malachite::Round,
    pub proven: malachite::Round,
    pub record: RoundRecord,
    pub steward: PublicKey,
}

impl malachite::Proposal<Context> for Offer {
    fn height(&self) -> Height {
        Height(self.record.round)
    }
    fn round(&self) -> malachite::Round {
        self.attempt
    }
    fn value(&self) -> &RoundRecord {
        &self.record
    }
    fn take_value(self) -> RoundRecord {
        self.record
    }
    fn pol_round(&self) -> malachite::Round {
        self.proven
    }
    fn validator_address(&self) -> &PublicKey {
        &self.steward
    }
}

/// Proposals travel whole; there are no parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoPart;

impl malachite::ProposalPart<Context> for NoPart {
    fn is_first(&self) -> bool {
        true
    }
    fn is_last(&self) -> bool {
        true
    }
}

/// The whole envelope of a message, in the place of its signature.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Envelope(pub Arc<[u8]>);

/// Signing happens in `envelope`; the driver only carries the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scheme;

impl malachite::SigningScheme for Scheme {
    type DecodingError = crate::key::KeyError;
    type Signature = Envelope;
    type PublicKey = PublicKey;
    type PrivateKey = SecretKey;

    fn decode_signature(bytes: &[u8]) -> Result<Envelope, Self::DecodingError> {
        Ok(Envelope(bytes.into()))
    }
    fn encode_signature(signature: &Envelope) -> Vec<u8> {
        signature.0.to_vec()
    }
    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, Self::DecodingError> {
        let key = bytes.try_into().map_err(|_| Self::DecodingError::Text(hex::encode(bytes)))?;
        PublicKey::from_bytes(key)
    }
    fn encode_public_key(public_key: &PublicKey) -> Vec<u8> {
        public_key.as_bytes().to_vec()
    }
}

impl malachite::Context for Context {
    type Address = PublicKey;
    type Height = Height;
    type ProposalPart = NoPart;
    type Proposal = Offer;
    type Validator = Steward;
    type ValidatorSet = Stewards;
    type Timeouts = malachite::LinearTimeouts;
    type Value = RoundRecord;
    type Vote = Ballot;
    type Extension = ();
    type SigningScheme = Scheme;

    fn select_proposer<'a>(
        &self,
        stewards: &'a Stewards,
        height: Height,
        round: malachite::Round,
    ) -> &'a Steward {
        stewards.proposer(height.0, round.as_u32().unwrap_or(0))
    }

    fn new_proposal(
        &self,
        _height: Height,
        attempt: malachite::Round,
        record: RoundRecord,
        proven: malachite::Round,
        steward: PublicKey,
    ) -> Offer {
        Offer { attempt, proven, record, steward }
    }

    fn new_prevote(
        &self,
        height: Height,
        attempt: malachite::Round,
        record: NilOrVal<RoundId>,
        steward: PublicKey,
    ) -> Ballot {
        Ballot { round: height.0, attempt, kind: VoteType::Prevote, record, steward }
    }

    fn new_precommit(
        &self,
        height: Height,
        attempt: malachite::Round,
        record: NilOrVal<RoundId>,
        steward: PublicKey,
    ) -> Ballot {
        Ballot { round: height.0, attempt, kind: VoteType::Precommit, record, steward }
    }
}
