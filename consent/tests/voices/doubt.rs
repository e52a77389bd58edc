//! Forks, and what joins the branches again.

use std::collections::BTreeSet;

use consent::{
    ClaimState, Gate, Identity, InsertError, Ledger, Policy, Record, head_at, record_id,
};
use proptest::prelude::*;
use protocol::{RecordId, Signed};

use crate::scene::*;

#[test]
fn a_reconcile_gives_what_follows_it_full_power_and_nothing_before() {
    let mut scene = Scene::default();
    let mut me = scene.person(1);
    let before = scene.state(&mut me, &allow(1));
    let other = scene.fork(&mut me);
    let between = scene.state(&mut me, &allow(2));
    assert_eq!(scene.state_of(1, before), ClaimState::Live);
    assert_eq!(scene.state_of(2, between), ClaimState::Void);
    scene.reconcile(&mut me, &[other]);
    assert_eq!(scene.state_of(2, between), ClaimState::Void, "nothing joined it yet");
    let after = scene.state(&mut me, &allow(3));
    assert_eq!(scene.state_of(3, after), ClaimState::Live);
    // So a refusal can be taken back again.
    let denied = scene.state(&mut me, &deny(4));
    scene.lift(&mut me, denied);
    assert!(scene.allows(&open(), 4));
    assert!(!scene.allows(&open(), 9_002), "restrictions of every branch stay");
}

#[test]
fn a_later_branch_brings_doubt_back() {
    let mut scene = Scene::default();
    let mut me = scene.person(1);
    let start = me.clone();
    let other = scene.fork(&mut me);
    scene.reconcile(&mut me, &[other]);
    let healed = scene.state(&mut me, &allow(1));
    let mut branch = me.clone();
    let late = scene.state(&mut me, &allow(2));
    assert_eq!(scene.state_of(2, late), ClaimState::Live);

    // Beside the healed branch: from there on there is doubt.
    let beside = scene.state(&mut branch, &allow(3));
    assert_eq!(scene.state_of(1, healed), ClaimState::Live);
    assert_eq!(scene.state_of(2, late), ClaimState::Void);
    assert_eq!(scene.state_of(3, beside), ClaimState::Void);

    // From before the reconcile, unknown to it: all is in doubt again.
    let mut old = start;
    scene.state(&mut old, &deny(9_003));
    assert_eq!(scene.state_of(1, healed), ClaimState::Void);

    // A reconcile of everything heals again.
    let ends: Vec<RecordId> = vec![record_at(&old), record_at(&branch)];
    scene.reconcile(&mut me, &ends);
    let said = scene.state(&mut me, &allow(4));
    assert_eq!(scene.state_of(4, said), ClaimState::Live);
}

fn record_at(voice: &Voice) -> RecordId {
    voice.head.head
}

#[test]
fn a_reconcile_that_leaves_a_branch_out_heals_nothing() {
    let mut scene = Scene::default();
    let mut me = scene.person(1);
    let (mut second, mut third) = (me.clone(), me.clone());
    scene.state(&mut me, &deny(1));
    let two = scene.state(&mut second, &deny(2));
    scene.state(&mut third, &deny(3));
    scene.reconcile(&mut me, &[two]);
    let said = scene.state(&mut me, &allow(4));
    assert_eq!(scene.state_of(4, said), ClaimState::Void);
}

#[test]
fn a_reconcile_names_shorter_branches_of_its_feed_that_are_here() {
    let mut scene = Scene::default();
    let mut me = scene.person(1);
    let stranger = scene.person(3);
    let mut other = me.clone();
    scene.state(&mut me, &deny(1));
    scene.state(&mut other, &deny(2));
    let short = me.me.reconcile(&me.head, [RecordId::of(b"not here")]).expect("signed");
    assert_eq!(scene.insert(short), Err(InsertError::Heads));
    let foreign = me.me.reconcile(&me.head, [stranger.head.head]).expect("signed");
    assert_eq!(scene.insert(foreign), Err(InsertError::Heads));
    // A branch as long as the reconcile's own is too long.
    scene.state(&mut other, &deny(3));
    let longer = me.me.reconcile(&me.head, [record_at(&other)]).expect("signed");
    assert_eq!(scene.insert(longer), Err(InsertError::Heads));
    let from_other = other.me.reconcile(&other.head, [record_at(&me)]).expect("signed");
    scene.take(&mut other, from_other);
    // The daily key joins nothing.
    let daily = Identity::rotated(me.me.feed(), key(1), key(1));
    let by_daily = daily.reconcile(&other.head, [record_at(&me)]).expect("signed");
    assert!(matches!(scene.insert(by_daily), Err(InsertError::NeedsRoot(..))));
}

