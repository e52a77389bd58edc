//! What a record says, by its kind.
//!
//! Invariants: a kind of this version has exactly one payload type and must decode as it; any other
//! kind is [`Payload::Unknown`]: its record is kept, chained and forwarded, and decides nothing.
//! What it is not: a judgement on who may say it; that is the ledger's.

mod keys;
mod voice;

use protocol::codec::{self, DecodeError};
use protocol::limits::{LIFTED_MAX, NAMED_MAX, RECORD_BYTES_MAX};

pub use keys::{Compromise, Genesis, Reconcile, Rotation, root_commitment};
pub use voice::{Attestation, Delegation, Dispute, Lift, Revocation, Tombstone};

use crate::statement::{Statement, StatementError};

/// The kind of [`Payload::Genesis`].
pub const GENESIS: &str = "genesis";
/// The kind of [`Payload::Statement`].
pub const STATEMENT: &str = "statement";
/// The kind of [`Payload::Lift`].
pub const LIFT: &str = "lift";
/// The kind of [`Payload::Rotation`].
pub const KEY_ROTATION: &str = "key-rotation";
/// The kind of [`Payload::Compromise`].
pub const KEY_COMPROMISE: &str = "key-compromise";
/// The kind of [`Payload::Delegation`].
pub const DELEGATION: &str = "delegation";
/// The kind of [`Payload::Revocation`].
pub const DELEGATION_REVOCATION: &str = "delegation-revocation";
/// The kind of [`Payload::Attestation`].
pub const ATTESTATION: &str = "attestation";
/// The kind of [`Payload::Dispute`].
pub const DISPUTE: &str = "dispute";
/// The kind of [`Payload::Reconcile`].
pub const RECONCILE: &str = "reconcile";
/// The kind of [`Payload::Tombstone`].
pub const TOMBSTONE: &str = "tombstone";

/// Why bytes are not a payload of their kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not the kind's type.
    #[error("payload: {0}")]
    Decode(DecodeError),
    /// A statement that breaks a rule.
    #[error("statement: {0}")]
    Statement(StatementError),
    /// A lift of nothing, of too much, or out of order.
    #[error("a lift names 1 to {LIFTED_MAX} records, sorted and distinct")]
    Lifted,
    /// Nothing, too much, or out of order.
    #[error("a {0} names 1 to {NAMED_MAX} things, sorted and distinct")]
    Named(&'static str),
    /// A delegation of nothing, or with uses out of order.
    #[error("a delegation names the uses that it is for, sorted and distinct")]
    DelegatedUses,
}

/// A record's payload, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// The start of a feed.
    Genesis(Genesis),
    /// What may be done with works.
    Statement(Statement),
    /// The end of what the same author said.
    Lift(Lift),
    /// New keys.
    Rotation(Rotation),
    /// A key in the wrong hands.
    Compromise(Compromise),
    /// Leave for somebody to speak in the author's name.
    Delegation(Delegation),
    /// The end of such leave.
    Revocation(Revocation),
    /// A witness's word for somebody else's standing.
    Attestation(Attestation),
    /// Doubt about what somebody else allowed.
    Dispute(Dispute),
    /// The joining of a feed's branches.
    Reconcile(Reconcile),
    /// The wish that remarks are erased.
    Tombstone(Tombstone),
    /// Of a kind that this version does not know.
    Unknown,
}

impl Payload {
    /// Decodes and checks the payload of a record of this kind.
    pub fn decode(kind: &str, bytes: &[u8]) -> Result<Self, PayloadError> {
        let payload = match kind {
            GENESIS => Self::Genesis(read(bytes)?),
            STATEMENT => {
                let statement: Statement = read(bytes)?;
                statement.check().map_err(PayloadError::Statement)?;
                Self::Statement(statement)
            }
            LIFT => Self::Lift(read(bytes)?),
            KEY_ROTATION => Self::Rotation(read(bytes)?),
            KEY_COMPROMISE => Self::Compromise(read(bytes)?),
            DELEGATION => Self::Delegation(read(bytes)?),
            DELEGATION_REVOCATION => Self::Revocation(read(bytes)?),
            ATTESTATION => Self::Attestation(read(bytes)?),
            DISPUTE => Self::Dispute(read(bytes)?),
            RECONCILE => Self::Reconcile(read(bytes)?),
            TOMBSTONE => Self::Tombstone(read(bytes)?),
            _ => Self::Unknown,
        };
        payload.check()?;
        Ok(payload)
    }

    /// Whether it takes something away, so that it must never wait behind what gives.
    pub fn is_urgent(&self) -> bool {
        match self {
            Self::Statement(statement) => statement.restricts(),
            Self::Rotation(_)
            | Self::Compromise(_)
            | Self::Revocation(_)
            | Self::Dispute(_)
            | Self::Tombstone(_) => true,
            Self::Genesis(_)
            | Self::Lift(_)
            | Self::Delegation(_)
            | Self::Attestation(_)
            | Self::Reconcile(_)
            | Self::Unknown => false,
        }
    }

