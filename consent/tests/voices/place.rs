//! Works by their maker, their place and their collection.

use consent::ledger::ListError;
use consent::terms::{Address, Place};
use consent::work::Marks;
use consent::{Behalf, Collection, Match, Policy, Standing, Statement, Subject, Use, Work};
use protocol::{ContentId, FileHash, PublicKey};

use crate::scene::*;

fn made_by(n: u32, makers: &[PublicKey]) -> Work {
    let marks = Marks { makers: makers.to_vec(), ..Marks::default() };
    Work { content: work(n), marks: Some(Box::new(marks)) }
}

fn found_at(n: u32, url: &str) -> Work {
    let addresses = vec![Address::parse(url).expect("a URL")];
    Work { content: work(n), marks: Some(Box::new(Marks { addresses, ..Marks::default() })) }
}

fn place(text: &str) -> Subject {
    Subject::Place(Place::parse(text).expect("a place"))
}

#[test]
fn of_all_that_somebody_makes_only_they_and_their_delegates_speak() {
    let mut scene = Scene::default();
    let (mut artist, mut collective, mut stranger) =
        (scene.person(1), scene.person(3), scene.person(5));
    let mine = Subject::Identity(artist.author());
    let refusal = about(&Statement::deny(&[USE]), mine);
    let theirs = made_by(1, &[artist.author()]);
    scene.state(&mut stranger, &refusal);
    assert!(scene.answer(&open(), &theirs).is_ok(), "a stranger's word");
    // Naming the artist, or a delegation that is another's, is no leave.
    let foreign = scene.delegate(&mut stranger, &leave(&collective));
    for (voice, delegation) in [(&mut stranger, foreign), (&mut collective, foreign)] {
        let behalf = Some(Behalf { principal: artist.author(), delegation });
        scene.state(voice, &Statement { behalf, ..refusal.clone() });
    }
    assert!(scene.answer(&open(), &theirs).is_ok());

    let given = scene.delegate(&mut artist, &leave(&collective));
    let behalf = Some(Behalf { principal: artist.author(), delegation: given });
    let spoken = scene.state(&mut collective, &Statement { behalf, ..refusal.clone() });
    let denial = scene.answer(&open(), &theirs).unwrap_err();
    assert_eq!((denial.records, denial.found), (vec![spoken], Some(Match::Maker(artist.author()))));
    // Leave for the stranger is leave for nobody else.
    let behalf = Some(Behalf { principal: artist.author(), delegation: given });
    let not_theirs = scene.state(&mut stranger, &Statement { behalf, ..refusal.clone() });
    assert_eq!(scene.claim_of(&theirs, not_theirs), None);
    // What was once said with leave restricts after its end.
    scene.revoke(&mut artist, given);
    assert!(scene.answer(&open(), &theirs).is_err());
    scene.lift(&mut artist, spoken);
    assert!(scene.answer(&open(), &theirs).is_ok());
    scene.state(&mut artist, &refusal);
    assert!(scene.answer(&open(), &theirs).is_err());
    assert!(scene.answer(&open(), &made_by(1, &[stranger.author()])).is_ok());
    assert!(scene.answer(&open(), &made_by(1, &[stranger.author(), artist.author()])).is_err());
}

#[test]
fn a_word_about_a_place_needs_the_standing_that_the_policy_asks_for() {
    let mut scene = Scene::default();
    let (mut owner, mut witness) = (scene.person(1), scene.person(3));
    let refusal = about(&Statement::deny(&[USE]), place("example.org"));
    let no = scene.state(&mut owner, &refusal);
    let policy = heeding(open(), [witness.author()]);
    let painting = found_at(1, "https://art.example.org/a.png");
    assert!(scene.answer(&policy, &painting).is_ok(), "nobody looked");
    let lax = Policy { place_standing: Standing::SelfAsserted, ..open() };
    assert!(scene.answer(&lax, &painting).is_err());
    let word = scene.attest(&mut witness, no, Standing::Place);
    let denial = scene.answer(&policy, &painting).unwrap_err();
    assert_eq!((denial.records, denial.found), (vec![no], Some(Match::Place)));
    assert!(scene.answer(&policy, &found_at(1, "https://example.com/a.png")).is_ok());
    assert!(scene.answer(&policy, &found_at(1, "https://badexample.org/a.png")).is_ok());
    let strict = Policy { place_standing: Standing::Registrar, ..policy.clone() };
    assert!(scene.answer(&strict, &painting).is_ok());
    scene.lift(&mut witness, word);
    assert!(scene.answer(&policy, &painting).is_ok());
}

#[test]
fn an_allow_of_a_place_needs_it_as_well() {
    let mut scene = Scene::default();
    let (mut owner, mut witness) = (scene.person(1), scene.person(3));
    let permission = about(&Statement::allow(&[USE], FOREVER_MS), place("https://example.org/a/"));
    let yes = scene.state(&mut owner, &permission);
    let policy = heeding(closed(), [witness.author()]);
    let painting = found_at(1, "https://example.org/a/b.png");
    assert!(scene.answer(&policy, &painting).is_err());
    scene.attest(&mut witness, yes, Standing::Place);
    assert!(scene.answer(&policy, &painting).is_ok());
    assert!(scene.answer(&policy, &found_at(1, "https://example.org/b.png")).is_err());
}

