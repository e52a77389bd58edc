//! The small world that a list of choices becomes: its people, its thief, and the records they make.
//!
//! Invariants: the same choices make the same records. What it is not: a judge of what they mean.

use std::collections::BTreeMap;

use consent::payload::{
    ATTESTATION, Attestation, Compromise, DELEGATION, DELEGATION_REVOCATION, DISPUTE, Delegation,
    Dispute, GENESIS, KEY_COMPROMISE, KEY_ROTATION, LIFT, RECONCILE, Reconcile, Revocation,
    STATEMENT, TOMBSTONE, Tombstone, root_commitment,
};
use consent::{
    Behalf, ClaimState, Genesis, InsertError, Inserted, Ledger, Lift, Payload, Record, Rotation,
    Standing, Statement, Use, Value, record_id,
};
use proptest::prelude::*;
use protocol::{ContentId, FeedId, PublicKey, RecordId, SecretKey, Signed, codec};

pub(crate) const USES: [Use; 2] = [Use::TrainOther, Use::Evaluate];
pub(crate) const WORKS: u8 = 3;

/// One choice; its numbers are taken modulo whatever there is to choose from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    pub(crate) device: u8,
    pub(crate) parent: u8,
    pub(crate) act: u8,
    pub(crate) detail: u8,
}

pub(crate) fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let choice = (any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>());
    let choice =
        choice.prop_map(|(device, parent, act, detail)| Choice { device, parent, act, detail });
    prop::collection::vec(choice, 1..28)
}

/// A signed record, when it is received, and the keys in force after it.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) record: Signed<Record>,
    pub(crate) received_ms: u64,
    pub(crate) daily: u8,
    pub(crate) root: u8,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) made: Vec<Made>,
    pub(crate) feeds: BTreeMap<FeedId, Vec<usize>>,
    pub(crate) next_key: u8,
}

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

pub(crate) fn work(n: u8) -> ContentId {
    ContentId::of(&[n % WORKS])
}

/// Leave for the second author to speak for whoever gives it.
pub(crate) fn delegation(choice: Choice) -> Vec<u8> {
    codec::encode(&Delegation {
        delegate: key([3, 5][usize::from(choice.detail) % 2]).public(),
        uses: vec![USES[usize::from(choice.detail / 2) % 2]],
        may_allow: !choice.detail.is_multiple_of(8),
        scope: vec![],
        not_after_ms: 900 + u64::from(choice.detail) * 10,
    })
}

/// Device: `(seed of the author's first key, feed, seed of the root key at birth)`.
pub(crate) const DEVICES: [(u8, u32, u8); 4] = [(1, 0, 2), (1, 1, 2), (3, 0, 4), (5, 0, 6)];
/// The thief holds key 1, not key 2: a new feed with his root, one with the true root's hash.
pub(crate) const THIEF_FEEDS: [(u8, u32, u8); 2] = [(1, 7, 99), (1, 8, 2)];

impl World {
    pub(crate) fn new() -> Self {
        Self { next_key: 100, ..Self::default() }
    }

    pub(crate) fn of(choices: &[Choice]) -> Self {
        let mut world = Self::new();
        for choice in choices {
            let (author, feed, root) = DEVICES[usize::from(choice.device) % DEVICES.len()];
            world.step(author, feed, root, *choice, false);
        }
        world
    }

    /// The same world with a thief at work: with the first author's first daily key he opens
    /// feeds and goes on wherever in the author's feeds that key is in force.
    pub(crate) fn robbed(&mut self, choices: &[Choice]) {
        let feeds = [THIEF_FEEDS[0], THIEF_FEEDS[1], DEVICES[0], DEVICES[1]];
        for choice in choices {
            let (author, feed, root) = feeds[usize::from(choice.device) % feeds.len()];
            self.step(author, feed, root, *choice, true);
        }
    }

