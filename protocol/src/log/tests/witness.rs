//! What a witness must and must not cosign.

use super::super::audit::prove_consistency;
use super::super::checkpoint::Checkpoint;
use super::super::fork::ForkError;
use super::super::tree::tests::{defined, entries};
use super::*;
use crate::key::SecretKey;

const ORIGIN: &str = "log.example";

fn key(name: &str, algorithm: Algorithm, seed: u8) -> SigningKey {
    SigningKey::new(name, algorithm, SecretKey::from_seed(&[seed; 32])).expect("name")
}

fn log_key() -> SigningKey {
    key(ORIGIN, Algorithm::Ed25519, 1)
}

fn witness(latest: Option<&[u8]>) -> Witness {
    let mut witness = Witness::new(key("w.example", Algorithm::Cosignature, 2)).expect("key");
    witness.watch(ORIGIN, vec![log_key().public().clone()], latest).expect("state");
    witness
}

fn checkpoint(size: u64, root: TreeHash) -> SignedCheckpoint {
    let checkpoint = Checkpoint::new(ORIGIN, size, root, Vec::new()).expect("parts");
    checkpoint.sign(&[&log_key()]).expect("a text")
}

/// The request of a log of [`entries`] to grow from one size to another.
fn growth(old_size: u64, size: u64) -> AddCheckpoint {
    let memory = entries(size as usize);
    let proof = prove_consistency(old_size, size, &memory).unwrap_or_default();
    let note = checkpoint(size, defined(&memory.0)).note().clone();
    AddCheckpoint { old_size, proof, note }
}

fn accept(witness: &mut Witness, request: &AddCheckpoint) -> NoteSignature {
    let pending = witness.add_checkpoint(request).expect("consistent");
    pending.persisted(1_000).expect("a time")
}

#[test]
fn a_log_that_grows_is_cosigned_and_the_cosignature_verifies() {
    let mut witness = witness(None);
    let cosigner = [key("w.example", Algorithm::Cosignature, 2).public().clone()];
    for (old_size, size) in [(0, 0), (0, 5), (5, 5), (5, 8), (8, 33)] {
        let request = growth(old_size, size);
        assert_eq!(AddCheckpoint::parse(&request.to_bytes()), Ok(request.clone()));
        let line = accept(&mut witness, &request).to_string();
        let keys = [log_key().public().clone()];
        let mut signed =
            SignedCheckpoint::open(&request.note.to_bytes(), ORIGIN, &keys).expect("signed");
        assert_eq!(signed.add_cosignatures(&line, &cosigner), Ok(1));
        assert_eq!(signed.note().verify(&cosigner).map(|v| v[0].time_s), Ok(Some(1_000)));
        assert_eq!(witness.latest(ORIGIN).map(|c| c.checkpoint().size()), Some(size));
    }
}

#[test]
fn what_is_not_persisted_is_not_remembered_and_not_signed() {
    let mut witness = witness(None);
    accept(&mut witness, &growth(0, 4));
    let pending = witness.add_checkpoint(&growth(4, 9)).expect("consistent");
    assert_eq!(pending.state().checkpoint().size(), 9);
    drop(pending);
    assert_eq!(witness.latest(ORIGIN).map(|c| c.checkpoint().size()), Some(4));
    // A time out of range costs the cosignature, not the record.
    let pending = witness.add_checkpoint(&growth(4, 9)).expect("consistent");
    assert_eq!(pending.persisted(0), Err(CosignError::Time(0)));
    assert_eq!(witness.latest(ORIGIN).map(|c| c.checkpoint().size()), Some(9));
}

#[test]
fn each_refusal_has_its_status() {
    let mut witness = witness(None);
    accept(&mut witness, &growth(0, 5));
    let mut refused = |request: AddCheckpoint| {
        let refusal = witness.add_checkpoint(&request).expect_err("must be refused");
        assert_eq!(witness.latest(ORIGIN).map(|c| c.checkpoint().size()), Some(5));
        (refusal.status(), refusal)
    };
    assert_eq!(refused(growth(0, 5)), (409, Refusal::Conflict { size: 5 }));
    assert_eq!(refused(growth(4, 8)), (409, Refusal::Conflict { size: 5 }));
    let shrinks = AddCheckpoint { old_size: 9, ..growth(5, 8) };
    assert_eq!(refused(shrinks), (400, Refusal::Shrinks { old_size: 9, size: 8 }));
    // Going back is never consistent, whatever the old size says.
    assert_eq!(refused(growth(3, 4)), (409, Refusal::Conflict { size: 5 }));
    let back = AddCheckpoint { old_size: 5, ..growth(3, 4) };
    assert_eq!(refused(back), (400, Refusal::Shrinks { old_size: 5, size: 4 }));
    let no_proof = AddCheckpoint { proof: Vec::new(), ..growth(5, 8) };
    assert_eq!(refused(no_proof), (422, Refusal::Proof(AuditError::Length(0))));
    let other_root = AddCheckpoint {
        note: checkpoint(8, TreeHash::of_entry(b"other")).note().clone(),
        ..growth(5, 8)
    };
    assert_eq!(refused(other_root), (422, Refusal::Proof(AuditError::Root)));
    let padded = AddCheckpoint { proof: vec![TreeHash::EMPTY], ..growth(5, 5) };
    assert_eq!(refused(padded), (422, Refusal::Proof(AuditError::Length(1))));

    let root = defined(&entries(8).0);
    let by = |name: &str, seed, origin: &str| {
        let checkpoint = Checkpoint::new(origin, 8, root, Vec::new()).expect("parts");
        let signed = checkpoint.sign(&[&key(name, Algorithm::Ed25519, seed)]).expect("a text");
        AddCheckpoint { note: signed.note().clone(), ..growth(5, 8) }
    };
    let unsigned = Refusal::Signature(VerifyError::Unsigned);
    assert_eq!(refused(by("stranger.example", 3, ORIGIN)), (403, unsigned.clone()));
    assert_eq!(refused(by(ORIGIN, 3, ORIGIN)), (403, unsigned));
    let stranger = by("stranger.example", 1, "stranger.example");
    assert_eq!(refused(stranger), (404, Refusal::UnknownLog("stranger.example".into())));
    let mut forged = growth(5, 8);
    let lie = NoteSignature::new(log_key().public(), vec![0; 64]);
    forged.note.push([lie]).expect("room");
    assert_eq!(refused(forged).0, 403, "one good signature does not excuse a forged one");
    let note = Note::sign(&format!("{ORIGIN}\n08\n{root}\n"), &[&log_key()]).expect("a text");
    assert_eq!(refused(AddCheckpoint { note, ..growth(5, 8) }).0, 400);
}