#[test]
fn a_stolen_or_forked_witness_opens_no_place() {
    // A word that makes a refusal count ends by a lift with full power only.
    let mut scene = Scene::default();
    let (mut owner, mut witness) = (scene.person(1), scene.person(3));
    let mut thief = witness.clone();
    let no = scene.state(&mut owner, &about(&Statement::deny(&[USE]), place("example.org")));
    let word = scene.attest(&mut witness, no, Standing::Place);
    let policy = heeding(open(), [witness.author()]);
    let painting = found_at(1, "https://example.org/");
    let refused = |scene: &Scene| scene.answer(&policy, &painting).is_err();
    assert!(refused(&scene));
    scene.state(&mut thief, &deny(77));
    assert!(refused(&scene), "the witness's feed forked");
    scene.lift(&mut witness, word);
    assert!(refused(&scene), "a lift in doubt");
    scene.voice(3, 66, 7);
    assert!(refused(&scene), "a second birth");
    scene.compromise(&mut witness, key(3).public(), 0);
    assert!(refused(&scene), "a key in the wrong hands");
}

#[test]
fn nobody_borrows_the_standing_of_somebody_who_gave_no_leave() {
    let mut scene = Scene::default();
    let (mut owner, mut witness, mut stranger) =
        (scene.person(1), scene.person(3), scene.person(5));
    scene.attest_identity(&mut witness, owner.author(), Standing::Registrar);
    let to_oneself = leave(&stranger);
    let own = scene.delegate(&mut stranger, &to_oneself);
    let refusal = about(&Statement::deny(&[USE]), place("example.org"));
    let policy = heeding(open(), [witness.author()]);
    let painting = found_at(1, "https://example.org/");
    for delegation in [own, owner.head.head] {
        let behalf = Some(Behalf { principal: owner.author(), delegation });
        scene.state(&mut stranger, &Statement { behalf, ..refusal.clone() });
        assert!(scene.answer(&policy, &painting).is_ok());
    }
    let delegation = scene.delegate(&mut owner, &leave(&stranger));
    let behalf = Some(Behalf { principal: owner.author(), delegation });
    scene.state(&mut stranger, &Statement { behalf, ..refusal });
    assert!(scene.answer(&policy, &painting).is_err());
}

fn collection(works: &[ContentId]) -> Collection {
    let root = protocol::merkle::root(works.iter().map(ContentId::as_bytes));
    let list: Vec<u8> = works.iter().flat_map(|work| *work.as_bytes()).collect();
    Collection { root, count: works.len() as u64, list: FileHash::of(&list) }
}

fn sorted_works(numbers: std::ops::Range<u32>) -> Vec<ContentId> {
    let mut works: Vec<ContentId> = numbers.map(work).collect();
    works.sort();
    works
}

#[test]
fn a_collection_speaks_of_its_works_once_its_list_is_here() {
    let mut scene = Scene::default();
    let mut artist = scene.person(1);
    let works = sorted_works(0..100);
    let whole = collection(&works);
    let add = |scene: &mut Scene, root, works: &[ContentId]| scene.ledger.add_list(root, works);
    assert_eq!(add(&mut scene, whole.root, &works), Err(ListError::Unnamed(whole.root)));
    let no = scene.state(&mut artist, &about(&Statement::deny(&[USE]), Subject::Collection(whole)));
    assert_eq!(scene.ledger.collections_missing().collect::<Vec<_>>(), [whole]);
    assert!(scene.allows(&open(), 7), "nobody can tell which works are meant");

    let reversed: Vec<ContentId> = works.iter().rev().copied().collect();
    assert_eq!(add(&mut scene, whole.root, &reversed), Err(ListError::Order));
    let twice = [works.clone(), vec![works[99]]].concat();
    assert_eq!(add(&mut scene, whole.root, &twice), Err(ListError::Order));
    assert_eq!(add(&mut scene, whole.root, &works[1..]), Err(ListError::Root));
    let others = sorted_works(100..200);
    assert_eq!(add(&mut scene, whole.root, &others), Err(ListError::Root));
    assert!(scene.allows(&open(), 7));

    assert_eq!(add(&mut scene, whole.root, &works), Ok(()));
    assert_eq!(add(&mut scene, whole.root, &works), Ok(()), "again");
    assert_eq!(scene.ledger.collections_missing().count(), 0);
    assert!((0..100).all(|n| !scene.allows(&open(), n)) && scene.allows(&open(), 100));
    let denial = scene.answer(&open(), &work(7).into()).unwrap_err();
    assert_eq!((denial.records, denial.found), (vec![no], Some(Match::Collection)));
    // A later statement about the same collection needs the list no more.
    let rules = Statement::deny(&[Use::Mine]);
    scene.state(&mut artist, &about(&rules, Subject::Collection(whole)));
    assert_eq!(scene.ledger.collections_missing().count(), 0);
    scene.lift(&mut artist, no);
    assert!(scene.allows(&open(), 7));
}

#[test]
fn a_stranger_who_names_a_collection_wrongly_hides_nothing() {
    let mut scene = Scene::default();
    let (mut stranger, mut artist) = (scene.person(1), scene.person(3));
    let works = sorted_works(0..10);
    let whole = collection(&works);
    let wrong = Collection { count: 9, list: FileHash::of(b"nothing"), ..whole };
    for (voice, named) in [(&mut stranger, wrong), (&mut artist, whole)] {
        scene.state(voice, &about(&Statement::deny(&[USE]), Subject::Collection(named)));
    }
    let missing: Vec<Collection> = scene.ledger.collections_missing().collect();
    assert!(missing.contains(&whole), "{missing:?}");
    assert_eq!(scene.ledger.add_list(whole.root, &works), Ok(()));
    assert!((0..10).all(|n| !scene.allows(&open(), n)));
    assert_eq!(scene.ledger.collections_missing().count(), 0);
}