    pub(crate) fn step(&mut self, author: u8, feed: u32, root: u8, choice: Choice, thief: bool) {
        let feed_id = FeedId { author: key(author).public(), feed };
        let held = self.feeds.get(&feed_id).cloned().unwrap_or_default();
        if held.is_empty() {
            let genesis =
                Genesis { root_commitment: root_commitment(&key(root).public()), work: 0 };
            self.add(feed_id, None, GENESIS, codec::encode(&genesis), author, (author, root));
            return;
        }
        // Mostly the newest record, sometimes an older one: a fork.
        let at = if choice.parent < 200 { held.len() - 1 } else { choice.detail as usize };
        let parent = held[at % held.len()];
        let Made { daily, root, .. } = self.made[parent];
        if thief && daily != author {
            return;
        }
        let keys = (daily, root);
        let (kind, payload, signer, keys) = match choice.act % 25 {
            0..6 => (STATEMENT, self.statement(author, Value::Deny, choice), daily, keys),
            6..10 => (STATEMENT, self.statement(author, Value::Allow, choice), daily, keys),
            10 => (STATEMENT, self.statement(author, Value::Constrained, choice), daily, keys),
            11 => ("later-kind", vec![choice.detail], daily, keys),
            12 => (DELEGATION, delegation(choice), daily, keys),
            13 => (DELEGATION_REVOCATION, self.revocation(choice), daily, keys),
            14 => (ATTESTATION, self.attestation(choice), daily, keys),
            15 => {
                let records = self.doubtful(choice);
                (DISPUTE, codec::encode(&Dispute { records }), daily, keys)
            }
            24 => {
                let tombstone = Tombstone { records: self.named(choice) };
                (TOMBSTONE, codec::encode(&tombstone), daily, keys)
            }
            16 => {
                let kept = u64::from(choice.detail % 8);
                let said = Compromise { key: key(daily).public(), kept };
                (KEY_COMPROMISE, codec::encode(&said), daily, keys)
            }
            // A thief may lift, rotate and join under his own root only.
            _ if thief && root != THIEF_FEEDS[0].2 => return,
            17..20 => (LIFT, codec::encode(&Lift { statements: self.named(choice) }), root, keys),
            21 => {
                let said = Compromise { key: key(root).public(), kept: choice.detail.into() };
                (KEY_COMPROMISE, codec::encode(&said), root, keys)
            }
            20 | 22 => {
                let Some(heads) = self.heads(&held, parent) else { return };
                (RECONCILE, codec::encode(&Reconcile { heads }), root, keys)
            }
            _ => {
                // Sometimes both devices rotate to the same keys.
                let keys = if choice.detail.is_multiple_of(2) { (50, 51) } else { self.fresh() };
                if keys.1 == root {
                    return;
                }
                let root_commitment = root_commitment(&key(keys.1).public());
                let rotation = Rotation { daily: key(keys.0).public(), root_commitment };
                (KEY_ROTATION, codec::encode(&rotation), root, keys)
            }
        };
        self.add(feed_id, Some(parent), kind, payload, signer, keys);
    }

    pub(crate) fn fresh(&mut self) -> (u8, u8) {
        self.next_key += 2;
        (self.next_key, self.next_key + 1)
    }

    pub(crate) fn statement(&self, author: u8, value: Value, choice: Choice) -> Vec<u8> {
        let about = USES[usize::from(choice.detail) % USES.len()];
        let statement = match value {
            Value::Allow => Statement::allow(&[about], 1_000 + u64::from(choice.detail % 3) * 50),
            _ => Statement { rules: vec![(about, value)], ..Statement::deny(&[about]) },
        };
        let works = [work(choice.parent), work(choice.detail / 4)];
        let mut delegations = self.of_kind(DELEGATION);
        if !choice.parent.is_multiple_of(4) {
            // Mostly under leave that was given to whoever speaks.
            delegations.retain(|id| self.is_leave(*id, key(author).public()));
        }
        let delegation = delegations.get(usize::from(choice.detail / 2) % delegations.len().max(1));
        let behalf = delegation
            .filter(|_| choice.detail.is_multiple_of(2))
            .map(|id| Behalf { principal: key(1).public(), delegation: *id });
        codec::encode(&Statement { behalf, ..statement }.over(works)[0])
    }

    pub(crate) fn is_leave(&self, id: RecordId, delegate: PublicKey) -> bool {
        let given = self.of_id(id).record.value();
        given.author == key(1).public()
            && matches!(given.payload(), Ok(Payload::Delegation(leave)) if leave.delegate == delegate)
    }

    /// Mostly an allow, if there is one.
    pub(crate) fn doubtful(&self, choice: Choice) -> Vec<RecordId> {
        let allows = self.made.iter().filter(|made| {
            let payload = made.record.value().payload();
            matches!(payload, Ok(Payload::Statement(said)) if said.not_after_ms.is_some())
        });
        let allows: Vec<RecordId> = allows.map(|made| record_id(&made.record)).collect();
        let allow = allows.get(usize::from(choice.parent / 3) % allows.len().max(1));
        match allow.filter(|_| !choice.parent.is_multiple_of(3)) {
            Some(allow) => vec![*allow],
            None => self.named(choice),
        }
    }

    /// Some records of anyone's, to see that only the right ones count.
    pub(crate) fn named(&self, choice: Choice) -> Vec<RecordId> {
        let made = &self.made[usize::from(choice.detail) % self.made.len()];
        let second = &self.made[usize::from(choice.act / 25) % self.made.len()];
        let mut named = vec![record_id(&made.record), record_id(&second.record)];
        named.sort();
        named.dedup();
        named
    }

    /// Mostly delegations, if there are any.
    pub(crate) fn revocation(&self, choice: Choice) -> Vec<u8> {
        let delegations = self.of_kind(DELEGATION);
        let chosen = delegations.get(usize::from(choice.detail) % delegations.len().max(1));
        let delegations = chosen.map_or_else(|| self.named(choice), |id| vec![*id]);
        codec::encode(&Revocation { delegations })
    }