#[test]
fn a_reconcile_by_a_retired_root_key_heals_nothing() {
    let mut scene = Scene::default();
    let mut me = scene.person(1);
    let other = scene.fork(&mut me);
    let joined = scene.reconcile(&mut me, &[other]);
    let place = scene.ledger.held_record(&joined).expect("held").seq;
    let said = scene.state(&mut me, &allow(1));
    assert_eq!(scene.state_of(1, said), ClaimState::Live);
    // From the reconcile on the root key was in the wrong hands.
    scene.compromise(&mut me, key(2).public(), place);
    assert_eq!(scene.state_of(1, said), ClaimState::Void);
}

#[test]
fn one_that_is_not_heeded_does_not_hide_an_earlier_one() {
    let mut scene = Scene::default();
    let mut me = scene.person(1);
    let other = scene.fork(&mut me);
    scene.reconcile(&mut me, &[other]);
    let again = scene.reconcile(&mut me, &[other]);
    let place = scene.ledger.held_record(&again).expect("held").seq;
    let said = scene.state(&mut me, &allow(1));
    scene.compromise(&mut me, key(2).public(), place);
    assert_eq!(scene.state_of(1, said), ClaimState::Live, "the first is as good as before");
}

/// One choice: after which record comes the next, and of what kind it is.
#[derive(Debug, Clone, Copy)]
struct Step {
    parent: u8,
    act: u8,
    pick: u8,
}

/// A record of the history with what it builds on.
struct Node {
    record: Signed<Record>,
    /// Itself, and everything before it through predecessors and reconciles.
    builds_on: BTreeSet<usize>,
    /// The work that it allows, if it does.
    allows: Option<u32>,
}

fn history(steps: &[Step]) -> Vec<Node> {
    let me = Identity::new(key(1), key(2), 0);
    let genesis = me.genesis(0).expect("genesis");
    let mut nodes = vec![Node { record: genesis, builds_on: BTreeSet::from([0]), allows: None }];
    for step in steps {
        let at = nodes.len();
        // Mostly the newest record, sometimes any.
        let parent = if step.parent < 150 { at - 1 } else { usize::from(step.pick) % at };
        let head = head_at(&nodes[parent].record);
        let mut builds_on = nodes[parent].builds_on.clone();
        builds_on.insert(at);
        let others: Vec<usize> = (0..at)
            .filter(|other| !builds_on.contains(other))
            .filter(|other| nodes[*other].record.value().seq <= head.seq)
            .filter(|other| step.pick & 3 != 0 || *other % 2 == 0)
            .collect();
        if step.act < 90 && !others.is_empty() {
            let heads = others.iter().map(|other| record_id(&nodes[*other].record));
            let record = me.reconcile(&head, heads).expect("a reconcile");
            if nodes.iter().any(|node| node.record == record) {
                continue;
            }
            for other in others {
                builds_on.extend(nodes[other].builds_on.clone());
            }
            nodes.push(Node { record, builds_on, allows: None });
        } else {
            let work = at as u32;
            let record = me.statement(&head, &allow(work)).expect("an allow");
            nodes.push(Node { record, builds_on, allows: Some(work) });
        }
    }
    nodes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12_000, failure_persistence: None, ..Default::default() })]

    /// A record is in doubt exactly if the feed has another, at its place or before, on which it does
    /// not build. In any order of arrival.
    #[test]
    fn doubt_is_what_it_is_defined_to_be(
        steps in prop::collection::vec(
            (any::<u8>(), any::<u8>(), any::<u8>())
                .prop_map(|(parent, act, pick)| Step { parent, act, pick }),
            1..16,
        ),
        keys in prop::collection::vec(any::<u64>(), 17),
    ) {
        let nodes = history(&steps);
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        order.sort_by_key(|at| keys[*at]);
        let mut ledger = Ledger::new();
        // A reconcile whose branches are not here yet comes again.
        for _ in 0..nodes.len() {
            for at in &order {
                let _ = ledger.insert(nodes[*at].record.clone(), 0);
            }
            if ledger.len() == nodes.len() {
                break;
            }
        }
        prop_assert_eq!(ledger.len(), nodes.len());
        let policy = Policy::default();
        let gate = Gate::new(&ledger, &policy, 0);
        for node in &nodes {
            let Some(n) = node.allows else { continue };
            let seq = node.record.value().seq;
            let doubted = nodes.iter().enumerate().any(|(at, other)| {
                other.record.value().seq <= seq && !node.builds_on.contains(&at)
            });
            let state = gate.claims(&work(n).into(), USE)[0].state;
            let expected = if doubted { ClaimState::Void } else { ClaimState::Live };
            prop_assert_eq!(state, expected, "{:?} at {} of {:?}", state, seq, steps);
        }
    }
}
