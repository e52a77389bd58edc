//! A ledger, and people who write into it.

use consent::payload::{Attestation, Delegation};
use consent::{
    Admitted, Claim, ClaimState, Denial, Gate, Identity, InsertError, Inserted, Ledger, Policy,
    Record, SetAside, Silence, Standing, Statement, Subject, Use, Work, head_at, record_id,
};
use protocol::{ContentId, FeedHead, PublicKey, RecordId, SecretKey, Signed};

pub(crate) const USE: Use = Use::TrainOther;
pub(crate) const FOREVER_MS: u64 = 1_000_000;

/// Silence is yes, and time is left out.
pub(crate) fn open() -> Policy {
    Policy { default: Silence::OptOut, ..closed() }
}

/// Silence is no, and time is left out.
pub(crate) fn closed() -> Policy {
    Policy { cooling_ms: 0, allow_ms_max: u64::MAX, ..Policy::default() }
}

/// A policy that heeds these witnesses.
pub(crate) fn heeding(policy: Policy, witnesses: impl IntoIterator<Item = PublicKey>) -> Policy {
    let mut witnesses: Vec<PublicKey> = witnesses.into_iter().collect();
    witnesses.sort();
    Policy { witnesses, ..policy }
}

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

pub(crate) fn work(n: u32) -> ContentId {
    ContentId::of(&n.to_le_bytes())
}

pub(crate) fn deny(n: u32) -> Statement {
    Statement::deny(&[USE]).over([work(n)]).remove(0)
}

pub(crate) fn allow(n: u32) -> Statement {
    Statement::allow(&[USE], FOREVER_MS).over([work(n)]).remove(0)
}

pub(crate) fn about(statement: &Statement, subject: Subject) -> Statement {
    statement.over_subjects([subject]).remove(0)
}

/// Somebody's feed, and where it goes on.
#[derive(Clone)]
pub(crate) struct Voice {
    pub(crate) me: Identity,
    pub(crate) head: FeedHead,
}

impl Voice {
    pub(crate) fn author(&self) -> PublicKey {
        self.me.author()
    }
}

/// Leave for `delegate` to allow and deny [`USE`] for everything.
pub(crate) fn leave(delegate: &Voice) -> Delegation {
    Delegation {
        delegate: delegate.author(),
        uses: vec![USE],
        may_allow: true,
        scope: vec![],
        not_after_ms: FOREVER_MS,
    }
}

#[derive(Default)]
pub(crate) struct Scene {
    pub(crate) ledger: Ledger,
    /// What the ledger would keep on disk.
    pub(crate) digests: Vec<Vec<u8>>,
}

impl Scene {
    /// Somebody's new feed with these keys.
    pub(crate) fn voice(&mut self, daily: u8, root: u8, feed: u32) -> Voice {
        let me = Identity::new(key(daily), key(root), feed);
        let genesis = me.genesis(0).expect("a genesis");
        let mut voice = Voice { head: head_at(&genesis), me };
        self.take(&mut voice, genesis);
        voice
    }

    /// Somebody new, with the keys `seed` and `seed + 1`.
    pub(crate) fn person(&mut self, seed: u8) -> Voice {
        self.voice(seed, seed + 1, 0)
    }

    pub(crate) fn insert(&mut self, record: Signed<Record>) -> Result<RecordId, InsertError> {
        let id = record_id(&record);
        let admitted = Admitted { record: record.clone(), received_ms: 0 };
        let inserted = self.ledger.insert(record, 0)?;
        assert_eq!(inserted, Inserted::New(vec![admitted.clone()]));
        self.digests.push(self.ledger.digest(&admitted));
        Ok(id)
    }

    pub(crate) fn take(&mut self, voice: &mut Voice, record: Signed<Record>) -> RecordId {
        voice.head = head_at(&record);
        self.insert(record).expect("a valid record")
    }