#[test]
fn two_roots_for_one_size_are_kept_as_evidence() {
    let mut witness = witness(None);
    accept(&mut witness, &growth(0, 5));
    let note = checkpoint(5, TreeHash::of_entry(b"other")).note().clone();
    let request = AddCheckpoint { note, ..growth(5, 5) };
    let refusal = witness.add_checkpoint(&request).expect_err("a fork");
    assert_eq!(refusal.status(), 422);
    let Refusal::Fork(fork) = refusal else { panic!("{refusal}") };
    let [one, other] = fork.notes();
    let keys = [log_key().public().clone()];
    assert_eq!(Fork::open([&one, &other], ORIGIN, &keys), Ok(*fork));
    assert_eq!(Fork::open([&one, &one], ORIGIN, &keys), Err(ForkError::Agree));
    let strangers = [key(ORIGIN, Algorithm::Ed25519, 7).public().clone()];
    assert!(matches!(Fork::open([&one, &other], ORIGIN, &strangers), Err(ForkError::Open(_))));
}

#[test]
fn an_empty_log_has_one_root() {
    let mut witness = witness(None);
    let note = checkpoint(0, TreeHash::of_entry(b"")).note().clone();
    let request = AddCheckpoint { old_size: 0, proof: Vec::new(), note };
    let refusal = witness.add_checkpoint(&request).expect_err("not the empty root");
    assert_eq!((refusal.status(), refusal), (422, Refusal::EmptyRoot));
    let proof = vec![TreeHash::EMPTY];
    let refusal = witness.add_checkpoint(&AddCheckpoint { proof, ..growth(0, 3) });
    assert_eq!(refusal.map(|_| ()), Err(Refusal::Proof(AuditError::Length(1))));
}

#[test]
fn a_restart_goes_on_from_what_was_persisted() {
    let kept = {
        let mut witness = witness(None);
        let pending = witness.add_checkpoint(&growth(0, 6)).expect("consistent");
        pending.state().note().to_bytes()
    };
    let mut witness = witness(Some(&kept));
    assert_eq!(
        witness.add_checkpoint(&growth(0, 9)).map(|_| ()),
        Err(Refusal::Conflict { size: 6 })
    );
    accept(&mut witness, &growth(6, 9));

    let mut other = Witness::new(key("w.example", Algorithm::Cosignature, 2)).expect("key");
    let keys = || vec![log_key().public().clone()];
    let mut damaged = kept.clone();
    damaged[3] ^= 1;
    assert!(matches!(other.watch(ORIGIN, keys(), Some(&damaged)), Err(WatchError::Latest(..))));
    assert_eq!(other.watch(ORIGIN, Vec::new(), None), Err(WatchError::Keys(0)));
    assert_eq!(other.watch(ORIGIN, keys(), Some(&kept)), Ok(()));
    assert_eq!(other.watch(ORIGIN, keys(), None), Err(WatchError::Known(ORIGIN.into())));
    assert!(matches!(Witness::new(log_key()), Err(WatchError::Key)));
}

#[test]
fn requests_that_are_malformed_are_refused() {
    let request = String::from_utf8(growth(5, 8).to_bytes()).expect("text");
    for (from, to) in [
        ("old 5", "old 05"),
        ("old 5", "old -5"),
        ("old 5", "old  5"),
        ("old 5", "Old 5"),
        ("old 5\n", "old 5\nAAAA\n"),
        ("\n\n", "\n"),
        ("=\n", "= \n"),
    ] {
        let bytes = request.replacen(from, to, 1);
        assert!(AddCheckpoint::parse(bytes.as_bytes()).is_err(), "{from:?} to {to:?}");
    }
    let hash = format!("{}\n", TreeHash::EMPTY);
    let many = request.replacen("old 5\n", &format!("old 5\n{}", hash.repeat(61)), 1);
    assert_eq!(AddCheckpoint::parse(many.as_bytes()), Err(RequestError::TooManyHashes));
    let long = vec![b'o'; LOG_WITNESS_REQUEST_BYTES_MAX + 1];
    assert_eq!(AddCheckpoint::parse(&long), Err(RequestError::TooLong(long.len())));
}
