//! Tests of the state machine with an executor in memory; the simulator has lossy networks and crashes.

mod changes;
mod late;
mod reports;
mod roster;
mod twice;

use std::collections::VecDeque;

use super::*;
use crate::envelope::Signed;
use crate::id::FileHash;
use crate::key::SecretKey;
use crate::run::tests::spec;

/// One node with its journal, and what it sent.
struct Node {
    round: Round,
    journal: Vec<Entry>,
    certified: Vec<Certificate>,
}

impl Node {
    fn new(spec: &Signed<crate::run::RunSpec>, seed: u8) -> Self {
        let round = Round::new(spec.clone(), SecretKey::from_seed(&[seed; 32]), 0);
        Self { round, journal: Vec::new(), certified: Vec::new() }
    }

    /// Handles one input and does what is asked, with results made up from hashes.
    fn give(&mut self, now_ms: u64, input: Input) -> Vec<RunMessage> {
        let mut sent = Vec::new();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.round.handle(now_ms, input) {
                inputs.extend(self.act(effect, &mut sent));
            }
        }
        sent
    }

    fn act(&mut self, effect: Effect, sent: &mut Vec<RunMessage>) -> Option<Input> {
        match effect {
            Effect::Persist(entry) => self.journal.push(entry),
            Effect::Send(message) => sent.push(message),
            Effect::Certified(certificate, _) => self.certified.push(*certificate),
            Effect::Train { round, base } => {
                return Some(Input::Trained { round, update: Some(made_up(&base)) });
            }
            Effect::Check { commit, base } => {
                let commit = commit_id(&commit);
                return Some(Input::Checked { commit, base: base.id, verdict: Verdict::Good });
            }
            Effect::Build { round, base, accepted, rejected, reports, changes, .. } => {
                let mut record = RoundRecord {
                    run: self.round.run(),
                    round,
                    prev: base.id,
                    model_in: base.model,
                    accepted,
                    rejected,
                    frontier: base.frontier,
                    model_out: FileHash::of(base.id.as_bytes()),
                    outer_out: base.outer,
                    step: None,
                    found: Findings { alike: vec![], reports },
                    parts: Parts { changes, roster: base.roster.id() },
                };
                record.parts.roster = base.roster.after(&record).expect("they fit").id();
                return Some(Input::Built { round, record: Some(Box::new(record)), unfit: vec![] });
            }
            Effect::Verify { record, .. } => {
                return Some(Input::Verified { record: record.id(), holds: Some(true) });
            }
            Effect::Audit { record, assignment, .. } => {
                return Some(Input::Audited(looked_at(&record, &assignment, 9_000)));
            }
            Effect::Keep(_) | Effect::Slices { .. } | Effect::CatchUp { .. } | Effect::Finish => {}
        }
        None
    }
}

fn made_up(base: &Tip) -> Trained {
    let hash = FileHash::of(b"made up");
    let policy = FileHash::of(&[0]);
    let data = DataCommit {
        used_root: hash,
        used: 5,
        excluded_root: hash,
        excluded: 0,
        frontier: base.frontier,
        policy,
    };
    Trained { update: hash, update_bytes: 10, norm: 1, data, trace: None }
}

/// What an auditor found: a loss of 10,000 before and of this after.
fn looked_at(record: &RoundRecord, assignment: &Assignment, after_micro: u64) -> Audited {
    let samples_root = FileHash::of(b"samples");
    let control_micro = assignment.control.as_ref().map(|_| 10_500);
    let holdout =
        Holdout { samples_root, samples: 3, before_micro: 10_000, after_micro, control_micro };
    Audited {
        round: record.round,
        record: record.id(),
        commit: assignment.update.commit,
        holdout: Some(holdout),
        retraining: None,
    }
}

/// An update of this trainer that counts.
pub(super) fn accepted(seed: u8, weight: u64, late: bool) -> Accepted {
    Accepted {
        commit: crate::CommitId::from_bytes([seed; 32]),
        trainer: SecretKey::from_seed(&[seed; 32]).public(),
        update: FileHash::of(&[seed]),
        norm: 1,
        weight,
        late,
        voucher: None,
    }
}

/// A record of `round` that says this, and nothing else.
pub(super) fn record_of(round: u64, accepted: &[Accepted], changes: &[Change]) -> RoundRecord {
    let hash = FileHash::of(b"made up");
    RoundRecord {
        run: crate::RunId::of(b"run"),
        round,
        prev: crate::RoundId::of(b"prev"),
        model_in: hash,
        accepted: accepted.to_vec(),
        rejected: vec![],
        frontier: hash,
        model_out: hash,
        outer_out: hash,
        step: None,
        found: Findings::default(),
        parts: Parts { changes: changes.to_vec(), roster: hash },
    }
}