    pub(crate) fn state(&mut self, voice: &mut Voice, statement: &Statement) -> RecordId {
        let record = voice.me.statement(&voice.head, statement).expect("a statement");
        self.take(voice, record)
    }

    pub(crate) fn lift(&mut self, voice: &mut Voice, record: RecordId) -> RecordId {
        let record = voice.me.lifts(&voice.head, [record]).expect("a lift").remove(0);
        self.take(voice, record)
    }

    pub(crate) fn delegate(&mut self, voice: &mut Voice, delegation: &Delegation) -> RecordId {
        let record = voice.me.delegate(&voice.head, delegation).expect("a delegation");
        self.take(voice, record)
    }

    pub(crate) fn revoke(&mut self, voice: &mut Voice, delegation: RecordId) -> RecordId {
        let record = voice.me.revoke(&voice.head, [delegation]).expect("a revocation");
        self.take(voice, record)
    }

    pub(crate) fn dispute(&mut self, voice: &mut Voice, record: RecordId) -> RecordId {
        let record = voice.me.dispute(&voice.head, [record]).expect("a dispute");
        self.take(voice, record)
    }

    pub(crate) fn compromise(&mut self, voice: &mut Voice, key: PublicKey, kept: u64) -> RecordId {
        let record = voice.me.compromise(&voice.head, key, kept).expect("a compromise");
        self.take(voice, record)
    }

    pub(crate) fn rotate(&mut self, voice: &mut Voice, daily: u8, root: u8) -> RecordId {
        let rotated = voice.me.rotate(&voice.head, key(daily), key(root)).expect("a rotation");
        voice.me = rotated.1;
        self.take(voice, rotated.0)
    }

    pub(crate) fn reconcile(&mut self, voice: &mut Voice, heads: &[RecordId]) -> RecordId {
        let record = voice.me.reconcile(&voice.head, heads.to_vec()).expect("a reconcile");
        self.take(voice, record)
    }

    /// A witness's word for records.
    pub(crate) fn attest(
        &mut self,
        voice: &mut Voice,
        record: RecordId,
        standing: Standing,
    ) -> RecordId {
        self.attest_to(voice, vec![record], vec![], standing)
    }

    /// A witness's word for an identity.
    pub(crate) fn attest_identity(
        &mut self,
        voice: &mut Voice,
        identity: PublicKey,
        standing: Standing,
    ) -> RecordId {
        self.attest_to(voice, vec![], vec![identity], standing)
    }

    fn attest_to(
        &mut self,
        voice: &mut Voice,
        records: Vec<RecordId>,
        identities: Vec<PublicKey>,
        standing: Standing,
    ) -> RecordId {
        let attestation = Attestation { records, identities, standing };
        let record = voice.me.attest(&voice.head, &attestation).expect("an attestation");
        self.take(voice, record)
    }

    /// Two records after one: the feed forks at the place after `voice`'s head. Returns the branch
    /// that `voice` does not go on with.
    pub(crate) fn fork(&mut self, voice: &mut Voice) -> RecordId {
        let mut other = voice.clone();
        self.state(voice, &deny(9_001));
        self.state(&mut other, &deny(9_002))
    }

    pub(crate) fn answer(&self, policy: &Policy, work: &Work) -> Result<(), Denial> {
        Gate::new(&self.ledger, policy, 10).check(work, USE, &SetAside::default())
    }

    pub(crate) fn allows(&self, policy: &Policy, n: u32) -> bool {
        self.answer(policy, &work(n).into()).is_ok()
    }

    pub(crate) fn claim_of(&self, work: &Work, record: RecordId) -> Option<Claim> {
        let policy = open();
        let claims = Gate::new(&self.ledger, &policy, 10).claims(work, USE);
        claims.into_iter().find(|claim| claim.record == record)
    }

    /// What has become of a statement about work `n`.
    pub(crate) fn state_of(&self, n: u32, record: RecordId) -> ClaimState {
        self.claim_of(&work(n).into(), record).expect("a statement about this work").state
    }
}
