//! Replicas agree: whatever the order, doubles, partitions and forks, one set of records gives one
//! answer; and nothing a thief of a daily key adds ever opens what was restricted.
//!
//! A case is a list of choices that a small world turns into records of every kind: an author with
//! two devices, another who is also her delegate and a witness, a stranger, and a thief with the
//! first author's first daily key and a root key of his own.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use consent::{
    ClaimState, Gate, Ledger, Policy, Replay, SetAside, Silence, Standing, TableSeed, Use,
};
use proptest::prelude::*;
use protocol::{FeedId, PublicKey, RecordId};

use world::*;

/// Every answer that a ledger can give about the works of the world.
fn answers(ledger: &Ledger) -> Vec<String> {
    let mut answers = Vec::new();
    let witnesses = vec![key(3).public()];
    for default in [Silence::OptIn, Silence::OptOut] {
        for (cooling_ms, now_ms) in [(0, 0), (30, 45), (0, 999), (0, 1_060), (0, 5_000)] {
            for allow_standing in [Standing::SelfAsserted, Standing::Registrar] {
                let policy = Policy {
                    default,
                    cooling_ms,
                    allow_ms_max: 4_000,
                    allow_standing,
                    witnesses: witnesses.clone(),
                    ..Policy::default()
                };
                let gate = Gate::new(ledger, &policy, now_ms);
                for (n, about) in (0..WORKS).flat_map(|n| USES.map(|about| (n, about))) {
                    let answer = gate.check(&work(n).into(), about, &SetAside::default());
                    answers.push(format!("{answer:?}"));
                }
            }
        }
    }
    answers.push(format!("{:?}", erased(ledger)));
    answers.push(format!("{:?}", ledger.frontier()));
    answers.push(format!("{:?}", ledger.forks().collect::<Vec<_>>()));
    answers
}

/// The records whose remarks are to be erased.
fn erased(ledger: &Ledger) -> BTreeSet<RecordId> {
    let ids = (0..ledger.len() as u32).map(|slot| ledger.id(slot));
    ids.filter(|id| ledger.is_erased(id)).collect()
}

/// Every claim that a ledger has about the works of the world.
fn claims(ledger: &Ledger) -> Vec<consent::Claim> {
    let policy = Policy::default();
    let gate = Gate::new(ledger, &policy, 0);
    let all = (0..WORKS).flat_map(|n| USES.map(|about| (n, about)));
    all.flat_map(|(n, about)| gate.claims(&work(n).into(), about)).collect()
}

/// Works and uses that some live claim holds back.
fn restricted(ledger: &Ledger) -> Vec<(u8, Use)> {
    let all = (0..WORKS).flat_map(|n| USES.map(|about| (n, about)));
    let policy = Policy::default();
    let gate = Gate::new(ledger, &policy, 0);
    let live = |(n, about): &(u8, Use)| {
        let claims = gate.claims(&work(*n).into(), *about);
        claims.iter().any(|claim| claim.value.restricts() && claim.state == ClaimState::Live)
    };
    all.filter(live).collect()
}

