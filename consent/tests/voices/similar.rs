//! Works by their likeness: codes, passages, reach, and what beats a self-asserted likeness.

use consent::fingerprint::{Passages, passages};
use consent::work::Marks;
use consent::{
    CodeKind, DenialReason, Gate, Likeness, Match, Policy, SetAside, Standing, Statement, Subject,
    Work,
};
use protocol::RecordId;
use protocol::limits::{PASSAGE_WORKS_MAX, SUBJECTS_MAX};

use crate::scene::*;

/// A code of work `n`, with its first `bits` bits turned.
fn code(n: u32, bits: usize) -> [u8; 32] {
    let mut code = *work(n).as_bytes();
    for bit in 0..bits {
        code[bit / 8] ^= 0x80 >> (bit % 8);
    }
    code
}

fn looks(n: u32, kind: CodeKind, code: [u8; 32]) -> Work {
    let marks = Marks { codes: vec![(kind, code)], ..Marks::default() };
    Work { content: work(n), marks: Some(Box::new(marks)) }
}

fn like(n: u32) -> Work {
    looks(1_000 + n, CodeKind::Pdq, code(n, 2))
}

fn refusal(kind: CodeKind, n: u32) -> Statement {
    about(&Statement::deny(&[USE]), Subject::Code(kind, code(n, 0)))
}

#[test]
fn codes_are_alike_up_to_the_policys_distance_and_the_hit_names_its_own() {
    let mut scene = Scene::default();
    let mut artist = scene.person(1);
    for kind in CodeKind::ALL {
        scene.state(&mut artist, &refusal(kind, kind as u32));
    }
    for kind in CodeKind::ALL {
        let n = kind as u32;
        let limit = Likeness::default().distance_max(kind) as usize;
        for distance in [0, 1, limit - 1, limit] {
            let hit = scene.answer(&open(), &looks(99, kind, code(n, distance))).unwrap_err();
            let found = Match::Code { kind, distance: distance as u32 };
            assert_eq!((hit.found, hit.records.len()), (Some(found), 1));
            assert!(hit.to_string().contains(&format!("{distance} of 256 bits away")));
        }
        assert!(scene.answer(&open(), &looks(99, kind, code(n, limit + 1))).is_ok());
        // Codes of two kinds are never compared.
        for other in CodeKind::ALL.into_iter().filter(|other| *other != kind) {
            assert!(scene.answer(&open(), &looks(99, other, code(n, 0))).is_ok());
        }
    }
}

#[test]
fn each_kind_has_a_distance_of_its_own_in_the_policy() {
    let mut scene = Scene::default();
    let mut artist = scene.person(1);
    for kind in CodeKind::ALL {
        scene.state(&mut artist, &refusal(kind, kind as u32));
        let narrow = Likeness {
            pdq_distance_max: 5,
            image_distance_max: 6,
            text_distance_max: 7,
            audio_distance_max: 8,
            ..Likeness::default()
        };
        let policy = Policy { likeness: narrow, ..open() };
        let limit = 5 + kind as usize;
        let at = |distance| looks(99, kind, code(kind as u32, distance));
        assert!(scene.answer(&policy, &at(limit)).is_err());
        assert!(scene.answer(&policy, &at(limit + 1)).is_ok());
    }
}

#[test]
fn the_nearest_hit_is_told_and_exact_bytes_before_any() {
    let mut scene = Scene::default();
    let mut artist = scene.person(1);
    scene.state(&mut artist, &refusal(CodeKind::Pdq, 1));
    let codes = [9, 4, 20].map(|bits| (CodeKind::Pdq, code(1, bits))).to_vec();
    let marks = Marks { codes, ..Marks::default() };
    let turned = Work { content: work(99), marks: Some(Box::new(marks)) };
    let found = |scene: &Scene| scene.answer(&open(), &turned).unwrap_err().found;
    assert_eq!(found(&scene), Some(Match::Code { kind: CodeKind::Pdq, distance: 4 }));
    scene.state(&mut artist, &deny(99));
    assert_eq!(found(&scene), Some(Match::Content));
}

#[test]
fn a_blank_code_is_refused_where_it_is_said() {
    let mut scene = Scene::default();
    let artist = scene.person(1);
    for blank in [[0; 32], [0xff; 32]] {
        let blank = about(&Statement::deny(&[USE]), Subject::Code(CodeKind::Pdq, blank));
        assert!(artist.me.statement(&artist.head, &blank).is_err());
    }
}

const TEXT: &str = "There was once a lighthouse keeper who wrote down every ship that passed, its \
    name, its rig and the colour of its lamps, and who never told anyone what the list was for. \
    When the harbour closed he went on writing, as the ships went on passing, and the list grew \
    longer than the tower was high. In the end the wind took it, page by page, over the water, and \
    for years afterwards fishermen found the names of ships in their nets, and read them aloud, and \
    threw them back, as one does with what is too small. Nobody remembers the keeper now, but every \
    boat of that coast still carries a lamp of its own colour, and none of them knows why it does.";

