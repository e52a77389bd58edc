//! Keys that were lost, replaced, or in the wrong hands; and births.

use consent::payload::{Compromise, KEY_COMPROMISE};
use consent::{ClaimState, Identity, InsertError, Ledger, Record, TableSeed};
use protocol::{FeedId, PublicKey, RecordId, Signed, codec};

use crate::scene::*;

/// A word about a key, signed by whoever.
fn told(voice: &Voice, key_of: PublicKey, kept: u64, signer: u8) -> Signed<Record> {
    let FeedId { author, feed } = voice.me.feed();
    let payload = codec::encode(&Compromise { key: key_of, kept });
    let (seq, prev) = (voice.head.seq + 1, Some(voice.head.head));
    Signed::sign(
        Record { author, feed, seq, prev, kind: KEY_COMPROMISE.into(), payload, remark: None },
        &key(signer),
    )
}

fn needs_root(signer: u8) -> Result<RecordId, InsertError> {
    Err(InsertError::NeedsRoot(KEY_COMPROMISE.into(), key(signer).public()))
}

#[test]
fn the_daily_key_may_tell_on_itself_and_the_root_key_on_both() {
    let mut scene = Scene::default();
    let mut me = scene.person(1);
    assert_eq!(scene.insert(told(&me, key(2).public(), 0, 1)), needs_root(1), "of the root key");
    assert_eq!(scene.insert(told(&me, key(7).public(), 0, 1)), needs_root(1), "of another key");
    assert_eq!(
        scene.insert(told(&me, key(1).public(), 0, 3)),
        Err(InsertError::Signer(key(3).public()))
    );
    for (of, signer) in [(1, 1), (1, 2), (2, 2)] {
        let record = told(&me, key(of).public(), 0, signer);
        scene.take(&mut me, record);
    }
}

#[test]
fn a_compromised_daily_key_keeps_its_restrictions_and_what_stands_before_the_place() {
    let mut scene = Scene::default();
    let mut me = scene.person(1);
    let mut device = scene.voice(1, 2, 1);
    let before = scene.state(&mut me, &allow(1));
    let after = scene.state(&mut me, &allow(2));
    let denied = scene.state(&mut me, &deny(3));
    let elsewhere = scene.state(&mut device, &allow(4));
    let lifted = scene.state(&mut device, &deny(5));
    scene.lift(&mut device, lifted);

    let kept = 2;
    let record = told(&me, key(1).public(), kept, 1);
    scene.take(&mut me, record);
    assert_eq!(scene.state_of(1, before), ClaimState::Live, "at place 1, before 2");
    assert_eq!(scene.state_of(2, after), ClaimState::Void, "at place 2");
    assert_eq!(scene.state_of(3, denied), ClaimState::Live);
    assert_eq!(scene.state_of(4, elsewhere), ClaimState::Void, "no order between feeds");
    assert_eq!(scene.state_of(5, lifted), ClaimState::Lifted, "the root key did that");
    let later = scene.state(&mut me, &allow(6));
    assert_eq!(scene.state_of(6, later), ClaimState::Void);
    let later = scene.state(&mut me, &deny(7));
    assert_eq!(scene.state_of(7, later), ClaimState::Live);
}

#[test]
fn a_compromised_root_key_lifts_nothing_from_the_place_on_nor_elsewhere() {
    let mut scene = Scene::default();
    let mut me = scene.person(1);
    let mut device = scene.voice(1, 2, 1);
    let ids: Vec<RecordId> = (1..=3).map(|n| scene.state(&mut me, &deny(n))).collect();
    scene.lift(&mut me, ids[0]);
    let place = me.head.seq + 1;
    scene.lift(&mut me, ids[1]);
    scene.lift(&mut device, ids[2]);
    assert!((1..=3).all(|n| scene.allows(&open(), n)));
    scene.compromise(&mut me, key(2).public(), place);
    assert_eq!(scene.state_of(1, ids[0]), ClaimState::Lifted);
    assert_eq!(scene.state_of(2, ids[1]), ClaimState::Live);
    assert_eq!(scene.state_of(3, ids[2]), ClaimState::Live);
    // The daily key is as good as before.
    let said = scene.state(&mut me, &allow(4));
    assert_eq!(scene.state_of(4, said), ClaimState::Live);
}

#[test]
fn rotation_gives_a_compromised_identity_its_voice_back() {
    let mut scene = Scene::default();
    let mut me = scene.person(1);
    let denied = scene.state(&mut me, &deny(1));
    scene.compromise(&mut me, key(1).public(), 1);
    scene.rotate(&mut me, 11, 12);
    let said = scene.state(&mut me, &allow(2));
    assert_eq!(scene.state_of(2, said), ClaimState::Live);
    scene.lift(&mut me, denied);
    assert!(scene.allows(&open(), 1));
}

#[test]
fn one_root_key_with_two_heirs_opens_nothing() {
    let mut scene = Scene::default();
    let (mut me, mut device) = (scene.person(1), scene.voice(1, 2, 1));
    let denied = scene.state(&mut me, &deny(1));
    scene.rotate(&mut me, 11, 12);
    scene.rotate(&mut device, 11, 12);
    // The same heir on both devices is no conflict.
    let yes = scene.state(&mut device, &allow(2));
    scene.lift(&mut me, denied);
    assert!(scene.allows(&open(), 1) && scene.allows(&closed(), 2));
    let mut thief = scene.voice(1, 2, 2);
    scene.rotate(&mut thief, 21, 22);
    assert_eq!(scene.state_of(1, denied), ClaimState::Live);
    assert_eq!(scene.state_of(2, yes), ClaimState::Void);
}

#[test]
fn a_feed_asks_for_work_at_its_birth() {
    let me = Identity::new(key(1), key(2), 0);
    let (worked, idle) = (me.genesis(12).expect("genesis"), me.genesis(0).expect("genesis"));
    let mut ledger = Ledger::asking(12, TableSeed([1, 2]));
    let refused = ledger.insert(idle.clone(), 0);
    assert!(matches!(refused, Err(InsertError::Work { bits_min: 12, bits: 0..12 })), "{refused:?}");
    assert!(ledger.is_empty());
    ledger.insert(worked, 0).expect("enough work");
    // Another of the identity's feeds needs work of its own.
    let second = Identity::new(key(1), key(2), 1).genesis(0).expect("genesis");
    let refused = ledger.insert(second, 0);
    assert!(matches!(refused, Err(InsertError::Work { bits_min: 12, .. })), "{refused:?}");
    Ledger::new().insert(idle, 0).expect("nobody asks");
}