/// One direction of a reconciliation.
fn pull(to: &mut Ledger, from: &Ledger, world: &World) {
    for slot in from.records_since(to.frontier()) {
        let made = world.of_id(from.id(slot));
        to.insert(made.record.clone(), made.received_ms).expect("what is sent can be inserted");
        assert_eq!(to.held(), 0, "an order that can be inserted");
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
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn one_set_of_records_gives_one_answer(choices in choices(), seed: u64) {
        let world = World::of(&choices);
        let count = world.made.len();
        let mut in_order = Ledger::new();
        world.insert(&mut in_order, 0..count);
        prop_assert_eq!(in_order.len(), count);

        // Shuffled, with everything several times, as a reconcile waits for its branches.
        let mut turned = Ledger::asking(0, TableSeed([seed, !seed]));
        let mut digests = Vec::new();
        for turn in 0.. {
            digests.extend(world.insert(&mut turned, shuffled(count, seed ^ turn)));
            if turn > 0 && turned.len() == count {
                break;
            }
            prop_assert!(turn < 30);
        }
        prop_assert_eq!(turned.held(), 0);
        prop_assert_eq!(answers(&turned), answers(&in_order));

        // What was kept of each record makes the same ledger again.
        let mut replay = Replay::new(Ledger::new());
        for digest in &digests {
            prop_assert_eq!(replay.take(digest), Ok(()));
        }
        let replayed = replay.finish().expect("no record was there twice");
        prop_assert_eq!(answers(&replayed), answers(&in_order));

        // Two partitions, each with what happened to reach it in order, then reconciled.
        let (mut left, mut right) = (Ledger::new(), Ledger::new());
        for at in 0..count {
            let side = (seed >> (at % 64)) & 3;
            for (ledger, wanted) in [(&mut left, side != 1), (&mut right, side != 2)] {
                let record = &world.made[at].record;
                let fits = ledger.admits(record).is_ok();
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
        prop_assert!(left.records_since(right.frontier()).is_empty());
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
        world.insert(&mut thief_first, honest..count);
        for turn in 0..30 {
            world.insert(&mut thief_first, shuffled(count, seed ^ turn));
        }
        prop_assert_eq!(restricted(&thief_first), after.clone());

        // What is restricted is refused, whatever the policy and the time.
        for default in [Silence::OptIn, Silence::OptOut] {
            let policy =
                Policy { default, cooling_ms: 0, allow_ms_max: u64::MAX, ..Policy::default() };
            let gate = Gate::new(&ledger, &policy, 100);
            for (n, about) in &after {
                prop_assert!(gate.check(&work(*n).into(), *about, &SetAside::default()).is_err());
            }
        }
    }
}

/// Acts of [`World::step`]: mostly allows, leave, and words about both.
const GIVING: [u8; 16] = [0, 6, 6, 7, 8, 9, 12, 12, 13, 14, 14, 14, 15, 17, 22, 22];

/// The choices of one of the worlds that are counted.
fn listed(turn: u32, seed: &mut u64) -> Vec<Choice> {
    let mut byte = || {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(97);
        (*seed >> 40) as u8
    };
    // In most worlds two people with a feed each, so that much happens in one feed.
    let mask = if turn.is_multiple_of(4) { u8::MAX } else { 2 };
    // And in most of them nothing forks.
    let span = if turn.is_multiple_of(3) { 255 } else { 200 };
    (0..26)
        .map(|_| (byte() & mask, byte() % span, byte(), byte()))
        .map(|(device, parent, act, detail)| {
            // In half of the worlds more is given than refused, so that it shows what counts.
            let act =
                if turn.is_multiple_of(2) { act } else { GIVING[usize::from(act) % GIVING.len()] };
            Choice { device, parent, act, detail }
        })
        .collect()
}

#[test]
fn the_world_reaches_what_it_is_for() {
    // The properties mean little if their cases never fork, lift or rotate.
    let mut seed = 1u64;
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for turn in 0..1_200u32 {
        let list = listed(turn, &mut seed);
        let world = World::of(&list);
        let mut ledger = Ledger::new();
        world.insert(&mut ledger, 0..world.made.len());
        *seen.entry("forks").or_default() += ledger.forks().count();
        *seen.entry("remarks to erase").or_default() += erased(&ledger).len();
        let gate_policy =
            Policy { witnesses: vec![key(3).public()], cooling_ms: 0, ..Policy::default() };
        for claim in claims(&ledger) {
            let name = match (claim.state, claim.value.restricts()) {
                (ClaimState::Live, true) => "live restrictions",
                (ClaimState::Live, false) => "live allows",
                (ClaimState::Lifted, true) => "lifted restrictions",
                (ClaimState::Lifted, false) => "lifted allows",
                (ClaimState::Void, _) => "void allows",
            };
            *seen.entry(name).or_default() += 1;
            for name in world.reached(&claim) {
                *seen.entry(name).or_default() += 1;
            }
        }
        // Words of witnesses and doubters that change an answer.
        let without = Policy { witnesses: vec![], ..gate_policy.clone() };
        let strict = Policy { allow_standing: Standing::Registrar, ..gate_policy.clone() };
        let looks = |policy: &Policy| -> Vec<bool> {
            let gate = Gate::new(&ledger, policy, 100);
            let all = (0..WORKS).flat_map(|n| USES.map(|about| (n, about)));
            all.map(|(n, about)| gate.check(&work(n).into(), about, &SetAside::default()).is_ok())
                .collect()
        };
        *seen.entry("attestations that open").or_default() +=
            looks(&strict).into_iter().filter(|open| *open).count();
        let settled = looks(&gate_policy);
        *seen.entry("disputes that a witness settled").or_default() += looks(&without)
            .iter()
            .zip(&settled)
            .filter(|(without, with)| !*without && **with)
            .count();
    }
    let named = [
        "forks",
        "remarks to erase",
        "live restrictions",
        "live allows",
        "lifted restrictions",
        "lifted allows",
        "void allows",
        "delegations that count",
        "delegations revoked",
        "allows healed by a reconcile",
        "allows that no reconcile healed",
        "disputed allows",
        "attested allows",
        "attestations that open",
        "disputes that a witness settled",
    ];
    println!("{seen:?}");
    for name in named {
        assert!(seen.get(name).is_some_and(|count| *count > 20), "{name}: {seen:?}");
    }
}

#[test]
fn the_author_key_is_the_identity() {
    let author: PublicKey = key(1).public();
    let mut ledger = Ledger::new();
    World::of(&[Choice { device: 0, parent: 0, act: 0, detail: 0 }]).insert(&mut ledger, [0]);
    assert_eq!(ledger.feeds_of(author).collect::<Vec<_>>(), [FeedId { author, feed: 0 }]);
    assert_eq!(ledger.feeds_of(key(3).public()).count(), 0);
}
