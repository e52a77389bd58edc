//! Changes of the stewards: by motion, and because one of them lied.

use super::*;
use crate::key::PublicKey;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

/// Four stewards, a trainer that joins when it is told to, and an onlooker, numbered from 1.
fn six() -> Vec<Node> {
    let spec = run_of(&[1, 2, 3, 4]);
    (1..=6).map(|seed| Node::new(&spec, seed)).collect()
}

fn all_move(nodes: &mut [Node], who: &[usize], what: What) {
    for at in who {
        let said = nodes[*at].give(0, Input::Move(what));
        settle(nodes, 0, said);
    }
}

fn train(nodes: &mut [Node]) {
    let said = nodes[4].give(0, Input::Participate { joined: true, said_ms: 1 });
    settle(nodes, 0, said);
}

fn stewards(nodes: &[Node]) -> Vec<Vec<PublicKey>> {
    nodes.iter().map(|node| node.round.tip().roster.stewards().to_vec()).collect()
}

#[test]
fn three_of_four_stewards_change_who_they_are() {
    let mut nodes = six();
    let new = key(6).public();
    all_move(&mut nodes, &[0, 1, 2], What::Appoint(new));
    train(&mut nodes);
    assert!(nodes.iter().all(|node| node.round.is_finished()));
    let ends = stewards(&nodes);
    assert!(ends.iter().all(|end| end.len() == 5 && end.contains(&new)), "{ends:?}");
    assert!(nodes[5].round.is_steward());
    let signed = |at: usize| {
        let precommits = &nodes[0].certified[at].precommits;
        (precommits.len(), precommits.iter().any(|precommit| precommit.steward == new))
    };
    assert!(!signed(0).1, "it had no vote in the round that appointed it");
    assert!((1..3).all(|at| signed(at).0 >= 4), "more than two thirds of five");
    // Whoever starts again from its journal is where it was.
    for (seed, node) in (1u8..).zip(&nodes) {
        let again = Round::restore(node.round.spec().clone(), key(seed), node.journal.clone(), 0);
        assert_eq!(again.tip(), node.round.tip());
    }
}

#[test]
fn two_of_four_are_too_few_and_what_was_overtaken_is_void() {
    let mut nodes = six();
    all_move(&mut nodes, &[0, 1], What::Appoint(key(6).public()));
    all_move(&mut nodes, &[0, 1, 2, 3], What::Remove(key(7).public()));
    train(&mut nodes);
    let ends = stewards(&nodes);
    assert!(ends.iter().all(|end| end.len() == 4), "{ends:?}");
    let removed = nodes[5].round.tip().roster.member(&key(7).public()).map(|m| m.removed);
    assert_eq!(removed, Some(true));
    assert_eq!(nodes[0].round.motions().count(), 0, "moved for the roster before: void");
}

#[test]
fn a_stranger_moves_nothing() {
    let mut nodes = six();
    assert!(nodes[5].give(0, Input::Move(What::Appoint(key(6).public()))).is_empty());
    let motion =
        Motion { run: nodes[0].round.run(), serial: 0, what: What::Appoint(key(6).public()) };
    let motion = RunMessage::Motion(Signed::sign(motion, &key(6)));
    nodes[0].give(0, Input::Message(Box::new(motion)));
    assert_eq!(nodes[0].round.motions().count(), 0);
}

fn vote(nodes: &[Node], record: &[u8], seed: u8) -> Signed<Vote> {
    let (run, record) = (nodes[0].round.run(), Some(crate::RoundId::of(record)));
    let vote = Vote { run, round: 1, attempt: 0, phase: Phase::Prevote, record };
    Signed::sign(vote, &key(seed))
}

