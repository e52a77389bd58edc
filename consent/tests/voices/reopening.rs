//! Taking back: by likeness, of collections, in somebody's name, and what is said again of it.

use std::collections::{BTreeMap, BTreeSet};

use consent::payload::Delegation;
use consent::{
    Behalf, CodeKind, Collection, Marks, Reopener, Reopening, Restriction, Statement, Subject, Use,
    Value, Work,
};
use protocol::limits::{PASSAGE_WORKS_MAX, SIMILAR_PER_FEED_MAX};
use protocol::{ContentId, FileHash, PublicKey, RecordId};

use crate::scene::*;

/// A scene that remembers what was said.
#[derive(Default)]
struct Said {
    scene: Scene,
    statements: BTreeMap<RecordId, Statement>,
}

impl Said {
    fn state(&mut self, voice: &mut Voice, statement: &Statement) -> RecordId {
        let id = self.scene.state(voice, statement);
        self.statements.insert(id, statement.clone());
        id
    }

    fn deny(&mut self, voice: &mut Voice, subjects: &[Subject]) -> RecordId {
        let deny = Statement::deny(&[USE]).over_subjects(subjects.iter().cloned()).remove(0);
        self.state(voice, &deny)
    }

    fn plan(&self, who: Reopener, subjects: &[Subject]) -> Reopening {
        let subjects: BTreeSet<Subject> = subjects.iter().cloned().collect();
        let found = self.scene.ledger.restricting(who, &subjects, &[USE]);
        let statement = |it: Restriction| (it, self.statements[&it.record].clone());
        let found: BTreeMap<_, _> = found.into_iter().map(statement).collect();
        Reopening::of(who, &found, &subjects, &[USE])
    }

    /// Signs what takes the restrictions on these subjects back; returns what was lifted.
    fn reopen(&mut self, voice: &mut Voice, subjects: &[Subject]) -> Vec<RecordId> {
        let plan = self.plan(own(voice), subjects);
        for statement in &plan.restated {
            self.state(voice, statement);
        }
        for record in &plan.lifted {
            self.scene.lift(voice, *record);
        }
        plan.lifted
    }
}

fn own(voice: &Voice) -> Reopener {
    Reopener { author: voice.author(), behalf: None }
}

fn code(n: u32) -> [u8; 32] {
    *work(n).as_bytes()
}

fn pdq(n: u32) -> Subject {
    Subject::Code(CodeKind::Pdq, code(n))
}

/// Fingerprints of text `n`, all its own.
fn prints(n: u64) -> Vec<u64> {
    (0..40).map(|at| n * 1_000 + at).collect()
}

/// A picture that looks like number `n`, with `bits` bits of its code turned.
fn picture(n: u32, bits: u32) -> Work {
    let mut code = code(n);
    (0..bits as usize).for_each(|bit| code[bit / 8] ^= 0x80 >> (bit % 8));
    let marks = Marks { codes: vec![(CodeKind::Pdq, code)], ..Marks::default() };
    Work { content: work(10_000 + n), marks: Some(Box::new(marks)) }
}

fn text(n: u64) -> Work {
    let marks = Marks { passages: prints(n), ..Marks::default() };
    Work { content: work(20_000 + n as u32), marks: Some(Box::new(marks)) }
}

#[test]
fn likeness_is_taken_back_and_the_others_stay() {
    let mut said = Said::default();
    let mut artist = said.scene.person(1);
    let all: Vec<Subject> =
        [1, 2].into_iter().map(pdq).chain([1, 2].map(|n| Subject::Passages(prints(n)))).collect();
    let no = said.deny(&mut artist, &all);
    let near = said.deny(
        &mut artist,
        &[Subject::Code(CodeKind::Pdq, {
            let mut near = code(3);
            near[0] ^= 1;
            near
        })],
    );
    for subject in [pdq(1), Subject::Passages(prints(1))] {
        said.reopen(&mut artist, &[subject]);
    }
    let refuses = |said: &Said, work: &Work| said.scene.answer(&open(), work).is_err();
    assert!(!refuses(&said, &picture(1, 0)) && !refuses(&said, &picture(1, 9)));
    assert!(!refuses(&said, &text(1)));
    assert!(refuses(&said, &picture(2, 9)) && refuses(&said, &text(2)));
    assert!(said.plan(own(&artist), &[pdq(1)]).lifted.is_empty(), "it is lifted already");
    // What is merely near may be about another work, and is found by the gate and named.
    assert_eq!(said.reopen(&mut artist, &[pdq(3)]), []);
    assert_eq!(said.scene.answer(&open(), &picture(3, 0)).unwrap_err().records, [near]);
    assert!(!said.plan(own(&artist), &[pdq(2)]).lifted.contains(&no), "it was said again");
}

