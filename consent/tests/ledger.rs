//! The ledger's rules, one by one: who may say what, what ends what, and what a fork, a rotation, a
//! stranger or an unknown kind does to it.

use std::collections::{BTreeMap, BTreeSet};

use consent::payload::{GENESIS, KEY_ROTATION, LIFT, STATEMENT, root_commitment};
use consent::{
    Admitted, Claim, ClaimState, ForkProof, Gate, Genesis, Identity, InsertError, Inserted, Ledger,
    Lift, Payload, Policy, Record, Reopener, Reopening, Restriction, Rotation, SetAside, Silence,
    Statement, Subject, Use, Value, head_at, record_id,
};
use protocol::{ContentId, FeedHead, Frontier, RecordId, SecretKey, Signed, codec};

const USE: Use = Use::TrainOther;

fn open() -> Policy {
    let (default, cooling_ms, allow_ms_max) = (Silence::OptOut, 0, u64::MAX);
    Policy { default, cooling_ms, allow_ms_max, ..Policy::default() }
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn work(n: u32) -> ContentId {
    ContentId::of(&n.to_le_bytes())
}

fn deny(works: impl IntoIterator<Item = u32>) -> Statement {
    Statement::deny(&[USE]).over(works.into_iter().map(work)).remove(0)
}

fn allow(works: impl IntoIterator<Item = u32>, not_after_ms: u64) -> Statement {
    Statement::allow(&[USE], not_after_ms).over(works.into_iter().map(work)).remove(0)
}

/// A ledger and an identity that writes into it; time of receipt is 0.
struct Scene {
    ledger: Ledger,
    /// Every record taken, by its number in the ledger.
    records: Vec<Signed<Record>>,
    me: Identity,
    head: FeedHead,
}

impl Scene {
    fn new() -> Self {
        let me = Identity::new(key(1), key(2), 0);
        let genesis = me.genesis(0).expect("genesis");
        let (ledger, records) = (Ledger::new(), Vec::new());
        let mut scene = Self { ledger, records, head: head_at(&genesis), me };
        scene.take(genesis);
        scene
    }

    fn take(&mut self, record: Signed<Record>) -> RecordId {
        let id = record_id(&record);
        self.head = head_at(&record);
        let admitted = Admitted { record: record.clone(), received_ms: 0 };
        assert_eq!(self.ledger.insert(record.clone(), 0), Ok(Inserted::New(vec![admitted])));
        self.records.push(record);
        id
    }

    fn insert(&mut self, records: impl IntoIterator<Item = Signed<Record>>) {
        for record in records {
            self.ledger.insert(record.clone(), 0).expect("a valid record");
            self.records.push(record);
        }
    }

    fn state(&mut self, statement: &Statement) -> RecordId {
        let record = self.me.statement(&self.head, statement).expect("a valid statement");
        self.take(record)
    }

    fn lift(&mut self, id: RecordId) -> RecordId {
        let record = self.me.lifts(&self.head, [id]).expect("a valid lift").remove(0);
        self.take(record)
    }

    fn denied(&self, n: u32) -> Option<RecordId> {
        let policy = open();
        let gate = Gate::new(&self.ledger, &policy, 10);
        let answer = gate.check(&work(n).into(), USE, &SetAside::default());
        answer.err().map(|denial| denial.records[0])
    }

    fn claim(&self, n: u32) -> Claim {
        self.claims(n).remove(0)
    }

    fn claims(&self, n: u32) -> Vec<Claim> {
        let policy = open();
        let gate = Gate::new(&self.ledger, &policy, 10);
        let mut claims = gate.claims(&work(n).into(), USE);
        claims.reverse();
        claims
    }
}

#[test]
fn a_deny_holds_on_receipt_until_the_root_key_lifts_it() {
    let mut scene = Scene::new();
    assert_eq!(scene.denied(1), None);
    let id = scene.state(&deny([1, 2]));
    assert_eq!((scene.denied(1), scene.denied(3)), (Some(id), None));

    // An allow changes nothing.
    scene.state(&allow([1], 1_000));
    assert_eq!(scene.denied(1), Some(id));
    scene.lift(id);
    assert_eq!((scene.denied(1), scene.denied(2)), (None, None));
    assert_eq!(scene.claim(1).state, ClaimState::Lifted);
}

#[test]
fn only_the_root_key_lifts_and_only_its_own_statements() {
    let mut scene = Scene::new();
    let id = scene.state(&deny([1]));
    let forged = Identity::rotated(scene.me.feed(), key(1), key(1));
    let record = forged.lifts(&scene.head, [id]).unwrap().remove(0);
    assert_eq!(
        scene.ledger.insert(record, 0),
        Err(InsertError::NeedsRoot(LIFT.into(), key(1).public()))
    );

    let stranger = Identity::new(key(3), key(4), 0);
    let genesis = stranger.genesis(0).unwrap();
    let lift = stranger.lifts(&head_at(&genesis), [id]).unwrap().remove(0);
    scene.insert([genesis, lift]);
    assert_eq!(scene.denied(1), Some(id));
}

#[test]
fn a_thiefs_root_key_in_a_new_feed_lifts_nothing_and_voids_allows() {
    let mut scene = Scene::new();
    let denied = scene.state(&deny([1]));
    scene.state(&allow([2], 1_000));
    assert_eq!(scene.claim(2).state, ClaimState::Live);

    let thief = Identity::new(key(1), key(66), 7);
    let genesis = thief.genesis(0).unwrap();
    let lift = thief.lifts(&head_at(&genesis), [denied]).unwrap().remove(0);
    scene.insert([genesis, lift]);
    assert_eq!(scene.denied(1), Some(denied));
    assert_eq!(scene.claim(2).state, ClaimState::Void);
}

#[test]
fn after_a_fork_denies_stay_allows_are_void_and_lifts_lift_nothing() {
    let mut scene = Scene::new();
    let before = scene.state(&deny([1]));
    let old_allow = scene.state(&allow([4], 1_000));
    let fork_at = scene.head;
    let denied = scene.state(&deny([2]));
    scene.state(&allow([5], 1_000));
    let lift = scene.lift(before);
    scene.lift(old_allow);
    assert_eq!((scene.denied(1), scene.ledger.forks().count()), (None, 0));

    // The same keys say something else after the same record: a restored backup, or a thief.
    let other = scene.me.statement(&fork_at, &deny([3])).unwrap();
    let other_id = record_id(&other);
    scene.insert([other]);
    assert_eq!(scene.denied(1), Some(before), "the lift is void");
    assert_eq!((scene.denied(2), scene.denied(3)), (Some(denied), Some(other_id)));
    assert_eq!(scene.claim(5).state, ClaimState::Void);
    assert_eq!(scene.claim(4).state, ClaimState::Lifted, "a void lift still ends an allow");
    assert!(scene.ledger.held_record(&lift).is_some());

    let fork = scene.ledger.forks().next().unwrap();
    assert_eq!((fork.feed, fork.seq, fork.records.len()), (scene.me.feed(), 3, 2));
    let envelope = |id| {
        let held = scene.ledger.held_record(&id).unwrap();
        scene.records[held.slot as usize].bytes().to_vec()
    };
    let proof = ForkProof { first: envelope(fork.records[0]), second: envelope(fork.records[1]) };
    assert_eq!(proof.verify(), Ok((scene.me.feed(), 3)));
    let mut forged = proof.clone();
    forged.second = forged.first.clone();
    assert!(forged.verify().is_err());
    let mut flipped = proof;
    flipped.second[100] ^= 1;
    assert!(flipped.verify().is_err());

    // Denies can still be added, on either branch.
    let late = scene.state(&deny([6]));
    assert_eq!(scene.denied(6), Some(late));
}

#[test]
fn rotation_hands_the_feed_to_new_keys_and_retires_the_old() {
    let mut scene = Scene::new();
    scene.state(&allow([1], 1_000));
    let denied = scene.state(&deny([2]));

    // A second device, with the same keys.
    let device = Identity::new(key(1), key(2), 1);
    let genesis = device.genesis(0).unwrap();
    let elsewhere = device.statement(&head_at(&genesis), &allow([3], 1_000)).unwrap();
    scene.insert([genesis, elsewhere]);
    assert_eq!(scene.claim(3).state, ClaimState::Live);

    let (rotation, renewed) = scene.me.rotate(&scene.head, key(11), key(12)).unwrap();
    scene.take(rotation);
    assert_eq!(scene.claim(1).state, ClaimState::Live, "said before the rotation");
    assert_eq!(scene.claim(3).state, ClaimState::Void, "nobody can tell when");

    let stale = scene.me.statement(&scene.head, &deny([4])).unwrap();
    assert_eq!(scene.ledger.insert(stale, 0), Err(InsertError::Signer(key(1).public())));
    let stale = scene.me.lifts(&scene.head, [denied]).unwrap().remove(0);
    assert_eq!(
        scene.ledger.insert(stale, 0),
        Err(InsertError::NeedsRoot(LIFT.into(), key(2).public()))
    );
    scene.me = renewed;
    scene.lift(denied);
    assert_eq!(scene.denied(2), None);
}

#[test]
fn a_rotation_must_show_and_replace_the_root_key() {
    let mut scene = Scene::new();
    let record = |root_after: u8, signer: u8| {
        let root_commitment = root_commitment(&key(root_after).public());
        let rotation = Rotation { daily: key(11).public(), root_commitment };
        let feed = scene.me.feed();
        let record = Record {
            author: feed.author,
            feed: feed.feed,
            seq: 1,
            prev: Some(scene.head.head),
            kind: KEY_ROTATION.into(),
            payload: codec::encode(&rotation),
            remark: None,
        };
        Signed::sign(record, &key(signer))
    };
    let (kept, not_root) = (record(2, 2), record(12, 1));
    assert_eq!(scene.ledger.insert(kept, 0), Err(InsertError::RootKept));
    assert_eq!(
        scene.ledger.insert(not_root, 0),
        Err(InsertError::NeedsRoot(KEY_ROTATION.into(), key(1).public()))
    );
}

#[test]
fn unknown_kinds_and_subjects_are_kept_forwarded_and_decide_nothing() {
    let mut scene = Scene::new();
    let feed = scene.me.feed();
    let later = Record {
        author: feed.author,
        feed: feed.feed,
        seq: 1,
        prev: Some(scene.head.head),
        kind: "later-kind".into(),
        payload: vec![0xff; 40],
        remark: None,
    };
    let later = scene.take(Signed::sign(later, &key(1)));
    let unknown = Subject::Unknown { kind: "smell".into(), value: work(1).as_bytes().to_vec() };
    let both = Statement::deny(&[USE]).over_subjects([unknown, Subject::Content(work(2))]);
    let both = scene.state(&both[0]);
    assert_eq!((scene.denied(1), scene.denied(2)), (None, Some(both)));

    let mut other = Ledger::new();
    for slot in scene.ledger.records_since(&Frontier::default()) {
        let received = Signed::<Record>::open(scene.records[slot as usize].bytes()).unwrap();
        other.insert(received, 0).unwrap();
    }
    assert_eq!(other.frontier(), scene.ledger.frontier());
    assert!(other.held_record(&later).is_some());
}

#[test]
fn a_record_waits_for_the_one_before_it() {
    let scene = Scene::new();
    let records = scene.me.statements(&scene.head, &[deny([1]), deny([2]), deny([3])]).unwrap();
    let mut ledger = Ledger::new();
    for record in records.iter().rev() {
        assert_eq!(ledger.insert(record.clone(), 0), Ok(Inserted::Held));
    }
    assert_eq!((ledger.held(), ledger.len()), (3, 0));
    let Ok(Inserted::New(admitted)) = ledger.insert(scene.me.genesis(0).unwrap(), 0) else {
        panic!("a genesis needs nothing before it")
    };
    let admitted: Vec<_> = admitted.into_iter().skip(1).map(|admitted| admitted.record).collect();
    assert_eq!(admitted, records);
    assert_eq!((ledger.held(), ledger.len()), (0, 4));
    assert_eq!(ledger.insert(records[0].clone(), 0), Ok(Inserted::Known));
}

#[test]
fn what_does_not_fit_the_chain_is_refused() {
    let mut scene = Scene::new();
    let stranger = Identity::new(key(3), key(4), 0);
    let theirs = stranger.genesis(0).unwrap();
    scene.ledger.insert(theirs.clone(), 0).unwrap();
    let record = |seq: u64, prev: &Signed<Record>, signer: u8| {
        let record = Record {
            author: key(1).public(),
            feed: 0,
            seq,
            prev: Some(record_id(prev)),
            kind: STATEMENT.into(),
            payload: codec::encode(&deny([1])),
            remark: None,
        };
        Signed::sign(record, &key(signer))
    };
    let mine = scene.me.genesis(0).unwrap();
    let mut insert = |record| scene.ledger.insert(record, 0);
    assert_eq!(insert(record(1, &theirs, 1)), Err(InsertError::Chain));
    assert_eq!(insert(record(2, &mine, 1)), Err(InsertError::Chain));
    assert_eq!(insert(record(1, &mine, 3)), Err(InsertError::Signer(key(3).public())));
    assert!(matches!(insert(record(1, &mine, 1)), Ok(Inserted::New(_))));

    // Nor does what the check of records refuses: another's genesis, a lift of nothing.
    let genesis = Genesis { root_commitment: root_commitment(&key(3).public()), work: 0 };
    let value =
        Record { kind: GENESIS.into(), payload: codec::encode(&genesis), ..mine.value().clone() };
    assert!(matches!(insert(Signed::sign(value, &key(3))), Err(InsertError::Rule(_))));
    let lift = codec::encode(&Lift { statements: vec![] });
    let value = Record { kind: LIFT.into(), payload: lift, ..record(1, &mine, 1).value().clone() };
    assert!(matches!(insert(Signed::sign(value, &key(2))), Err(InsertError::Rule(_))));
}

#[test]
fn reopening_some_works_keeps_the_others_closed_at_every_step() {
    let mut scene = Scene::new();
    let rules = vec![(Use::TrainGenerative, Value::Deny), (Use::TrainOther, Value::Deny)];
    scene.state(&Statement { rules, ..deny(0..10) });
    scene.state(&deny([3]));
    let who = Reopener { author: scene.me.author(), behalf: None };
    let works: BTreeSet<Subject> = [work(3), work(4)].map(Subject::Content).into();
    let restricting = |scene: &Scene| -> BTreeMap<Restriction, Statement> {
        let found = scene.ledger.restricting(who, &works, &[Use::TrainOther]);
        let statement = |restriction: Restriction| {
            let slot = scene.ledger.held_record(&restriction.record).expect("held").slot;
            match scene.records[slot as usize].value().payload() {
                Ok(Payload::Statement(statement)) => (restriction, statement),
                other => panic!("a statement, not {other:?}"),
            }
        };
        found.into_iter().map(statement).collect()
    };
    let plan = Reopening::of(who, &restricting(&scene), &works, &[Use::TrainOther]);
    assert_eq!((plan.restated.len(), plan.lifted.len()), (2, 2));

    let mut records = scene.me.statements(&scene.head, &plan.restated).unwrap();
    records.extend(scene.me.lifts(&head_at(&records[1]), plan.lifted).unwrap());
    for record in records {
        scene.take(record);
        let closed = (0..10).filter(|n| scene.denied(*n).is_some()).count();
        assert!(closed == 10 || closed == 8, "{closed} closed");
    }
    let policy = open();
    let gate = Gate::new(&scene.ledger, &policy, 0);
    let check = |n, about| gate.check(&work(n).into(), about, &SetAside::default());
    for n in 0..10 {
        assert_eq!(check(n, Use::TrainOther).is_ok(), n == 3 || n == 4);
        assert!(check(n, Use::TrainGenerative).is_err());
    }
    assert!(restricting(&scene).is_empty());
}

#[test]
fn restrictions_go_first_and_equal_ledgers_send_nothing() {
    let mut scene = Scene::new();
    scene.state(&allow([1], 100));
    for seed in [3, 5, 7] {
        let other = Identity::new(key(seed), key(seed + 1), 0);
        let genesis = other.genesis(0).unwrap();
        let said = if seed == 5 { deny([1]) } else { allow([1], 100) };
        let said = other.statement(&head_at(&genesis), &said).unwrap();
        let last = other.statement(&head_at(&said), &allow([2], 100)).unwrap();
        scene.insert([genesis, said, last]);
    }
    let record = |slot: u32| &scene.records[slot as usize];
    let order: Vec<_> =
        scene.ledger.records_since(&Frontier::default()).into_iter().map(record).collect();
    assert_eq!(order.len(), 11);
    let restricts = |at: usize| {
        order[at].value().author == key(5).public() && order[at].value().kind == STATEMENT
    };
    assert!(order[0].value().kind == GENESIS && restricts(1));
    assert_eq!(scene.ledger.records_since(scene.ledger.frontier()).len(), 0);

    // Someone who has all but the last record of one feed gets that one.
    let held = Frontier::new(scene.ledger.frontier().heads().iter().map(|head| {
        if head.feed == scene.me.feed() { head_at(&scene.me.genesis(0).unwrap()) } else { *head }
    }));
    let lacking: Vec<_> = scene.ledger.records_since(&held);
    assert_eq!(lacking, [1]);
    assert_eq!(scene.ledger.id(1), record_id(record(1)));
}