fn reads(n: u32, prints: &Passages) -> Work {
    let marks = Marks { passages: prints.fingerprints().to_vec(), ..Marks::default() };
    Work { content: work(n), marks: Some(Box::new(marks)) }
}

#[test]
fn a_passage_inside_another_text_is_found_and_counted() {
    let mut scene = Scene::default();
    let mut writer = scene.person(1);
    let prints = passages(TEXT);
    let of = prints.fingerprints().len() as u32;
    let named = Subject::Passages(prints.fingerprints().to_vec());
    scene.state(&mut writer, &about(&Statement::deny(&[USE]), named));
    let whole = format!("{} {TEXT} {}", "before ".repeat(40), "after ".repeat(40));
    let hit = scene.answer(&open(), &reads(9, &passages(&whole))).unwrap_err();
    let Some(Match::Passages { shared, of: named }) = hit.found else { panic!("{hit:?}") };
    assert_eq!((named, shared), (of, of), "all of it");
    assert!(scene.answer(&open(), &reads(9, &passages(&"something else ".repeat(60)))).is_ok());

    // How many must be shared is the policy's to say.
    let part = passages(&TEXT[..TEXT.len() / 2]);
    let found = |passages_min| {
        let likeness = Likeness { passages_min, ..Likeness::default() };
        scene.answer(&Policy { likeness, ..open() }, &reads(9, &part)).is_err()
    };
    let shared = part.fingerprints().iter().filter(|p| prints.fingerprints().contains(p)).count();
    let shared = shared as u32;
    assert!(shared > 1 && shared < of, "{shared} of {of}");
    assert!(found(1) && found(shared) && !found(shared + 1));
}

#[test]
fn nobody_hides_a_work_by_registering_it_many_times() {
    let mut scene = Scene::default();
    let (mut artist, mut stranger) = (scene.person(1), scene.person(3));
    let prints = passages(TEXT);
    let refusal = about(&Statement::deny(&[USE]), Subject::Passages(prints.fingerprints().into()));
    let first = scene.state(&mut artist, &refusal);
    let mut words = Vec::new();
    for _ in 0..2 * PASSAGE_WORKS_MAX {
        words.push(scene.state(&mut stranger, &refusal));
    }
    // The stranger even takes all of it back.
    for word in words {
        scene.lift(&mut stranger, word);
    }
    let whole = format!("{} {TEXT}", "before it ".repeat(40));
    let hit = scene.answer(&open(), &reads(9, &passages(&whole))).unwrap_err();
    assert_eq!(hit.records, [first]);
    // A sentence that so many have registered is common wording.
    let sentence = passages(&TEXT[..TEXT.len() / 4]);
    assert!(!sentence.fingerprints().is_empty());
    assert!(scene.answer(&open(), &reads(9, &sentence)).is_ok());
}

/// A scene in which `count` statements of likeness stand, and works that look like the first.
fn flood(works: u32) -> (Scene, Voice, RecordId, Vec<Work>) {
    let mut scene = Scene::default();
    let mut artist = scene.person(1);
    let claim = scene.state(&mut artist, &refusal(CodeKind::Pdq, 1));
    let works = (0..works).map(|n| looks(100 + n, CodeKind::Pdq, code(1, 3))).collect();
    (scene, artist, claim, works)
}

fn reach(policy: Policy, reach_max: u32) -> Policy {
    Policy { likeness: Likeness { reach_max, ..policy.likeness }, ..policy }
}

fn refused(scene: &Scene, policy: &Policy, works: &[Work]) -> (usize, Vec<RecordId>) {
    let gate = Gate::new(&scene.ledger, policy, 10);
    let aside = gate.set_aside(works, USE);
    let refused = works.iter().filter(|work| gate.check(work, USE, &aside).is_err()).count();
    (refused, aside.records().copied().collect())
}

#[test]
fn a_self_asserted_likeness_reaches_so_far_and_a_witnessed_one_any_distance() {
    let (mut scene, _, claim, works) = flood(5);
    let mut witness = scene.person(3);
    let heeded = witness.author();
    let policy = |reach_max| reach(heeding(open(), [heeded]), reach_max);
    assert_eq!(refused(&scene, &policy(5), &works), (5, vec![]));
    assert_eq!(refused(&scene, &policy(4), &works), (0, vec![claim]));
    // The same work ten times is one work.
    let again: Vec<Work> = works[..4].iter().cycle().take(40).cloned().collect();
    assert_eq!(refused(&scene, &policy(4), &again), (40, vec![]));
    scene.attest(&mut witness, claim, Standing::Place);
    assert_eq!(refused(&scene, &policy(4), &works), (0, vec![claim]));
    scene.attest(&mut witness, claim, Standing::Registrar);
    assert_eq!(refused(&scene, &policy(4), &works), (5, vec![]));
}

