//! What a proof file shows, and that no bit of it is free.

use super::super::audit::prove_inclusion;
use super::super::checkpoint::Checkpoint;
use super::super::cosignature;
use super::super::tree::tests::{defined, entries};
use super::super::vkey::{Algorithm, SigningKey};
use super::*;
use crate::key::SecretKey;

const INDEX: u64 = 5;

fn key(name: &str, algorithm: Algorithm, seed: u8) -> SigningKey {
    SigningKey::new(name, algorithm, SecretKey::from_seed(&[seed; 32])).expect("name")
}

fn log() -> SigningKey {
    key("log.example", Algorithm::Ed25519, 1)
}

fn witness() -> SigningKey {
    key("w.example", Algorithm::Cosignature, 2)
}

fn policy() -> TrustPolicy {
    let text = format!("log {}\nwitness w {}\nquorum w\n", log().public(), witness().public());
    TrustPolicy::parse(text.as_bytes()).expect("a policy")
}

/// The proof of entry 5 in a log of 11, and the entry.
fn proof(extra: &[u8]) -> (LogProof, Vec<u8>) {
    let memory = entries(11);
    let root = defined(&memory.0);
    let checkpoint = Checkpoint::new("log.example", 11, root, Vec::new()).expect("parts");
    let mut note = checkpoint.clone().sign(&[&log()]).expect("a text").note().clone();
    note.push([cosignature::sign(&checkpoint, &witness(), 77).expect("a time")]).expect("room");
    let hashes = prove_inclusion(INDEX, 11, &memory).expect("in the tree");
    let proof = LogProof::new(INDEX, hashes, note, extra.to_vec()).expect("a proof");
    (proof, INDEX.to_be_bytes().to_vec())
}

#[test]
fn a_proof_survives_its_text_and_verifies() {
    for extra in [&b""[..], b"some data"] {
        let (proof, entry) = proof(extra);
        let read = LogProof::parse(&proof.to_bytes()).expect("its own bytes");
        assert_eq!(read, proof);
        assert_eq!((read.index(), read.extra()), (INDEX, extra));
        let trusted = read.verify(&entry, &policy()).expect("holds");
        assert_eq!(trusted.settled_s, Some(77));
        let wrong = read.verify(b"another entry", &policy());
        assert_eq!(wrong, Err(VerifyProofError::Inclusion(AuditError::Root)));
        let strict = TrustPolicy::parse(
            format!("log {}\nquorum none\n", key("log.example", Algorithm::Ed25519, 9).public())
                .as_bytes(),
        );
        let wrong = read.verify(&entry, &strict.expect("a policy"));
        assert!(matches!(wrong, Err(VerifyProofError::Trust(_))));
    }
}

#[test]
fn no_bit_of_a_proof_is_free_but_in_its_extra_data() {
    let (proof, entry) = proof(b"extra");
    let bytes = proof.to_bytes();
    let extra_start = bytes.iter().position(|&b| b == b'\n').expect("a line") + 1 + "extra ".len();
    let extra = extra_start..extra_start + base64::encode(b"extra").len();
    let policy = policy();
    let mut free = 0;
    for bit in 0..bytes.len() * 8 {
        let mut forged = bytes.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        let holds = LogProof::parse(&forged).is_ok_and(|p| p.verify(&entry, &policy).is_ok());
        if holds {
            assert!(extra.contains(&(bit / 8)), "bit {bit}");
            free += 1;
        }
    }
    assert!(free > 0, "extra data is not authenticated");
}

#[test]
fn malformed_proofs_are_refused() {
    let text = proof(b"x").0.to_string();
    for (from, to, error) in [
        ("proof@v1", "proof@v2", ProofError::Header),
        ("index 5", "index 05", ProofError::Index),
        ("index 5", "index -5", ProofError::Index),
        ("index 5", "index 9223372036854775808", ProofError::Index),
        ("index 5\n", "", ProofError::Index),
        ("extra eA==", "extra eB==", ProofError::Extra),
        ("extra eA==", "extra ", ProofError::Extra),
        ("extra eA==\n", "extra eA==\nextra eA==\n", ProofError::Index),
        ("index 5\n", "index 5\nAAAA\n", ProofError::Hash(1)),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        assert_eq!(LogProof::parse(changed.as_bytes()), Err(error), "{to:?}");
    }
    let end = text.find("\n\n").expect("an empty line");
    assert_eq!(LogProof::parse(&text.as_bytes()[..end]), Err(ProofError::Form));
    assert!(matches!(LogProof::parse(&text.as_bytes()[..end + 2]), Err(ProofError::Note(_))));
    let hash = format!("index 5\n{}", format!("{}\n", TreeHash::EMPTY).repeat(60));
    let many = text.replacen("index 5\n", &hash, 1);
    assert_eq!(LogProof::parse(many.as_bytes()), Err(ProofError::TooManyHashes));
    let long = vec![b'c'; LOG_PROOF_BYTES_MAX + 1];
    assert_eq!(LogProof::parse(&long), Err(ProofError::TooLong(long.len())));
}

#[test]
fn the_largest_extra_data_fits() {
    let (proof, _) = proof(&vec![7; LOG_PROOF_EXTRA_BYTES_MAX]);
    assert_eq!(LogProof::parse(&proof.to_bytes()), Ok(proof));
}
