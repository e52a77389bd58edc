//! Witnesses and doubters: attestations, and disputes of allows.

use consent::{Behalf, Gate, Policy, SetAside, Standing, Statement};

use crate::scene::*;

/// Silence is no, and an allow needs a registrar's word.
fn strict(witness: &Voice) -> Policy {
    let policy = Policy { allow_standing: Standing::Registrar, ..closed() };
    heeding(policy, [witness.author()])
}

#[test]
fn the_word_of_a_policys_witness_counts_and_no_others() {
    let mut scene = Scene::default();
    let (mut artist, mut witness, mut other) = (scene.person(1), scene.person(3), scene.person(5));
    let yes = scene.state(&mut artist, &allow(1));
    scene.attest(&mut other, yes, Standing::Signer);
    scene.attest(&mut artist, yes, Standing::Signer);
    assert!(!scene.allows(&strict(&witness), 1), "nobody that the policy names");
    scene.attest(&mut witness, yes, Standing::Place);
    assert!(!scene.allows(&strict(&witness), 1), "not enough");
    scene.attest(&mut witness, yes, Standing::Registrar);
    assert!(scene.allows(&strict(&witness), 1));
    let both = heeding(strict(&witness), [other.author(), witness.author()]);
    assert!(scene.allows(&both, 1));
    let needy = Policy { allow_standing: Standing::Signer, ..strict(&witness) };
    assert!(!scene.allows(&needy, 1), "the highest standing that the witness gave");
}

#[test]
fn a_word_for_an_identity_is_for_all_that_it_says_also_through_a_delegate() {
    let mut scene = Scene::default();
    let (mut artist, mut witness, mut collective) =
        (scene.person(1), scene.person(3), scene.person(5));
    scene.attest_identity(&mut witness, artist.author(), Standing::Registrar);
    scene.state(&mut artist, &allow(1));
    assert!(scene.allows(&strict(&witness), 1));
    scene.state(&mut collective, &allow(2));
    assert!(!scene.allows(&strict(&witness), 2));

    let delegation = scene.delegate(&mut artist, &leave(&collective));
    let behalf = Some(Behalf { principal: artist.author(), delegation });
    scene.state(&mut collective, &Statement { behalf, ..allow(3) });
    assert!(scene.allows(&strict(&witness), 3));
}

#[test]
fn a_word_ends_by_any_lift_of_the_witness_and_by_no_one_elses() {
    let mut scene = Scene::default();
    let (mut artist, mut witness) = (scene.person(1), scene.person(3));
    let yes = scene.state(&mut artist, &allow(1));
    let word = scene.attest(&mut witness, yes, Standing::Registrar);
    scene.lift(&mut artist, word);
    assert!(scene.allows(&strict(&witness), 1));
    let mut doubtful = witness.clone();
    scene.fork(&mut doubtful);
    scene.lift(&mut doubtful, word);
    assert!(!scene.allows(&strict(&witness), 1), "what opens needs the witness's undoubted word");
}

#[test]
fn what_a_witness_says_after_a_fork_or_with_two_births_opens_nothing() {
    let mut scene = Scene::default();
    let (mut artist, mut witness) = (scene.person(1), scene.person(3));
    let (first, second) =
        (scene.state(&mut artist, &allow(1)), scene.state(&mut artist, &allow(2)));
    scene.attest(&mut witness, first, Standing::Registrar);
    let other = scene.fork(&mut witness);
    scene.attest(&mut witness, second, Standing::Registrar);
    assert!(scene.allows(&strict(&witness), 1), "said before the fork");
    assert!(!scene.allows(&strict(&witness), 2));
    scene.reconcile(&mut witness, &[other]);
    scene.attest(&mut witness, second, Standing::Registrar);
    assert!(scene.allows(&strict(&witness), 2));
    scene.voice(3, 66, 7);
    assert!(!scene.allows(&strict(&witness), 1) && !scene.allows(&strict(&witness), 2));
}

#[test]
fn a_disputed_allow_refuses_until_a_witness_speaks_for_it() {
    let mut scene = Scene::default();
    let (mut artist, mut doubter, mut witness) =
        (scene.person(1), scene.person(3), scene.person(5));
    let yes = scene.state(&mut artist, &allow(1));
    let policies = [open(), closed()].map(|policy| heeding(policy, [witness.author()]));
    let allowed = |scene: &Scene| policies.iter().map(|p| scene.allows(p, 1)).collect::<Vec<_>>();
    assert_eq!(allowed(&scene), [true, true]);
    scene.dispute(&mut doubter, yes);
    assert_eq!(allowed(&scene), [false, false]);
    let denial = scene.answer(&policies[0], &work(1).into()).unwrap_err();
    assert_eq!(denial.records, [yes], "the record in dispute is named");

    scene.attest(&mut witness, yes, Standing::Place);
    assert_eq!(allowed(&scene), [false, false], "not enough");
    let word = scene.attest(&mut witness, yes, Standing::Registrar);
    assert_eq!(allowed(&scene), [true, true]);
    scene.lift(&mut witness, word);
    assert_eq!(allowed(&scene), [false, false]);
}

#[test]
fn a_dispute_is_its_authors_to_take_back_with_full_power() {
    let mut scene = Scene::default();
    let (mut artist, mut doubter) = (scene.person(1), scene.person(3));
    let yes = scene.state(&mut artist, &allow(1));
    let dispute = scene.dispute(&mut doubter, yes);
    scene.lift(&mut artist, dispute);
    assert!(!scene.allows(&open(), 1), "not who is doubted");
    let (whole, mut doubtful) = (doubter.clone(), doubter.clone());
    scene.lift(&mut doubter, dispute);
    assert!(scene.allows(&open(), 1));
    scene.state(&mut doubtful, &deny(7));
    assert_eq!(whole.author(), doubtful.author());
    assert!(!scene.allows(&open(), 1), "the lift is in doubt now");
}

#[test]
fn a_dispute_outlives_the_allow_that_it_doubts() {
    // Otherwise whoever holds a stolen daily key could end a refusal by forking the feed.
    let mut scene = Scene::default();
    let (mut artist, mut doubter) = (scene.person(1), scene.person(3));
    let mut thief = artist.clone();
    let yes = scene.state(&mut artist, &allow(1));
    scene.dispute(&mut doubter, yes);
    assert!(!scene.allows(&open(), 1));
    scene.state(&mut thief, &deny(2));
    assert!(!scene.allows(&open(), 1), "void, and still in dispute");
    let gate = |policy: &Policy, now_ms| {
        let gate = Gate::new(&scene.ledger, policy, now_ms);
        gate.check(&work(1).into(), USE, &SetAside::default()).is_ok()
    };
    assert!(!gate(&open(), FOREVER_MS), "ended, and still in dispute");
    // Its author takes the allow back, and with it what was doubted.
    scene.lift(&mut artist, yes);
    assert!(scene.allows(&open(), 1));
}

#[test]
fn a_dispute_does_not_touch_a_refusal() {
    let mut scene = Scene::default();
    let (mut artist, mut doubter, mut witness) =
        (scene.person(1), scene.person(3), scene.person(5));
    let no = scene.state(&mut artist, &deny(1));
    scene.dispute(&mut doubter, no);
    scene.attest(&mut witness, no, Standing::Registrar);
    assert!(!scene.allows(&heeding(open(), [witness.author()]), 1));
}
