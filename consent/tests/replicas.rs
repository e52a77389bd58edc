//! Replicas agree: whatever the order, doubles, partitions and forks, one set of records gives one
//! answer; and nothing a thief of a daily key adds ever opens what was restricted.
//!
//! A case is a list of choices that a small world turns into records: two authors with two devices
//! each, a stranger, and a thief with the first author's first daily key and a root key of his own.

use std::collections::BTreeMap;

use consent::payload::{GENESIS, KEY_ROTATION, LIFT, STATEMENT, root_commitment};
use consent::{
    ClaimState, Gate, Genesis, Ledger, Lift, Policy, Record, Rotation, Silence, Statement, Use,
    Value, record_id,
};
use proptest::prelude::*;
use protocol::{ContentId, FeedId, PublicKey, RecordId, SecretKey, Signed, codec};

const USES: [Use; 2] = [Use::TrainOther, Use::Evaluate];
const WORKS: u8 = 3;

/// One choice; its numbers are taken modulo whatever there is to choose from.
#[derive(Debug, Clone, Copy)]
struct Choice {
    device: u8,
    parent: u8,
    act: u8,
    detail: u8,
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let choice = (any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>());
    let choice =
        choice.prop_map(|(device, parent, act, detail)| Choice { device, parent, act, detail });
    prop::collection::vec(choice, 1..28)
}

/// A signed record, when it is received, and the keys in force after it.
#[derive(Clone)]
struct Made {
    record: Signed<Record>,
    received_ms: u64,
    daily: u8,
    root: u8,
}

#[derive(Default)]
struct World {
    made: Vec<Made>,
    feeds: BTreeMap<FeedId, Vec<usize>>,
    next_key: u8,
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn work(n: u8) -> ContentId {
    ContentId::of(&[n % WORKS])
}

/// Device: `(seed of the author's first key, feed, seed of the root key at birth)`.
const DEVICES: [(u8, u32, u8); 4] = [(1, 0, 2), (1, 1, 2), (3, 0, 4), (5, 0, 6)];
/// The thief holds key 1, not key 2: a new feed with his root, one with the true root's hash.
const THIEF_FEEDS: [(u8, u32, u8); 2] = [(1, 7, 99), (1, 8, 2)];

impl World {
    fn new() -> Self {
        Self { next_key: 100, ..Self::default() }
    }

    fn of(choices: &[Choice]) -> Self {
        let mut world = Self::new();
        for choice in choices {
            let (author, feed, root) = DEVICES[usize::from(choice.device) % DEVICES.len()];
            world.step(author, feed, root, *choice, false);
        }
        world
    }

    /// The same world with a thief at work: with the first author's first daily key he opens
    /// feeds and goes on wherever in the author's feeds that key is in force.
    fn robbed(&mut self, choices: &[Choice]) {
        let feeds = [THIEF_FEEDS[0], THIEF_FEEDS[1], DEVICES[0], DEVICES[1]];
        for choice in choices {
            let (author, feed, root) = feeds[usize::from(choice.device) % feeds.len()];
            self.step(author, feed, root, *choice, true);
        }
    }

