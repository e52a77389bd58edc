//! What records say about records and identities: ends, leave, witness, doubt, erasure.
//!
//! Invariants: kept under what they name, whether or not that is here yet, so the order of arrival
//! does not count. What it is not: whether they hold; `power` says that.

use std::collections::BTreeMap;

use protocol::{PublicKey, RecordId};

use super::table::Slot;
use crate::payload::{Attestation, Delegation, Payload};
use crate::standing::Standing;
use crate::subject::Subject;

/// The words, under what they are about.
#[derive(Debug, Default)]
pub(crate) struct Voices {
    lifts: BTreeMap<RecordId, Vec<Slot>>,
    revocations: BTreeMap<RecordId, Vec<Slot>>,
    disputes: BTreeMap<RecordId, Vec<Slot>>,
    tombstones: BTreeMap<RecordId, Vec<Slot>>,
    delegations: BTreeMap<RecordId, (Slot, Delegation)>,
    records: BTreeMap<RecordId, Vec<(Slot, Standing)>>,
    identities: BTreeMap<PublicKey, Vec<(Slot, Standing)>>,
    /// The subjects of statements that allow in somebody else's name.
    on_behalf: BTreeMap<Slot, Box<[Subject]>>,
}

impl Voices {
    /// Takes note of what the record in `slot` says about others.
    pub(crate) fn add(&mut self, slot: Slot, id: RecordId, payload: &Payload) {
        let note = |map: &mut BTreeMap<RecordId, Vec<Slot>>, named: &[RecordId]| {
            for record in named {
                map.entry(*record).or_default().push(slot);
            }
        };
        match payload {
            Payload::Lift(lift) => note(&mut self.lifts, &lift.statements),
            Payload::Revocation(revocation) => {
                note(&mut self.revocations, &revocation.delegations);
            }
            Payload::Dispute(dispute) => note(&mut self.disputes, &dispute.records),
            Payload::Tombstone(tombstone) => note(&mut self.tombstones, &tombstone.records),
            Payload::Delegation(delegation) => {
                self.delegations.insert(id, (slot, delegation.clone()));
            }
            Payload::Attestation(attestation) => self.attest(slot, attestation),
            Payload::Statement(statement)
                if statement.behalf.is_some() && statement.not_after_ms.is_some() =>
            {
                self.on_behalf.insert(slot, statement.subjects.as_slice().into());
            }
            _ => {}
        }
    }

    fn attest(&mut self, slot: Slot, attestation: &Attestation) {
        let word = (slot, attestation.standing);
        for record in &attestation.records {
            self.records.entry(*record).or_default().push(word);
        }
        for identity in &attestation.identities {
            self.identities.entry(*identity).or_default().push(word);
        }
    }

    /// The lifts that name a record.
    pub(crate) fn lifts(&self, of: &RecordId) -> &[Slot] {
        listed(&self.lifts, of)
    }

    /// The revocations that name a delegation.
    pub(crate) fn revocations(&self, of: &RecordId) -> &[Slot] {
        listed(&self.revocations, of)
    }

    /// The disputes that name a record.
    pub(crate) fn disputes(&self, of: &RecordId) -> &[Slot] {
        listed(&self.disputes, of)
    }

    /// The tombstones that name a record.
    pub(crate) fn tombstones(&self, of: &RecordId) -> &[Slot] {
        listed(&self.tombstones, of)
    }

    /// A delegation.
    pub(crate) fn delegation(&self, id: &RecordId) -> Option<(Slot, &Delegation)> {
        self.delegations.get(id).map(|(slot, delegation)| (*slot, delegation))
    }

    /// All delegations.
    pub(crate) fn delegations(&self) -> impl Iterator<Item = (RecordId, Slot, &Delegation)> {
        self.delegations.iter().map(|(id, (slot, delegation))| (*id, *slot, delegation))
    }

    /// What witnesses said of a record, or of the identity that speaks in it.
    pub(crate) fn attested(
        &self,
        record: &RecordId,
        identity: &PublicKey,
    ) -> impl Iterator<Item = (Slot, Standing)> {
        let (of_record, of_identity) =
            (listed(&self.records, record), listed(&self.identities, identity));
        of_record.iter().chain(of_identity).copied()
    }

    /// The subjects of a statement that allows in somebody else's name.
    pub(crate) fn on_behalf(&self, slot: Slot) -> &[Subject] {
        self.on_behalf.get(&slot).map_or(&[], |subjects| subjects)
    }
}

fn listed<'a, K: Ord, T>(map: &'a BTreeMap<K, Vec<T>>, of: &K) -> &'a [T] {
    map.get(of).map_or(&[], Vec::as_slice)
}