fn run_of(stewards: &[u8]) -> Signed<crate::run::RunSpec> {
    let keys: Vec<_> =
        stewards.iter().map(|&seed| SecretKey::from_seed(&[seed; 32]).public()).collect();
    Signed::sign(spec(&keys), &SecretKey::from_seed(&[99; 32]))
}

/// Delivers everything to everyone until nobody has anything to say.
fn settle(nodes: &mut [Node], now_ms: u64, first: Vec<RunMessage>) {
    let mut waiting = VecDeque::from(first);
    while let Some(message) = waiting.pop_front() {
        for node in nodes.iter_mut() {
            waiting.extend(node.give(now_ms, Input::Message(Box::new(message.clone()))));
        }
    }
}

#[test]
fn one_steward_that_trains_alone_certifies_every_round() {
    let spec = run_of(&[1]);
    let mut node = Node::new(&spec, 1);
    node.give(0, Input::Participate { joined: true, said_ms: 1 });
    assert!(node.round.is_finished());
    assert_eq!(node.certified.len(), 3);
    for (at, certificate) in node.certified.iter().enumerate() {
        assert_eq!(certificate.record.round, at as u64 + 1);
        assert_eq!(certificate.check(spec.value(), &spec.value().stewards), Ok(()));
        let bytes = certificate.to_bytes();
        let opened = Certificate::open(&bytes, node.round.run());
        assert_eq!(opened.as_ref(), Ok(certificate));
    }
}

#[test]
fn a_vote_is_journaled_before_it_is_sent() {
    let spec = run_of(&[1]);
    let key = SecretKey::from_seed(&[1; 32]);
    let mut round = Round::new(spec, key, 0);
    let mut inputs = VecDeque::from([Input::Participate { joined: true, said_ms: 1 }]);
    let mut node = Node {
        round: Round::new(run_of(&[1]), SecretKey::from_seed(&[1; 32]), 0),
        journal: vec![],
        certified: vec![],
    };
    let mut votes = 0;
    while let Some(input) = inputs.pop_front() {
        let effects = round.handle(0, input);
        for (at, effect) in effects.iter().enumerate() {
            if matches!(effect, Effect::Send(RunMessage::Vote(_) | RunMessage::Proposal(_))) {
                votes += 1;
                let before = &effects[..at];
                assert!(
                    before.iter().any(|e| matches!(e, Effect::Persist(Entry::Step { .. }))),
                    "said before the step that made it was journaled"
                );
            }
        }
        for effect in effects {
            inputs.extend(node.act(effect, &mut Vec::new()));
        }
    }
    assert_eq!(votes, 9, "a proposal and two votes in each of three rounds");
}

#[test]
fn four_stewards_agree_and_an_onlooker_follows() {
    let spec = run_of(&[1, 2, 3, 4]);
    let mut nodes: Vec<Node> = (1..=5).map(|seed| Node::new(&spec, seed)).collect();
    let first = nodes[4].give(0, Input::Participate { joined: true, said_ms: 1 });
    settle(&mut nodes, 0, first);
    let ends: Vec<_> = nodes.iter().map(|node| node.round.tip().clone()).collect();
    assert!(nodes.iter().all(|node| node.round.is_finished()));
    assert!(ends.iter().all(|end| end == &ends[0]));
}

#[test]
fn a_steward_restored_from_any_prefix_of_its_journal_says_nothing_new() {
    let spec = run_of(&[1]);
    let mut node = Node::new(&spec, 1);
    let sent = node.give(0, Input::Participate { joined: true, said_ms: 1 });
    let said = |sent: &[RunMessage]| -> Vec<(u64, Phase, Option<crate::RoundId>)> {
        sent.iter()
            .filter_map(|message| match message {
                RunMessage::Vote(vote) => {
                    let vote = vote.value();
                    Some((vote.round, vote.phase, vote.record))
                }
                _ => None,
            })
            .collect()
    };
    let before = said(&sent);
    for kept in 0..node.journal.len() {
        let prefix = node.journal[..kept].to_vec();
        let key = SecretKey::from_seed(&[1; 32]);
        let round = Round::restore(spec.clone(), key, prefix, 0);
        let mut again = Node { round, journal: vec![], certified: vec![] };
        let sent = again.give(0, Input::Participate { joined: true, said_ms: 1 });
        for vote in said(&sent) {
            assert!(before.contains(&vote), "after {kept} entries it voted {vote:?}");
        }
    }
}