#[test]
fn passages_that_a_subject_shares_with_others_are_not_theirs() {
    let mut said = Said::default();
    let mut artist = said.scene.person(1);
    let (mut one, mut other) = (prints(1), prints(2));
    one.extend(prints(3));
    other.extend(prints(3));
    let kept = said.deny(&mut artist, &[Subject::Passages(other)]);
    let gone = said.deny(&mut artist, &[Subject::Passages(one.clone())]);
    assert_eq!(said.reopen(&mut artist, &[Subject::Passages(one)]), [gone]);
    assert_eq!(said.scene.answer(&open(), &text(2)).unwrap_err().records, [kept]);
}

#[test]
fn a_collection_is_taken_back_whole_or_named() {
    let mut said = Said::default();
    let mut artist = said.scene.person(1);
    let mut works: Vec<ContentId> = (0..10).map(work).collect();
    works.sort();
    let root = protocol::merkle::root(works.iter().map(ContentId::as_bytes));
    let whole = Collection { root, count: 10, list: FileHash::of(b"list") };
    let no = said.deny(&mut artist, &[Subject::Collection(whole)]);
    said.scene.ledger.add_list(root, &works).expect("its list");
    let some = BTreeSet::from([work(1), work(2), work(99)]);
    let held = |said: &Said, who| -> Vec<(RecordId, u64)> {
        said.scene.ledger.restricting_collections(who, &some, &[USE]).into_iter().collect()
    };
    assert_eq!(held(&said, own(&artist)), vec![(no, 2)]);
    let stranger = said.scene.person(3);
    assert_eq!(held(&said, own(&stranger)), vec![], "it is not theirs to lift");
    assert_eq!(said.reopen(&mut artist, &[Subject::Content(work(1))]), []);
    assert_eq!(said.reopen(&mut artist, &[Subject::Collection(whole)]), [no]);
    assert_eq!(held(&said, own(&artist)), vec![]);
    assert!(said.scene.allows(&open(), 1));
}

/// What `by` says of these works in the name of `principal`, under this leave.
fn on_behalf(principal: PublicKey, delegation: RecordId, numbers: &[u32]) -> Statement {
    let behalf = Some(Behalf { principal, delegation });
    let deny = Statement::deny(&[USE]).over(numbers.iter().copied().map(work)).remove(0);
    Statement { behalf, ..deny }
}

#[test]
fn what_a_delegate_said_is_taken_back_and_said_again_as_ones_own() {
    let mut said = Said::default();
    let (mut artist, mut agent) = (said.scene.person(1), said.scene.person(3));
    let given: Delegation = leave(&agent);
    let leave = said.scene.delegate(&mut artist, &given);
    let of_artist = on_behalf(artist.author(), leave, &[1, 2]);
    let no = said.state(&mut agent, &of_artist);
    // A stranger's word in her name refuses, and is not hers to say again.
    let mut stranger = said.scene.person(5);
    let forged = said.state(&mut stranger, &on_behalf(artist.author(), leave, &[1, 3]));
    let plan = said.plan(own(&artist), &[Subject::Content(work(1))]);
    assert_eq!((plan.lifted, plan.restated[0].behalf), (vec![no], None));

    // The agent takes back its own word for her, and not hers.
    let hers = said.deny(&mut artist, &[Subject::Content(work(1))]);
    let for_her = Reopener { author: agent.author(), behalf: Some(artist.author()) };
    let plan = said.plan(for_her, &[Subject::Content(work(1))]);
    assert_eq!((plan.lifted, plan.restated[0].behalf), (vec![no], of_artist.behalf));
    assert!(said.plan(own(&agent), &[Subject::Content(work(1))]).lifted.is_empty());

    let mut lifted = said.reopen(&mut artist, &[Subject::Content(work(1))]);
    lifted.sort();
    let mut both = vec![no, hers];
    both.sort();
    assert_eq!(lifted, both);
    let denial = said.scene.answer(&open(), &work(1).into()).unwrap_err();
    assert_eq!(denial.records, [forged]);
    let denial = said.scene.answer(&open(), &work(2).into()).unwrap_err();
    assert_ne!(denial.records, [no], "said again by her");
}