#[test]
fn reach_counts_likeness_alone_and_only_claims_that_stand() {
    let (mut scene, mut artist, claim, works) = flood(5);
    // A refusal of the very bytes is never set aside, however many there are.
    let many = Statement::deny(&[USE]).over((100..105).map(work)).remove(0);
    let exact = scene.state(&mut artist, &many);
    let policy = reach(open(), 4);
    assert_eq!(refused(&scene, &policy, &works), (5, vec![claim]));
    scene.lift(&mut artist, exact);
    scene.lift(&mut artist, claim);
    assert_eq!(refused(&scene, &policy, &works), (0, vec![]));
    // An allow of likeness refuses nothing.
    let yes =
        about(&Statement::allow(&[USE], FOREVER_MS), Subject::Code(CodeKind::Pdq, code(1, 0)));
    scene.state(&mut artist, &yes);
    assert_eq!(refused(&scene, &reach(closed(), 4), &works), (0, vec![]));
}

#[test]
fn an_allow_and_a_dispute_together_reach_no_further_than_a_refusal() {
    let (mut scene, mut artist, claim, works) = flood(5);
    scene.lift(&mut artist, claim);
    let mut friend = scene.person(3);
    let code = Subject::Code(CodeKind::Pdq, code(1, 0));
    let yes = scene.state(&mut artist, &about(&Statement::allow(&[USE], FOREVER_MS), code));
    scene.dispute(&mut friend, yes);
    assert_eq!(refused(&scene, &reach(open(), 5), &works), (5, vec![]));
    assert_eq!(refused(&scene, &reach(open(), 4), &works), (0, vec![yes]));
}

#[test]
fn a_witnessed_allow_of_the_bytes_beats_a_self_asserted_likeness_and_nothing_else() {
    let mut scene = Scene::default();
    let (mut maker, mut rival, mut witness) = (scene.person(1), scene.person(3), scene.person(5));
    let policy = heeding(closed(), [witness.author()]);
    let painting = looks(1, CodeKind::Pdq, code(7, 4));
    let yes = scene.state(&mut maker, &allow(1));
    let likeness = scene.state(&mut rival, &refusal(CodeKind::Pdq, 7));
    let denial = scene.answer(&policy, &painting).unwrap_err();
    assert_eq!((denial.reason, denial.records), (DenialReason::Denied, vec![likeness]));

    scene.attest(&mut witness, yes, Standing::Place);
    assert!(scene.answer(&policy, &painting).is_err(), "not enough");
    let word = scene.attest(&mut witness, yes, Standing::Registrar);
    assert!(scene.answer(&policy, &painting).is_ok());
    assert!(scene.answer(&policy, &like(7)).is_err(), "another work that looks alike");
    // Not for another use, nor once the allow has ended.
    let other = consent::Use::Mine;
    let gate = Gate::new(&scene.ledger, &policy, FOREVER_MS);
    assert!(gate.check(&painting, USE, &SetAside::default()).is_err());
    assert!(gate.check(&painting, other, &SetAside::default()).is_err());

    // A likeness with a witness of its own stands, and so does a refusal of the very bytes.
    let standing = scene.attest(&mut witness, likeness, Standing::Registrar);
    assert!(scene.answer(&policy, &painting).is_err());
    scene.lift(&mut witness, standing);
    assert!(scene.answer(&policy, &painting).is_ok());
    let exact = scene.state(&mut rival, &deny(1));
    assert!(scene.answer(&policy, &painting).is_err());
    scene.lift(&mut rival, exact);
    assert!(scene.answer(&policy, &painting).is_ok());
    scene.lift(&mut witness, word);
    assert!(scene.answer(&policy, &painting).is_err());
}

#[test]
fn an_allow_by_likeness_or_collection_is_not_the_very_bytes() {
    let mut scene = Scene::default();
    let (mut maker, mut rival, mut witness) = (scene.person(1), scene.person(3), scene.person(5));
    let policy = heeding(closed(), [witness.author()]);
    let painting = looks(1, CodeKind::Pdq, code(7, 4));
    let subject = Subject::Code(CodeKind::Pdq, code(7, 0));
    let yes = scene.state(&mut maker, &about(&Statement::allow(&[USE], FOREVER_MS), subject));
    scene.attest(&mut witness, yes, Standing::Registrar);
    assert!(scene.answer(&policy, &painting).is_ok());
    scene.state(&mut rival, &refusal(CodeKind::Pdq, 7));
    assert!(scene.answer(&policy, &painting).is_err());
}

#[test]
fn a_work_of_which_less_is_known_is_found_less() {
    let mut scene = Scene::default();
    let mut artist = scene.person(1);
    scene.state(&mut artist, &refusal(CodeKind::Pdq, 7));
    assert!(scene.answer(&open(), &like(7)).is_err());
    assert!(scene.answer(&open(), &Work::from(like(7).content)).is_ok());
}

#[test]
fn unknown_subjects_and_kinds_decide_nothing() {
    let mut scene = Scene::default();
    let mut artist = scene.person(1);
    let odd = |n: u8| Subject::Unknown { kind: "smell".into(), value: vec![n; 32] };
    let statement = Statement::deny(&[USE]).over_subjects((0..5).map(odd)).remove(0);
    assert!(statement.subjects.len() < SUBJECTS_MAX);
    scene.state(&mut artist, &statement);
    assert!(scene.answer(&open(), &like(7)).is_ok());
    assert!(scene.allows(&open(), 1));
}
