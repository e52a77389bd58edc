//! In somebody else's name: leave, its bounds, and its end.

use consent::payload::Delegation;
use consent::{Behalf, ClaimState, Gate, SetAside, Statement, Subject, Use};
use protocol::RecordId;

use crate::scene::*;

fn on_behalf(principal: &Voice, delegation: RecordId, statement: &Statement) -> Statement {
    let behalf = Some(Behalf { principal: principal.author(), delegation });
    Statement { behalf, ..statement.clone() }
}

/// An artist, her collective, and what it says about work 1 under this delegation.
struct Agency {
    scene: Scene,
    artist: Voice,
    collective: Voice,
    delegation: RecordId,
}

impl Agency {
    fn under(change: impl FnOnce(&mut Delegation)) -> Self {
        let mut scene = Scene::default();
        let (mut artist, collective) = (scene.person(1), scene.person(3));
        let mut given = leave(&collective);
        change(&mut given);
        let delegation = scene.delegate(&mut artist, &given);
        Self { scene, artist, collective, delegation }
    }

    fn say(&mut self, statement: &Statement) -> RecordId {
        let statement = on_behalf(&self.artist, self.delegation, statement);
        self.scene.state(&mut self.collective, &statement)
    }

    /// Whether the collective's allow of work 1 counts.
    fn counts(&mut self) -> bool {
        let said = self.say(&allow(1));
        let counts = self.scene.state_of(1, said) == ClaimState::Live;
        assert_eq!(self.scene.allows(&closed(), 1), counts);
        counts
    }
}

#[test]
fn an_allow_counts_within_the_leave_and_not_without() {
    assert!(Agency::under(|_| ()).counts());
    assert!(!Agency::under(|given| given.may_allow = false).counts());
    assert!(!Agency::under(|given| given.uses = vec![Use::Mine]).counts(), "another use");
    assert!(!Agency::under(|given| given.delegate = key(5).public()).counts(), "another delegate");
    let scoped = |n| Agency::under(|given| given.scope = vec![Subject::Content(work(n))]).counts();
    assert!(scoped(1));
    assert!(!scoped(2), "another work");
}

#[test]
fn every_subject_must_be_within_the_scope() {
    let mut agency = Agency::under(|given| given.scope = vec![Subject::Content(work(1))]);
    let both = Statement::allow(&[USE], FOREVER_MS).over([work(1), work(2)]).remove(0);
    let said = agency.say(&both);
    assert_eq!(agency.scene.state_of(1, said), ClaimState::Void);
    assert_eq!(agency.scene.state_of(2, said), ClaimState::Void);
}

#[test]
fn leave_is_the_principals_to_give() {
    let mut scene = Scene::default();
    let (artist, mut other, mut collective) = (scene.person(1), scene.person(5), scene.person(3));
    // Given by another than the one in whose name is spoken, or not given at all.
    let theirs = scene.delegate(&mut other, &leave(&collective));
    for delegation in [theirs, artist.head.head, RecordId::of(b"nowhere")] {
        let said = on_behalf(&artist, delegation, &allow(1));
        let said = scene.state(&mut collective, &said);
        assert_eq!(scene.state_of(1, said), ClaimState::Void);
    }
    assert!(!scene.allows(&closed(), 1));
}

#[test]
fn revocation_ends_allows_and_leaves_denies() {
    let mut agency = Agency::under(|_| ());
    let (yes, no) = (agency.say(&allow(1)), agency.say(&deny(2)));
    assert_eq!(agency.scene.state_of(1, yes), ClaimState::Live);

    // Another's revocation is nobody's.
    let mut stranger = agency.scene.person(5);
    agency.scene.revoke(&mut stranger, agency.delegation);
    agency.scene.revoke(&mut agency.collective, agency.delegation);
    assert_eq!(agency.scene.state_of(1, yes), ClaimState::Live);

    agency.scene.revoke(&mut agency.artist, agency.delegation);
    assert_eq!(agency.scene.state_of(1, yes), ClaimState::Void);
    assert_eq!(agency.scene.state_of(2, no), ClaimState::Live);
    assert!(!agency.scene.allows(&open(), 2));
    // What comes afterwards has no leave either.
    assert!(!agency.counts());
}

