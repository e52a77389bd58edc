//! What a record says, by its kind.
//!
//! Invariants: a kind of this version has exactly one payload type and must decode as it; any other
//! kind is [`Payload::Unknown`]: its record is kept, chained and forwarded, and decides nothing.
//! What it is not: a judgement on who may say it; that is the ledger's.

use serde::{Deserialize, Serialize};

use protocol::codec::{self, DecodeError};
use protocol::limits::{LIFTED_MAX, RECORD_BYTES_MAX};
use protocol::{FileHash, PublicKey, RecordId};

use crate::statement::{Statement, StatementError};

/// The kind of [`Payload::Genesis`].
pub const GENESIS: &str = "genesis";
/// The kind of [`Payload::Statement`].
pub const STATEMENT: &str = "statement";
/// The kind of [`Payload::Lift`].
pub const LIFT: &str = "lift";
/// The kind of [`Payload::Rotation`].
pub const KEY_ROTATION: &str = "key-rotation";

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
    #[error("a lift names 1 to {LIFTED_MAX} statements, sorted and distinct")]
    Lifted,
}

/// The first record of every feed of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// The blake3 hash of the root public key, whose holder alone may lift and rotate. The key
    /// itself is shown when it first signs.
    pub root_commitment: FileHash,
}

/// The end of statements of the same identity. Only the root key signs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lift {
    /// The statements' records, sorted.
    pub statements: Vec<RecordId>,
}

/// New keys for the rest of the feed. Only the root key signs it.
///
/// The keys it replaces are retired for the identity's other feeds too: what they allowed or lifted
/// there is void, as nobody can tell whether it came before or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The daily key from here on.
    pub daily: PublicKey,
    /// The blake3 hash of the root public key from here on.
    pub root_commitment: FileHash,
}

/// A record's payload, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// The start of a feed.
    Genesis(Genesis),
    /// What may be done with works.
    Statement(Statement),
    /// The end of statements.
    Lift(Lift),
    /// New keys.
    Rotation(Rotation),
    /// Of a kind that this version does not know.
    Unknown,
}

impl Payload {
    /// Decodes and checks the payload of a record of this kind.
    pub fn decode(kind: &str, bytes: &[u8]) -> Result<Self, PayloadError> {
        match kind {
            GENESIS => Ok(Self::Genesis(read(bytes)?)),
            STATEMENT => {
                let statement: Statement = read(bytes)?;
                statement.check().map_err(PayloadError::Statement)?;
                Ok(Self::Statement(statement))
            }
            LIFT => {
                let lift: Lift = read(bytes)?;
                lift.check()?;
                Ok(Self::Lift(lift))
            }
            KEY_ROTATION => Ok(Self::Rotation(read(bytes)?)),
            _ => Ok(Self::Unknown),
        }
    }

    /// Whether it takes something away, so that it must never wait behind what gives.
    pub fn is_urgent(&self) -> bool {
        match self {
            Self::Statement(statement) => statement.restricts(),
            Self::Rotation(_) => true,
            Self::Genesis(_) | Self::Lift(_) | Self::Unknown => false,
        }
    }
}

impl Lift {
    fn check(&self) -> Result<(), PayloadError> {
        let sorted = self.statements.windows(2).all(|pair| pair[0] < pair[1]);
        if sorted && (1..=LIFTED_MAX).contains(&self.statements.len()) {
            Ok(())
        } else {
            Err(PayloadError::Lifted)
        }
    }
}

/// What a genesis or a rotation commits to, for this root key.
pub fn root_commitment(root: &PublicKey) -> FileHash {
    FileHash::of(root.as_bytes())
}

fn read<T: Serialize + for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, PayloadError> {
    codec::decode(bytes, RECORD_BYTES_MAX).map_err(PayloadError::Decode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::use_atom::Use;
    use protocol::ContentId;

    #[test]
    fn each_kind_decodes_as_its_own_type() {
        let genesis = Genesis { root_commitment: FileHash::of(b"root") };
        let bytes = codec::encode(&genesis);
        assert_eq!(Payload::decode(GENESIS, &bytes), Ok(Payload::Genesis(genesis)));
        assert!(matches!(Payload::decode(STATEMENT, &bytes), Err(PayloadError::Decode(_))));
        assert_eq!(Payload::decode("delegation", &bytes), Ok(Payload::Unknown));
    }

    #[test]
    fn a_lift_of_nothing_or_out_of_order_is_refused() {
        let ids = [RecordId::from_bytes([2; 32]), RecordId::from_bytes([1; 32])];
        for statements in [vec![], ids.to_vec()] {
            let bytes = codec::encode(&Lift { statements });
            assert_eq!(Payload::decode(LIFT, &bytes), Err(PayloadError::Lifted));
        }
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
