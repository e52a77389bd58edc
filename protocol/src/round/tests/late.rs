//! Updates that miss their round.

use super::*;

/// A steward, a quick trainer and a slow one, whose training the test answers by hand.
struct Three {
    steward: Node,
    quick: Node,
    slow: Round,
}

impl Three {
    fn new() -> Self {
        let spec = run_of(&[1]);
        let slow = Round::new(spec.clone(), SecretKey::from_seed(&[3; 32]), 0);
        Self { steward: Node::new(&spec, 1), quick: Node::new(&spec, 2), slow }
    }

    /// The quick one trains and the steward certifies, up to the end of `round`, which the slow one hears.
    fn certify(&mut self, round: u64) -> Vec<Effect> {
        let mut said = Vec::new();
        let mut now_ms = 0;
        if round == 1 {
            said = self.quick.give(0, Input::Participate { joined: true, said_ms: 1 });
        }
        while self.steward.certified.len() < round as usize {
            for message in std::mem::take(&mut said) {
                said.extend(self.steward.give(now_ms, Input::Message(Box::new(message.clone()))));
            }
            now_ms += 50;
            said.extend(self.quick.give(now_ms, Input::Tick));
            let certificate = self.steward.certified.last().cloned();
            if let Some(certificate) = certificate.map(RunMessage::Certificate) {
                said.extend(self.quick.give(now_ms, Input::Message(Box::new(certificate))));
            }
        }
        let certificate = self.steward.certified[round as usize - 1].clone();
        self.slow.handle(now_ms, Input::Message(Box::new(RunMessage::Certificate(certificate))))
    }
}

fn trains(effects: &[Effect]) -> Option<(u64, Tip)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Train { round, base } => Some((*round, base.clone())),
        _ => None,
    })
}

fn commits(effects: &[Effect]) -> Vec<Signed<UpdateCommit>> {
    let commit = |effect: &Effect| match effect {
        Effect::Send(RunMessage::Commit(commit)) => Some(commit.clone()),
        _ => None,
    };
    effects.iter().filter_map(commit).collect()
}

#[test]
fn an_update_that_misses_its_round_counts_in_the_next_and_not_again() {
    let mut three = Three::new();
    let joined = three.slow.handle(0, Input::Participate { joined: true, said_ms: 1 });
    let (round, base) = trains(&joined).expect("it trains");
    assert_eq!(round, 1);
    let after = three.certify(1);
    assert!(trains(&after).is_none(), "what it is at may still count");
    let done = three.slow.handle(9, Input::Trained { round: 1, update: Some(made_up(&base)) });
    let late = commits(&done).remove(0);
    assert_eq!((late.value().round, late.value().base), (1, base.id));
    assert_eq!(trains(&done).map(|(round, _)| round), Some(2), "and goes on with the round");
    let message = RunMessage::Commit(late.clone());
    three.steward.give(0, Input::Message(Box::new(message.clone())));
    let tip = three.steward.round.tip().clone();
    if tip.round == 1 {
        three.certify(2);
    }
    let record = &three.steward.certified[1].record;
    let entry = record.accepted.iter().find(|entry| entry.trainer == late.signer());
    let entry = entry.expect("it counts");
    assert!(entry.late && entry.commit == commit_id(&late));
    let roster = &three.steward.round.tip().roster;
    let member = roster.member(&late.signer()).expect("a member by now");
    assert_eq!((member.late, member.accepted), (1, 1));
    assert!(!three.steward.round.tip().takes_late(&late), "once");
}

#[test]
fn a_commit_that_the_record_does_not_name_is_offered_to_the_next_round() {
    let mut three = Three::new();
    let joined = three.slow.handle(0, Input::Participate { joined: true, said_ms: 1 });
    let (_, base) = trains(&joined).expect("it trains");
    let done = three.slow.handle(1, Input::Trained { round: 1, update: Some(made_up(&base)) });
    let commit = commits(&done).remove(0);
    // Nobody hears it before the round is certified.
    let after = three.certify(1);
    assert_eq!(commits(&after), std::slice::from_ref(&commit));
    assert_eq!(trains(&after).map(|(round, _)| round), Some(2));
    // After a restart it is said again.
    let entries = [
        Entry::Participate { joined: true, said_ms: 1 },
        Entry::Commit(commit.bytes().to_vec()),
        Entry::Certificate(three.steward.certified[0].to_bytes()),
        Entry::Commit(commit.bytes().to_vec()),
    ];
    let key = SecretKey::from_seed(&[3; 32]);
    let mut again = Round::restore(three.slow.spec().clone(), key, entries, 0);
    let said = again.handle(10_000, Input::Tick);
    assert_eq!(commits(&said), [commit]);
}

#[test]
fn two_rounds_late_is_too_late() {
    let mut three = Three::new();
    let joined = three.slow.handle(0, Input::Participate { joined: true, said_ms: 1 });
    let (_, base) = trains(&joined).expect("it trains");
    three.certify(1);
    let after = three.certify(2);
    assert_eq!(trains(&after).map(|(round, _)| round), Some(3), "it is asked anew");
    let done = three.slow.handle(9, Input::Trained { round: 1, update: Some(made_up(&base)) });
    assert!(commits(&done).is_empty());
}

#[test]
fn what_was_found_of_a_late_commit_in_its_own_round_says_nothing_in_the_next() {
    let mut three = Three::new();
    let joined = three.slow.handle(0, Input::Participate { joined: true, said_ms: 1 });
    let (_, base) = trains(&joined).expect("it trains");
    let done = three.slow.handle(1, Input::Trained { round: 1, update: Some(made_up(&base)) });
    let commit = commits(&done).remove(0);
    three.certify(1);
    let message = Input::Message(Box::new(RunMessage::Commit(commit.clone())));
    let effects = three.steward.round.handle(9, message);
    let asked = effects.iter().any(|effect| matches!(effect, Effect::Check { .. }));
    assert!(asked, "by the new frontier");
    let (commit, tip) = (commit_id(&commit), three.steward.round.tip().clone());
    let judged = |round: &mut Round, base| {
        round.handle(10, Input::Checked { commit, base, verdict: Verdict::Good });
        let effects = round.handle(5_000, Input::Tick);
        effects.into_iter().any(|effect| matches!(effect, Effect::Build { .. }))
    };
    assert!(!judged(&mut three.steward.round, tip.prev), "an answer of the round before");
    assert!(judged(&mut three.steward.round, tip.id));
}
