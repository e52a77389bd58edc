//! Payloads about what was said: its end, who may speak for whom, and what others think of it.
//!
//! Invariants: lists are sorted and distinct; there is no text for people, which stands in remarks.
//! What it is not: their effect, which `ledger` computes from all feeds together.

use serde::{Deserialize, Serialize};

use protocol::limits::NAMED_MAX;
use protocol::{PublicKey, RecordId};

use super::{ATTESTATION, DELEGATION, PayloadError, are_named};
use crate::standing::Standing;
use crate::subject::Subject;
use crate::use_atom::Use;

/// The end of what the same identity said: statements (also those made on its behalf),
/// delegations, attestations and disputes. Only the root key signs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lift {
    /// The records, sorted.
    pub statements: Vec<RecordId>,
}

/// Leave for another identity, such as a collective or a platform, to speak in the author's name.
///
/// Anybody's word can restrict; what a delegate gains is that its statements count as the author's
/// where it matters who speaks, and that its allows are the author's allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// Who may speak.
    pub delegate: PublicKey,
    /// For which uses, sorted.
    pub uses: Vec<Use>,
    /// Whether it may also allow, not only restrict.
    pub may_allow: bool,
    /// About which works, sorted; about all of the author's if there are none.
    pub scope: Vec<Subject>,
    /// When it ends, in milliseconds since 1970; an allow made under it ends then too.
    pub not_after_ms: u64,
}

/// The end of delegations, by the one who gave them; the daily key is enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The delegations' records, sorted.
    pub delegations: Vec<RecordId>,
}

/// A witness's word for the standing of records or identities; how it was found is for the remark. It
/// counts where a policy names the witness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// The statements it speaks for, sorted.
    pub records: Vec<RecordId>,
    /// The identities it speaks for, sorted.
    pub identities: Vec<PublicKey>,
    /// What the witness found.
    pub standing: Standing,
}

/// Doubt about what others allowed: until a witness that the policy names speaks for them, those
/// allows are refusals. Why is for the remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// The statements in doubt, sorted.
    pub records: Vec<RecordId>,
}

/// The wish that everyone erases the remarks beside records of the same author. The records stay, and
/// so does what they do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The records, sorted.
    pub records: Vec<RecordId>,
}

impl Delegation {
    /// Whether a statement under it may speak of this subject.
    pub fn covers(&self, subject: &Subject) -> bool {
        self.scope.is_empty() || self.scope.iter().any(|within| within.covers(subject))
    }

    pub(super) fn check(&self) -> Result<(), PayloadError> {
        if !are_named(&self.uses, Use::ALL.len()) {
            return Err(PayloadError::DelegatedUses);
        }
        if !self.scope.is_empty() && !are_named(&self.scope, NAMED_MAX) {
            return Err(PayloadError::Named(DELEGATION));
        }
        Ok(())
    }
}

impl Attestation {
    pub(super) fn check(&self) -> Result<(), PayloadError> {
        let named = self.records.len() + self.identities.len();
        let sorted =
            self.records.is_sorted_by(|a, b| a < b) && self.identities.is_sorted_by(|a, b| a < b);
        if !sorted || !(1..=NAMED_MAX).contains(&named) {
            return Err(PayloadError::Named(ATTESTATION));
        }
        Ok(())
    }
}