    /// Whether only the root key may sign it: what opens something, and what replaces keys.
    pub fn needs_root(&self) -> bool {
        matches!(self, Self::Lift(_) | Self::Rotation(_) | Self::Reconcile(_))
    }

    fn check(&self) -> Result<(), PayloadError> {
        match self {
            Self::Lift(lift) if !are_named(&lift.statements, LIFTED_MAX) => {
                Err(PayloadError::Lifted)
            }
            Self::Delegation(delegation) => delegation.check(),
            Self::Revocation(revocation) if !are_named(&revocation.delegations, NAMED_MAX) => {
                Err(PayloadError::Named(DELEGATION_REVOCATION))
            }
            Self::Attestation(attestation) => attestation.check(),
            Self::Dispute(dispute) if !are_named(&dispute.records, NAMED_MAX) => {
                Err(PayloadError::Named(DISPUTE))
            }
            Self::Reconcile(reconcile) if !are_named(&reconcile.heads, NAMED_MAX) => {
                Err(PayloadError::Named(RECONCILE))
            }
            Self::Tombstone(tombstone) if !are_named(&tombstone.records, NAMED_MAX) => {
                Err(PayloadError::Named(TOMBSTONE))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a list has 1 to `most` things, sorted and distinct.
fn are_named<T: Ord>(list: &[T], most: usize) -> bool {
    (1..=most).contains(&list.len()) && list.is_sorted_by(|a, b| a < b)
}

fn read<T: serde::Serialize + serde::de::DeserializeOwned>(
    bytes: &[u8],
) -> Result<T, PayloadError> {
    codec::decode(bytes, RECORD_BYTES_MAX).map_err(PayloadError::Decode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standing::Standing;
    use crate::use_atom::Use;
    use protocol::{ContentId, FileHash, RecordId, SecretKey};

    #[test]
    fn each_kind_decodes_as_its_own_type() {
        let genesis = Genesis { root_commitment: FileHash::of(b"root"), work: 7 };
        let bytes = codec::encode(&genesis);
        assert_eq!(Payload::decode(GENESIS, &bytes), Ok(Payload::Genesis(genesis)));
        assert!(matches!(Payload::decode(STATEMENT, &bytes), Err(PayloadError::Decode(_))));
        assert_eq!(Payload::decode("later-kind", &bytes), Ok(Payload::Unknown));
    }

    #[test]
    fn lists_of_nothing_or_out_of_order_are_refused() {
        let ids = [RecordId::from_bytes([2; 32]), RecordId::from_bytes([1; 32])];
        for list in [vec![], ids.to_vec(), vec![ids[0]; 2]] {
            let lift = codec::encode(&Lift { statements: list.clone() });
            assert_eq!(Payload::decode(LIFT, &lift), Err(PayloadError::Lifted));
            let revocation = codec::encode(&Revocation { delegations: list.clone() });
            let dispute = codec::encode(&Dispute { records: list.clone() });
            let tombstone = codec::encode(&Tombstone { records: list.clone() });
            let reconcile = codec::encode(&Reconcile { heads: list.clone() });
            let attestation = codec::encode(&Attestation {
                records: list,
                identities: vec![],
                standing: Standing::Registrar,
            });
            for (kind, bytes) in [
                (DELEGATION_REVOCATION, revocation),
                (DISPUTE, dispute),
                (RECONCILE, reconcile),
                (TOMBSTONE, tombstone),
                (ATTESTATION, attestation),
            ] {
                assert_eq!(Payload::decode(kind, &bytes), Err(PayloadError::Named(kind)));
            }
        }
    }

    #[test]
    fn a_delegation_names_its_uses() {
        let delegate = SecretKey::from_seed(&[1; 32]).public();
        let delegation = |uses: &[Use]| Delegation {
            delegate,
            uses: uses.to_vec(),
            may_allow: false,
            scope: vec![],
            not_after_ms: 1,
        };
        let decoded = |uses| Payload::decode(DELEGATION, &codec::encode(&delegation(uses)));
        assert!(decoded(&[Use::Mine]).is_ok());
        assert_eq!(decoded(&[]), Err(PayloadError::DelegatedUses));
        assert_eq!(decoded(&[Use::Mine, Use::TrainOther]), Err(PayloadError::DelegatedUses));
    }

    #[test]
    fn only_what_takes_away_is_urgent() {
        let work = [ContentId::of(b"work")];
        let deny = Statement::deny(&[Use::Mine]).over(work).remove(0);
        let allow = Statement::allow(&[Use::Mine], 1).over(work).remove(0);
        assert!(Payload::Statement(deny).is_urgent());
        assert!(!Payload::Statement(allow).is_urgent() && !Payload::Unknown.is_urgent());
    }
}