    pub(crate) fn attestation(&self, choice: Choice) -> Vec<u8> {
        let records = if choice.detail.is_multiple_of(3) { vec![] } else { self.doubtful(choice) };
        let identities = if records.is_empty() { vec![key(1).public()] } else { vec![] };
        let standing = [Standing::Place, Standing::Registrar][usize::from(choice.detail) % 2];
        codec::encode(&Attestation { records, identities, standing })
    }

    /// The records of a feed below `parent`'s next place that nothing follows.
    pub(crate) fn heads(&self, held: &[usize], parent: usize) -> Option<Vec<RecordId>> {
        let seq = |at: usize| self.made[at].record.value().seq;
        let followed =
            |id: RecordId| held.iter().any(|at| self.made[*at].record.value().prev == Some(id));
        let mut heads: Vec<RecordId> = held
            .iter()
            .filter(|at| **at != parent && seq(**at) <= seq(parent))
            .map(|at| record_id(&self.made[*at].record))
            .filter(|id| !followed(*id))
            .collect();
        heads.sort();
        (!heads.is_empty()).then_some(heads)
    }

    pub(crate) fn of_kind(&self, kind: &str) -> Vec<RecordId> {
        let made = self.made.iter().filter(|made| made.record.value().kind == kind);
        made.map(|made| record_id(&made.record)).collect()
    }

    pub(crate) fn add(
        &mut self,
        feed_id: FeedId,
        parent: Option<usize>,
        kind: &str,
        payload: Vec<u8>,
        signer: u8,
        (daily, root): (u8, u8),
    ) {
        let FeedId { author, feed } = feed_id;
        let before = parent.map(|at| &self.made[at].record);
        let seq = before.map_or(0, |before| before.value().seq + 1);
        let prev = before.map(record_id);
        let record = Record { author, feed, seq, prev, kind: kind.into(), payload, remark: None };
        let record = Signed::sign(record, &key(signer));
        if self.made.iter().any(|made| made.record.id() == record.id()) {
            return;
        }
        self.feeds.entry(feed_id).or_default().push(self.made.len());
        let received_ms = 10 * (self.made.len() as u64 % 7);
        self.made.push(Made { record, received_ms, daily, root });
    }

    /// Inserts in this order; returns the digests of what was admitted.
    pub(crate) fn insert(
        &self,
        ledger: &mut Ledger,
        order: impl IntoIterator<Item = usize>,
    ) -> Vec<Vec<u8>> {
        let mut digests = Vec::new();
        for at in order {
            let made = &self.made[at % self.made.len()];
            match ledger.insert(made.record.clone(), made.received_ms) {
                Ok(Inserted::New(admitted)) => {
                    digests.extend(admitted.iter().map(|admitted| ledger.digest(admitted)));
                }
                Ok(Inserted::Held | Inserted::Known) => {}
                // A reconcile whose branches are not all here: it comes again.
                Err(InsertError::Heads) => {}
                Err(error) => panic!("a valid record: {error}"),
            }
        }
        digests
    }

    /// What the world has to say about an allow: by whose leave, healed or not, doubted, attested.
    pub(crate) fn reached(&self, claim: &consent::Claim) -> Vec<&'static str> {
        let made = self.of_id(claim.record);
        let Ok(Payload::Statement(statement)) = made.record.value().payload() else {
            panic!("a claim is of a statement")
        };
        let mut reached = Vec::new();
        if claim.value.restricts() {
            return reached;
        }
        let live = claim.state == ClaimState::Live;
        if let Some(behalf) = statement.behalf {
            if live {
                reached.push("delegations that count");
            }
            let revoked = self.payloads().any(|(author, payload)| {
                let names =
                    |revocation: &Revocation| revocation.delegations.contains(&behalf.delegation);
                author == behalf.principal
                    && matches!(&payload, Payload::Revocation(revocation) if names(revocation))
            });
            if revoked && claim.state == ClaimState::Void {
                reached.push("delegations revoked");
            }
        }
        if self.is_after_reconcile(&made.record) {
            let names = ["allows that no reconcile healed", "allows healed by a reconcile"];
            reached.push(names[usize::from(live)]);
        }
        for (_, payload) in self.payloads() {
            match payload {
                Payload::Dispute(dispute) if live && dispute.records.contains(&claim.record) => {
                    reached.push("disputed allows");
                }
                Payload::Attestation(word) if live && word.records.contains(&claim.record) => {
                    reached.push("attested allows");
                }
                _ => {}
            }
        }
        reached
    }

    pub(crate) fn payloads(&self) -> impl Iterator<Item = (PublicKey, Payload)> {
        let values = self.made.iter().map(|made| made.record.value());
        values.map(|value| (value.author, value.payload().expect("made by this test")))
    }

    pub(crate) fn is_after_reconcile(&self, record: &Signed<Record>) -> bool {
        let mut prev = record.value().prev;
        while let Some(id) = prev {
            let before = self.of_id(id).record.value();
            if before.kind == RECONCILE {
                return true;
            }
            prev = before.prev;
        }
        false
    }

    pub(crate) fn of_id(&self, id: RecordId) -> &Made {
        self.made.iter().find(|made| record_id(&made.record) == id).expect("made here")
    }
}