    fn step(&mut self, author: u8, feed: u32, root: u8, choice: Choice, thief: bool) {
        let feed_id = FeedId { author: key(author).public(), feed };
        let held = self.feeds.get(&feed_id).cloned().unwrap_or_default();
        if held.is_empty() {
            let genesis = Genesis { root_commitment: root_commitment(&key(root).public()) };
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
        let (kind, payload, signer, keys) = match choice.act % 16 {
            0..6 => (STATEMENT, self.statement(Value::Deny, choice), daily, (daily, root)),
            6..10 => (STATEMENT, self.statement(Value::Allow, choice), daily, (daily, root)),
            10 => (STATEMENT, self.statement(Value::Constrained, choice), daily, (daily, root)),
            11 => ("delegation", vec![choice.detail], daily, (daily, root)),
            // A thief may lift and rotate under his own root only.
            _ if thief && root != THIEF_FEEDS[0].2 => return,
            12..15 => (LIFT, self.lift(choice), root, (daily, root)),
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

    fn fresh(&mut self) -> (u8, u8) {
        self.next_key += 2;
        (self.next_key, self.next_key + 1)
    }

    fn statement(&self, value: Value, choice: Choice) -> Vec<u8> {
        let about = USES[usize::from(choice.detail) % USES.len()];
        let statement = match value {
            Value::Allow => Statement::allow(&[about], 1_000 + u64::from(choice.detail % 3) * 50),
            _ => Statement { rules: vec![(about, value)], ..Statement::deny(&[about]) },
        };
        let works = [work(choice.act / 16), work(choice.detail / 4)];
        codec::encode(&statement.over(works)[0])
    }

    /// A lift of some record of anyone's, to see that only the author's own count.
    fn lift(&self, choice: Choice) -> Vec<u8> {
        let made = &self.made[usize::from(choice.detail) % self.made.len()];
        let second = &self.made[usize::from(choice.act / 16) % self.made.len()];
        let mut statements = vec![record_id(&made.record), record_id(&second.record)];
        statements.sort();
        statements.dedup();
        codec::encode(&Lift { statements })
    }

    fn add(
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
        let record = Record { author, feed, seq, prev, kind: kind.into(), payload };
        let record = Signed::sign(record, &key(signer));
        if self.made.iter().any(|made| made.record.id() == record.id()) {
            return;
        }
        self.feeds.entry(feed_id).or_default().push(self.made.len());
        let received_ms = 10 * (self.made.len() as u64 % 7);
        self.made.push(Made { record, received_ms, daily, root });
    }

    fn insert(&self, ledger: &mut Ledger, order: impl IntoIterator<Item = usize>) {
        for at in order {
            let made = &self.made[at % self.made.len()];
            ledger.insert(made.record.clone(), made.received_ms).expect("a valid record");
        }
    }

    fn received_ms(&self, id: RecordId) -> u64 {
        let made = self.made.iter().find(|made| record_id(&made.record) == id);
        made.expect("made here").received_ms
    }
}

/// Every answer that a ledger can give about the works of the world.
fn answers(ledger: &Ledger) -> Vec<String> {
    let mut answers = Vec::new();
    for default in [Silence::OptIn, Silence::OptOut] {
        for (cooling_ms, now_ms) in [(0, 0), (30, 45), (0, 999), (0, 1_060), (0, 5_000)] {
            let policy = Policy { default, cooling_ms, allow_ms_max: 4_000 };
            let gate = Gate::new(ledger, &policy, now_ms);
            for (n, about) in (0..WORKS).flat_map(|n| USES.map(|about| (n, about))) {
                answers.push(format!("{:?}", gate.check(work(n), about)));
            }
        }
    }
    answers.push(format!("{:?}", ledger.frontier()));
    answers.push(format!("{:?}", ledger.forks().collect::<Vec<_>>()));
    answers
}

/// Works and uses that some live claim holds back.
fn restricted(ledger: &Ledger) -> Vec<(u8, Use)> {
    let all = (0..WORKS).flat_map(|n| USES.map(|about| (n, about)));
    let live = |(n, about): &(u8, Use)| {
        ledger.claims(work(*n)).any(|claim| {
            claim.about == *about && claim.value.restricts() && claim.state == ClaimState::Live
        })
    };
    all.filter(live).collect()
}

/// One direction of a reconciliation, in parts of two records.
fn pull(to: &mut Ledger, from: &Ledger, world: &World) {
    let frontier = to.frontier();
    for at in (0..).step_by(2) {
        let part: Vec<_> = from.records_since(&frontier).skip(at).take(2).cloned().collect();
        if part.is_empty() {
            return;
        }
        for record in part {
            let received_ms = world.received_ms(record_id(&record));
            to.insert(record, received_ms).expect("what a ledger sends can be inserted");
            assert_eq!(to.held(), 0, "an order that can be inserted");
        }
    }
}

/// A permutation of `0..count` from a seed, by repeated choice.
fn shuffled(count: usize, mut seed: u64) -> Vec<usize> {
    let mut rest: Vec<usize> = (0..count).collect();
    let mut order = Vec::with_capacity(count);
    while !rest.is_empty() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.push(rest.swap_remove((seed >> 33) as usize % rest.len()));
    }
    order
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_048, failure_persistence: None, ..Default::default() })]

