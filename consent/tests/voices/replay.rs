//! Digests: what a ledger starts again from, whole or broken.

use consent::ledger::DigestError;
use consent::payload::Delegation;
use consent::terms::Place;
use consent::{
    Behalf, CodeKind, Collection, Ledger, Replay, Standing, Statement, Subject, Use, Value,
};
use proptest::prelude::*;
use protocol::FileHash;

use crate::scene::*;

/// A ledger with a record of every kind and a subject of every kind.
fn everything() -> Scene {
    let mut scene = Scene::default();
    let (mut artist, mut collective, mut witness) =
        (scene.person(1), scene.person(3), scene.person(5));
    let place = Place::parse("example.org").expect("a place");
    let collection = Collection { root: FileHash::of(b"r"), count: 3, list: FileHash::of(b"l") };
    let subjects = [
        Subject::Content(work(1)),
        Subject::Collection(collection),
        Subject::Code(CodeKind::Pdq, *work(2).as_bytes()),
        Subject::Passages(vec![3, 5, 9]),
        Subject::Identity(artist.author()),
        Subject::Place(place),
        Subject::Unknown { kind: "smell".into(), value: vec![1, 2, 3] },
    ];
    let rules = vec![
        (Use::TrainOther, Value::Deny),
        (Use::Mine, Value::Allow),
        (Use::Evaluate, Value::Constrained),
    ];
    let mixed = Statement { rules, ..Statement::allow(&[], FOREVER_MS) };
    let said = scene.state(&mut artist, &mixed.over_subjects(subjects)[0]);
    let yes = scene.state(&mut artist, &allow(1));
    let leave = Delegation { scope: vec![Subject::Content(work(1))], ..leave(&collective) };
    let delegation = scene.delegate(&mut artist, &leave);
    let behalf = Some(Behalf { principal: artist.author(), delegation });
    scene.state(&mut collective, &Statement { behalf, ..allow(1) });
    scene.attest(&mut witness, yes, Standing::Registrar);
    scene.dispute(&mut collective, yes);
    scene.revoke(&mut artist, delegation);
    let other = scene.fork(&mut artist);
    scene.reconcile(&mut artist, &[other]);
    scene.lift(&mut artist, said);
    scene.rotate(&mut artist, 11, 12);
    scene.compromise(&mut artist, key(11).public(), 9);
    scene
}

fn same(one: &Ledger, other: &Ledger) -> bool {
    let records =
        |ledger: &Ledger| (0..ledger.len() as u32).map(|slot| ledger.at(slot)).collect::<Vec<_>>();
    one.frontier() == other.frontier()
        && records(one) == records(other)
        && one.forks().eq(other.forks())
}

fn replayed(digests: &[Vec<u8>]) -> Result<Ledger, DigestError> {
    let mut replay = Replay::new(Ledger::new());
    digests.iter().try_for_each(|digest| replay.take(digest))?;
    replay.finish()
}

#[test]
fn a_ledger_starts_again_from_its_digests() {
    let scene = everything();
    let again = replayed(&scene.digests).expect("its own digests");
    assert!(same(&again, &scene.ledger));
    let (again, was) = (Scene { ledger: again, ..Scene::default() }, scene);
    for n in 0..10 {
        for policy in [open(), closed()] {
            let work = work(n).into();
            assert_eq!(again.answer(&policy, &work), was.answer(&policy, &work));
        }
    }
}

#[test]
fn digests_out_of_order_or_twice_are_refused() {
    let scene = everything();
    let mut replay = Replay::new(Ledger::new());
    assert!(replay.take(&scene.digests[3]).is_err(), "nothing is before it");
    assert!(replay.take(&scene.digests[0]).is_ok());
    assert!(replay.take(&scene.digests[5]).is_err(), "of a feed that is not here");
    let ledger = replay.finish().expect("what was taken");
    assert_eq!(ledger.len(), 1);
    for twice in 0..scene.digests.len() {
        let mut digests = scene.digests.clone();
        digests.push(digests[twice].clone());
        assert_eq!(replayed(&digests).err(), Some(DigestError::Order), "{twice}");
    }
}

#[test]
fn a_statement_is_never_the_first_record_of_a_feed() {
    let scene = everything();
    let (genesis, statement) = (&scene.digests[0], &scene.digests[3]);
    // The place of a genesis (id, time, 0, author, feed, seq) and the body of a statement.
    let (head, body) = (32 + 8 + 1 + 32 + 4 + 4, 32 + 8 + 1 + 4 + 4 + 4);
    let forged = [&genesis[..head], &statement[body..]].concat();
    let mut replay = Replay::new(Ledger::new());
    assert!(replay.take(&forged).is_err());
    assert!(replay.finish().expect("nothing was taken").is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..Default::default() })]

    /// Whatever is on disk, starting again never panics, and what is refused changes nothing.
    #[test]
    fn broken_digests_are_refused_or_taken_and_never_panic(
        changes in prop::collection::vec((any::<u16>(), any::<u16>(), any::<u8>(), 0u8..6), 1..6),
    ) {
        let mut digests = everything().digests;
        for (at, byte, value, act) in changes {
            let count = digests.len();
            let at = usize::from(at) % count;
            let length = digests[at].len().max(1);
            let byte = usize::from(byte) % length;
            match act {
                0 | 1 => if let Some(byte) = digests[at].get_mut(byte) { *byte = value },
                2 => digests[at].truncate(byte),
                3 => digests[at].extend([value; 3]),
                4 => digests.swap(at, usize::from(value) % count),
                // The head of one and the body of another.
                _ => {
                    let other = digests[usize::from(value) % count].clone();
                    let cut = byte.min(other.len());
                    digests[at].truncate(byte);
                    digests[at].extend(&other[cut..]);
                }
            }
        }
        let mut replay = Replay::new(Ledger::new());
        let taken = digests.iter().filter(|digest| replay.take(digest).is_ok()).count();
        let Ok(ledger) = replay.finish() else { return Ok(()) };
        prop_assert_eq!(ledger.len(), taken);
        let scene = Scene { ledger, ..Scene::default() };
        let _ = scene.answer(&open(), &work(1).into());
        let _ = (scene.ledger.frontier_id(), scene.ledger.forks().count());
    }
}