#[test]
fn a_steward_that_says_two_things_is_one_no_longer() {
    let mut nodes = six();
    let lies = [b"one", b"two"].map(|record| RunMessage::Vote(vote(&nodes, record, 4)));
    // Only one of the honest hears both.
    let mut said = Vec::new();
    for lie in lies {
        said.extend(nodes[0].give(0, Input::Message(Box::new(lie))));
    }
    assert!(said.iter().any(|message| matches!(message, RunMessage::Evidence(..))));
    let kept = nodes[0].journal.iter().any(|entry| matches!(entry, Entry::Evidence(_)));
    assert!(kept, "the proof outlives a crash");
    settle(&mut nodes[..3], 0, said);
    let mut honest = nodes;
    let liar = honest.remove(3);
    assert!(liar.round.is_steward());
    let said = honest[3].give(0, Input::Participate { joined: true, said_ms: 1 });
    settle(&mut honest, 0, said);
    assert!(honest.iter().all(|node| node.round.is_finished()));
    let ends = stewards(&honest);
    assert!(ends.iter().all(|end| end.len() == 3 && !end.contains(&key(4).public())));
    let change = honest[0].certified[0].record.parts.changes[0];
    assert_eq!(change.what, What::Dismiss(key(4).public()));
    assert_eq!(change.cause, Cause::Equivocation);
}

#[test]
fn evidence_shows_one_signer_and_one_place() {
    let nodes = six();
    let run = nodes[0].round.run();
    let pair = |one: &Signed<Vote>, other: &Signed<Vote>| {
        Equivocation::open(&Equivocation::votes(one.bytes(), other.bytes()).to_bytes(), run)
    };
    let (one, two) = (vote(&nodes, b"one", 4), vote(&nodes, b"two", 4));
    assert_eq!(pair(&one, &two).map(|(of, _)| of), Ok(key(4).public()));
    let agree = Err(EquivocationError::Agree);
    assert_eq!(pair(&one, &one), agree);
    assert_eq!(pair(&one, &vote(&nodes, b"two", 3)), agree, "of two signers");
    let later = Vote { attempt: 1, ..two.value().clone() };
    assert_eq!(pair(&one, &Signed::sign(later, &key(4))), agree, "of two attempts");
    let bytes = Equivocation::votes(one.bytes(), two.bytes()).to_bytes();
    let elsewhere = Equivocation::open(&bytes, crate::RunId::of(b"another run"));
    assert_eq!(elsewhere, agree, "of another run");
}

#[test]
fn a_change_needs_the_proof_that_the_record_names() {
    let nodes = six();
    let (run, roster) = (nodes[0].round.run(), &nodes[0].round.tip().roster);
    let what = What::Appoint(key(6).public());
    let motion = |seed, serial, what| Signed::sign(Motion { run, serial, what }, &key(seed));
    let change = |proof: &[u8]| Change { what, cause: Cause::Motion, proof: FileHash::of(proof) };
    let verify = |motions: &[Signed<Motion>]| {
        let proof = Resolution::new(motions).to_bytes();
        change(&proof).verify(run, roster, &proof)
    };
    let good = [1, 2, 3].map(|seed| motion(seed, 0, what));
    assert_eq!(verify(&good), Ok(()));
    let few = ChangeError::Quorum { motions: 2, stewards: 4 };
    assert_eq!(verify(&good[..2]), Err(few));
    let twice = [good[0].clone(), good[0].clone(), good[1].clone()];
    assert_eq!(verify(&twice), Err(ChangeError::Unlike));
    let strange = [good[0].clone(), good[1].clone(), motion(6, 0, what)];
    assert_eq!(verify(&strange), Err(ChangeError::Unlike));
    let void = [1, 2, 3].map(|seed| motion(seed, 1, what));
    assert_eq!(verify(&void), Err(ChangeError::Unlike), "moved for another roster");
    let other = [1, 2, 3].map(|seed| motion(seed, 0, What::Dismiss(key(1).public())));
    assert_eq!(verify(&other), Err(ChangeError::Unlike), "they moved something else");
    let proof = Resolution::new(&good).to_bytes();
    assert_eq!(change(b"other").verify(run, roster, &proof), Err(ChangeError::Other));
    let lie = Change { cause: Cause::Equivocation, ..change(&proof) };
    assert_eq!(lie.verify(run, roster, &proof), Err(ChangeError::Unlike));
}
