//! Stewards that vote twice and trainers that commit twice, and what keeps the others together.

use super::*;
use crate::id::RoundId;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn prevote(spec: &Signed<crate::run::RunSpec>, seed: u8, record: &[u8]) -> Signed<Vote> {
    let (run, record) = (id_of(spec), Some(RoundId::of(record)));
    Signed::sign(Vote { run, round: 1, attempt: 0, phase: Phase::Prevote, record }, &key(seed))
}

#[test]
fn both_votes_of_one_that_votes_twice_are_counted_each_for_its_record() {
    let spec = run_of(&[1, 2, 3, 4]);
    let mut round = Round::new(spec.clone(), key(1), 0);
    let mut polkas = |vote: Signed<Vote>| {
        let effects = round.handle(1, Input::Message(Box::new(RunMessage::Vote(vote))));
        let shown = |effect: Effect| match effect {
            Effect::Persist(Entry::Step { step: Step::Polka { votes }, .. }) => Some(votes.len()),
            _ => None,
        };
        effects.into_iter().find_map(shown)
    };
    // The liar's vote for the other record comes first, and is the one that the driver counts.
    assert_eq!(polkas(prevote(&spec, 4, b"other")), None);
    assert_eq!(polkas(prevote(&spec, 4, b"record")), None);
    assert_eq!(polkas(prevote(&spec, 2, b"record")), None);
    assert_eq!(polkas(prevote(&spec, 3, b"record")), Some(3), "three of four");
    assert_eq!(polkas(prevote(&spec, 3, b"record")), None, "once");
}

#[test]
fn where_nobody_votes_twice_the_driver_counts() {
    let spec = run_of(&[1, 2, 3, 4]);
    let mut round = Round::new(spec.clone(), key(1), 0);
    for seed in 2..=4 {
        let vote = RunMessage::Vote(prevote(&spec, seed, b"record"));
        let effects = round.handle(1, Input::Message(Box::new(vote)));
        let polka = |effect: &Effect| {
            matches!(effect, Effect::Persist(Entry::Step { step: Step::Polka { .. }, .. }))
        };
        assert!(!effects.iter().any(polka));
    }
}

#[test]
fn the_second_commit_of_a_trainer_is_kept_for_all_to_see() {
    let spec = run_of(&[1]);
    let mut round = Round::new(spec.clone(), key(1), 0);
    let tip = round.tip().clone();
    let commit = |used: u64| {
        let mut made = made_up(&tip);
        made.data.used = used;
        let commit = UpdateCommit {
            run: id_of(&spec),
            round: 1,
            base: tip.id,
            update: made.update,
            update_bytes: made.update_bytes,
            norm: made.norm,
            data: made.data,
            invitation: None,
            trace: None,
        };
        Signed::sign(commit, &key(2))
    };
    let mut effects =
        |used: u64| round.handle(0, Input::Message(Box::new(RunMessage::Commit(commit(used)))));
    assert!(effects(1).iter().any(|effect| matches!(effect, Effect::Check { .. })));
    let second = effects(2);
    assert!(
        second.iter().any(|effect| *effect == Effect::Keep(commit(2).bytes().to_vec())),
        "{second:?}"
    );
    assert!(effects(2).is_empty() && effects(3).is_empty(), "one more, and no third");
}