#[test]
fn an_allow_that_does_not_count_is_not_said_again() {
    let mixed = |numbers: &[u32]| {
        let rules = vec![(Use::TrainOther, Value::Deny), (Use::Mine, Value::Allow)];
        let deny = Statement::deny(&[USE]).over(numbers.iter().copied().map(work)).remove(0);
        Statement { rules, not_after_ms: Some(FOREVER_MS), ..deny }
    };
    for doubted in [false, true] {
        let mut said = Said::default();
        let (mut artist, mut doubter) = (said.scene.person(1), said.scene.person(3));
        let no = said.state(&mut artist, &mixed(&[1, 2]));
        if doubted {
            said.scene.dispute(&mut doubter, no);
        }
        let plan = said.plan(own(&artist), &[Subject::Content(work(1))]);
        let allows = |statement: &&Statement| statement.not_after_ms.is_some();
        let kept = if doubted { 0 } else { 2 };
        assert_eq!(plan.restated.iter().filter(allows).count(), kept, "doubted: {doubted}");
        assert_eq!(plan.restated.len(), if doubted { 1 } else { 2 });
        assert!(plan.restated.iter().all(|statement| statement.check().is_ok()));
    }
    // Nor one that a stolen key said.
    let mut said = Said::default();
    let mut artist = said.scene.person(1);
    said.state(&mut artist, &mixed(&[1, 2]));
    said.scene.compromise(&mut artist, key(1).public(), 1);
    let plan = said.plan(own(&artist), &[Subject::Content(work(1))]);
    assert!(plan.restated.iter().all(|statement| statement.not_after_ms.is_none()));
}

#[test]
fn what_is_said_again_by_likeness_has_to_find_room() {
    let mut said = Said::default();
    let mut artist = said.scene.person(1);
    let feed = artist.me.feed();
    said.deny(&mut artist, &[pdq(1), pdq(2), Subject::Content(work(1))]);
    said.deny(&mut artist, &[Subject::Content(work(2))]);
    let codes = |count: u32| {
        let subjects = (0..count).map(|n| Subject::Code(CodeKind::IsccText, code(n)));
        Statement::deny(&[USE]).over_subjects(subjects.chain([Subject::Content(work(3))]))
    };
    let max = SIMILAR_PER_FEED_MAX - 2;
    assert!(said.scene.ledger.has_room(&feed, &codes(max)));
    assert!(!said.scene.ledger.has_room(&feed, &codes(max + 1)));

    // A passage counts for the first so many statements that name it.
    let of = |n| Statement::deny(&[USE]).over_subjects([Subject::Passages(prints(n))]);
    for _ in 0..PASSAGE_WORKS_MAX - 1 {
        said.deny(&mut artist, &[Subject::Passages(prints(1))]);
    }
    let twice = [of(1), of(1)].concat();
    let room = |said: &Said, restated: &[Statement]| said.scene.ledger.has_room(&feed, restated);
    assert!(room(&said, &of(1)) && !room(&said, &twice) && room(&said, &of(2)));
    said.deny(&mut artist, &[Subject::Passages(prints(1))]);
    assert!(!room(&said, &of(1)));
    assert!(said.scene.answer(&open(), &text(1)).is_err());
    said.deny(&mut artist, &[Subject::Passages(prints(1))]);
    assert!(said.scene.answer(&open(), &text(1)).is_err(), "by what was said first");
    assert!(!room(&said, &of(1)), "and not by what is said now");
}