#[test]
fn a_round_waits_for_those_who_joined_and_not_for_those_who_fell_silent() {
    let spec = run_of(&[1]);
    let mut steward = Node::new(&spec, 1);
    let mut silent = Round::new(spec.clone(), SecretKey::from_seed(&[2; 32]), 0);
    let joined = silent.handle(0, Input::Participate { joined: true, said_ms: 1 });
    let word = joined.into_iter().find_map(|effect| match effect {
        Effect::Send(message) => Some(message),
        _ => None,
    });
    steward.give(0, Input::Message(Box::new(word.expect("it says that it joined"))));
    steward.give(0, Input::Participate { joined: true, said_ms: 1 });
    assert_eq!(steward.round.tip().round, 0, "it waits for the other");
    let mut now_ms = 0;
    while steward.round.tip().round == 0 {
        now_ms = steward.round.deadline().expect("a deadline").max(now_ms + 1);
        assert!(now_ms <= 1_000, "longer than the round's time");
        steward.give(now_ms, Input::Tick);
    }
    assert_eq!(now_ms, 1_000);
    assert!(steward.round.is_finished(), "later rounds do not wait for it");
}

#[test]
fn a_certificate_needs_more_than_two_thirds_and_no_strangers() {
    let spec = run_of(&[1]);
    let mut node = Node::new(&spec, 1);
    node.give(0, Input::Participate { joined: true, said_ms: 1 });
    let (run, good) = (node.round.run(), node.certified[0].clone());
    let opened = |certificate: &Certificate| Certificate::open(&certificate.to_bytes(), run);
    let checked = |certificate: &Certificate| {
        opened(certificate)?.check(spec.value(), &spec.value().stewards)
    };
    assert_eq!(checked(&good), Ok(()));
    let mut none = good.clone();
    none.precommits.clear();
    assert!(matches!(checked(&none), Err(CertificateError::Quorum { .. })));
    let vote =
        Vote { run, round: 1, attempt: 0, phase: Phase::Precommit, record: Some(good.record.id()) };
    let stranger = Signed::sign(vote, &SecretKey::from_seed(&[7; 32]));
    let mut strange = good.clone();
    strange.precommits = vec![Precommit {
        steward: stranger.signer(),
        signature: serde_bytes::ByteArray::new(*stranger.signature()),
    }];
    assert_eq!(checked(&strange), Err(CertificateError::Stranger));
    let mut twice = good.clone();
    twice.precommits.push(twice.precommits[0].clone());
    assert_eq!(opened(&twice), Err(CertificateError::Order));
    let mut later = good.clone();
    later.attempt = 1;
    assert!(matches!(opened(&later), Err(CertificateError::Vote(_))));
    let mut other = good;
    other.record.model_out = FileHash::of(b"other");
    assert!(matches!(opened(&other), Err(CertificateError::Vote(_))));
    assert!(is_quorum(3, 4) && !is_quorum(2, 3) && is_quorum(1, 1) && is_quorum(43, 64));
}

#[test]
fn records_that_nobody_has_take_no_room() {
    let spec = run_of(&[1, 2, 3, 4]);
    let stewards = &spec.value().stewards;
    let secret = |key: &crate::key::PublicKey| {
        let mut secrets = (1..=4).map(|seed| SecretKey::from_seed(&[seed; 32]));
        secrets.find(|secret| secret.public() == *key).expect("a steward")
    };
    let mut round = Round::new(spec.clone(), secret(&stewards[0]), 0);
    let propose = |attempt: u32, what: &[u8]| {
        // In round 1 the proposer of attempt 0 is the second steward.
        let proposer = secret(&stewards[(1 + attempt as usize) % 4]);
        let tip = Tip::start(id_of(&spec), spec.value());
        let accepted = Accepted {
            commit: crate::id::CommitId::of(what),
            trainer: proposer.public(),
            update: FileHash::of(what),
            norm: 1,
            weight: 1,
            late: false,
            voucher: None,
        };
        let (run, prev, model_in) = (id_of(&spec), tip.id, tip.model);
        let record = RoundRecord { run, prev, model_in, ..record_of(1, &[accepted], &[]) };
        Signed::sign(Proposal { attempt, proven: None, record }, &proposer)
    };
    let mut asked = |message: &Signed<Proposal>| {
        let effects =
            round.handle(1, Input::Message(Box::new(RunMessage::Proposal(message.clone()))));
        let verify = |effect: &Effect| matches!(effect, Effect::Verify { .. });
        let asked = effects.iter().any(verify);
        let missing = Input::Verified { record: message.value().record.id(), holds: None };
        let steps = round.handle(1, missing);
        assert!(!steps.iter().any(|e| matches!(e, Effect::Persist(Entry::Step { .. }))));
        asked
    };
    for n in 0..2 * crate::limits::PROPOSED_RECORDS_MAX {
        assert!(asked(&propose(0, &n.to_le_bytes())), "lie {n}");
    }
    assert!(asked(&propose(1, b"honest")), "the next one's proposal has room");
    assert!(asked(&propose(1, b"honest")), "and is taken again when it comes again");
}

fn id_of(spec: &Signed<crate::run::RunSpec>) -> crate::RunId {
    crate::run::run_id(spec)
}