    #[test]
    fn one_set_of_records_gives_one_answer(choices in choices(), seed: u64) {
        let world = World::of(&choices);
        let count = world.made.len();
        let mut in_order = Ledger::new();
        world.insert(&mut in_order, 0..count);
        prop_assert_eq!(in_order.len(), count);

        // Shuffled, with everything twice.
        let mut shuffled_twice = Ledger::new();
        let twice = shuffled(count, seed).into_iter().chain(shuffled(count, !seed));
        world.insert(&mut shuffled_twice, twice);
        prop_assert_eq!(shuffled_twice.held(), 0);
        prop_assert_eq!(answers(&shuffled_twice), answers(&in_order));

        // Two partitions, each with what happened to reach it in order, then reconciled.
        let (mut left, mut right) = (Ledger::new(), Ledger::new());
        for at in 0..count {
            let side = (seed >> (at % 64)) & 3;
            for (ledger, wanted) in [(&mut left, side != 1), (&mut right, side != 2)] {
                let record = &world.made[at].record;
                let fits = record.value().prev.is_none_or(|prev| ledger.record(&prev).is_some());
                if wanted && fits {
                    world.insert(ledger, [at]);
                }
            }
        }
        for _ in 0..2 {
            pull(&mut left, &right, &world);
            pull(&mut right, &left, &world);
        }
        prop_assert_eq!(answers(&left), answers(&right));
        prop_assert_eq!(left.records_since(&right.frontier()).count(), 0);
        if left.len() == count {
            prop_assert_eq!(answers(&left), answers(&in_order));
        }
    }

    #[test]
    fn a_stolen_daily_key_opens_nothing(
        owners in choices(),
        thiefs in choices(),
        seed: u64,
    ) {
        let mut world = World::of(&owners);
        let mut ledger = Ledger::new();
        let honest = world.made.len();
        world.insert(&mut ledger, 0..honest);
        let before = restricted(&ledger);

        world.robbed(&thiefs);
        let count = world.made.len();
        world.insert(&mut ledger, (honest..count).chain(0..honest));
        let after = restricted(&ledger);
        prop_assert!(before.iter().all(|pair| after.contains(pair)), "{before:?} -> {after:?}");

        // And not by arriving first, either.
        let mut thief_first = Ledger::new();
        let order = (honest..count).chain(shuffled(count, seed));
        world.insert(&mut thief_first, order);
        prop_assert_eq!(restricted(&thief_first), after.clone());

        // What is restricted is refused, whatever the policy and the time.
        for default in [Silence::OptIn, Silence::OptOut] {
            let policy = Policy { default, cooling_ms: 0, allow_ms_max: u64::MAX };
            let gate = Gate::new(&ledger, &policy, 100);
            for (n, about) in &after {
                prop_assert!(gate.check(work(*n), *about).is_err());
            }
        }
    }
}

#[test]
fn the_world_reaches_what_it_is_for() {
    // The properties mean little if their cases never fork, lift or rotate.
    let mut seed = 1u64;
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..200 {
        let mut byte = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(97);
            (seed >> 40) as u8
        };
        let list: Vec<Choice> = (0..24)
            .map(|_| Choice { device: byte(), parent: byte(), act: byte(), detail: byte() })
            .collect();
        let world = World::of(&list);
        let mut ledger = Ledger::new();
        world.insert(&mut ledger, 0..world.made.len());
        *seen.entry("forks").or_default() += ledger.forks().count();
        for claim in (0..WORKS).flat_map(|n| ledger.claims(work(n)).collect::<Vec<_>>()) {
            let name = match (claim.state, claim.value.restricts()) {
                (ClaimState::Live, true) => "live restrictions",
                (ClaimState::Live, false) => "live allows",
                (ClaimState::Lifted, true) => "lifted restrictions",
                (ClaimState::Lifted, false) => "lifted allows",
                (ClaimState::Void, _) => "void allows",
            };
            *seen.entry(name).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
    assert!(seen.values().all(|count| *count > 20), "{seen:?}");
}

#[test]
fn the_author_key_is_the_identity() {
    let author: PublicKey = key(1).public();
    let mut ledger = Ledger::new();
    World::of(&[Choice { device: 0, parent: 0, act: 0, detail: 0 }]).insert(&mut ledger, [0]);
    assert_eq!(ledger.feeds_of(author).collect::<Vec<_>>(), [FeedId { author, feed: 0 }]);
    assert_eq!(ledger.feeds_of(key(3).public()).count(), 0);
}