#[test]
fn a_lifted_delegation_gives_no_leave_even_by_a_lift_in_doubt() {
    let mut agency = Agency::under(|_| ());
    let yes = agency.say(&allow(1));
    let mut stranger = agency.scene.person(5);
    agency.scene.lift(&mut stranger, agency.delegation);
    assert_eq!(agency.scene.state_of(1, yes), ClaimState::Live, "a stranger's lift");
    agency.scene.fork(&mut agency.artist);
    assert_eq!(agency.scene.state_of(1, yes), ClaimState::Live, "given before the fork");
    agency.scene.lift(&mut agency.artist, agency.delegation);
    assert_eq!(agency.scene.state_of(1, yes), ClaimState::Void);
}

#[test]
fn leave_given_in_doubt_or_by_an_author_of_two_births_is_none() {
    let mut agency = Agency::under(|_| ());
    let yes = agency.say(&allow(1));
    // The thief of the artist's daily key is born again with a root key of his own.
    agency.scene.voice(1, 66, 7);
    assert_eq!(agency.scene.state_of(1, yes), ClaimState::Void);

    let mut scene = Scene::default();
    let (mut artist, mut collective) = (scene.person(1), scene.person(3));
    scene.fork(&mut artist);
    let delegation = scene.delegate(&mut artist, &leave(&collective));
    let yes = scene.state(&mut collective, &on_behalf(&artist, delegation, &allow(1)));
    assert_eq!(scene.state_of(1, yes), ClaimState::Void);
    // And the delegate's own feed must be whole as well.
    let mut agency = Agency::under(|_| ());
    agency.scene.fork(&mut agency.collective);
    assert!(!agency.counts());
}

#[test]
fn an_allow_ends_with_its_leave() {
    let mut agency = Agency::under(|given| given.not_after_ms = 50);
    let said = agency.say(&allow(1));
    let claim = agency.scene.claim_of(&work(1).into(), said).expect("said");
    assert_eq!((claim.state, claim.not_after_ms), (ClaimState::Live, Some(50)));
    let policy = closed();
    let at = |now_ms| {
        let gate = Gate::new(&agency.scene.ledger, &policy, now_ms);
        gate.check(&work(1).into(), USE, &SetAside::default()).is_ok()
    };
    assert!(at(49) && !at(50));
}

#[test]
fn the_principal_lifts_what_was_said_in_its_name_and_a_stranger_does_not() {
    let mut agency = Agency::under(|_| ());
    let (yes, no) = (agency.say(&allow(1)), agency.say(&deny(2)));
    let own = agency.scene.state(&mut agency.collective, &deny(3));
    let mut stranger = agency.scene.person(5);
    for record in [yes, no, own] {
        agency.scene.lift(&mut stranger, record);
    }
    assert_eq!(agency.scene.state_of(1, yes), ClaimState::Live);
    assert_eq!(agency.scene.state_of(2, no), ClaimState::Live);
    for record in [yes, no, own] {
        agency.scene.lift(&mut agency.artist, record);
    }
    assert_eq!(agency.scene.state_of(1, yes), ClaimState::Lifted);
    assert_eq!(agency.scene.state_of(2, no), ClaimState::Lifted);
    assert_eq!(agency.scene.state_of(3, own), ClaimState::Live, "not said in the artist's name");
}

#[test]
fn a_principal_without_full_power_opens_nothing() {
    // Her feed forked before the lift.
    let mut agency = Agency::under(|_| ());
    let (yes, no) = (agency.say(&allow(1)), agency.say(&deny(2)));
    agency.scene.fork(&mut agency.artist);
    agency.scene.lift(&mut agency.artist, no);
    agency.scene.lift(&mut agency.artist, yes);
    assert_eq!(agency.scene.state_of(2, no), ClaimState::Live);
    assert_eq!(agency.scene.state_of(1, yes), ClaimState::Lifted, "any lift ends an allow");

    // A thief lifts under a root key of his own, in a feed in her name.
    let mut agency = Agency::under(|_| ());
    let no = agency.say(&deny(2));
    let mut thief = agency.scene.voice(1, 66, 7);
    agency.scene.lift(&mut thief, no);
    assert_eq!(agency.scene.state_of(2, no), ClaimState::Live);
    // Her own lift does not count then either: nobody can tell who she is.
    agency.scene.lift(&mut agency.artist, no);
    assert_eq!(agency.scene.state_of(2, no), ClaimState::Live);
    // Who said it can still take it back.
    agency.scene.lift(&mut agency.collective, no);
    assert_eq!(agency.scene.state_of(2, no), ClaimState::Lifted);
}
