//! The log against files that a short Python program wrote from the specifications (`tests/vectors`).
//! What other projects publish is in `rfc6962.rs` and `tlog.rs`.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};

use protocol::SecretKey;
use protocol::log::audit::prove_consistency;
use protocol::log::map::{Map, MapProof};
use protocol::log::note::NoteSignature;
use protocol::log::policy::{TrustError, TrustPolicy};
use protocol::log::proof::{LogProof, VerifyProofError};
use protocol::log::tile::TileWriter;
use protocol::log::tree::{self, HashSource};
use protocol::log::vkey::Algorithm;
use protocol::log::witness::{AddCheckpoint, Witness};
use protocol::log::{
    Checkpoint, Note, SignedCheckpoint, SigningKey, TreeHash, VerifierKey, cosignature,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

fn read(path: &str) -> Vec<u8> {
    fs::read(vectors().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn text(path: &str) -> String {
    String::from_utf8(read(path)).expect("a vector is UTF-8")
}

fn json<T: for<'de> Deserialize<'de>>(path: &str) -> T {
    serde_json::from_slice(&read(path)).expect("a vector is JSON of its shape")
}

#[test]
fn a_note_written_by_another_program_opens() {
    let key: VerifierKey = text("signed-note/vkey").trim().parse().expect("a key");
    assert_eq!(key.name(), "signer.example/a");
    assert_eq!(key.to_string(), text("signed-note/vkey").trim());
    let note = Note::parse(&read("signed-note/note")).expect("a note");
    assert_eq!(note.to_bytes(), read("signed-note/note"));
    // A text with an empty line, signed first by someone whose key is not known.
    assert_eq!(note.text().lines().count(), 4);
    let signers: Vec<&str> = note.signatures().iter().map(NoteSignature::name).collect();
    assert_eq!(signers, ["signer.example/b", "signer.example/a"]);
    let verified = note.verify(std::slice::from_ref(&key)).expect("signed");
    assert_eq!(verified.iter().map(|v| (v.key, v.time_s)).collect::<Vec<_>>(), [(&key, None)]);
    let keys = [20, 21].map(|seed| SecretKey::from_seed(&[seed; 32]));
    let names = ["signer.example/a", "signer.example/b"].into_iter().zip(keys);
    let signer = |(name, secret)| SigningKey::new(name, Algorithm::Ed25519, secret).expect("name");
    let [a, b] = &names.map(signer).collect::<Vec<_>>()[..] else { panic!("two keys") };
    let ours = Note::sign(note.text(), &[b, a]).expect("a text");
    assert_eq!(ours.to_bytes(), read("signed-note/note"));
}

/// The writer of the log of the Python program, up to this size.
fn records(size: usize) -> TileWriter {
    let mut writer = TileWriter::default();
    for i in 0..size {
        writer.append(format!("record {i}").repeat(i + 1).as_bytes()).expect("room");
    }
    writer
}

/// The hashes of that log's entries.
struct Records;

impl HashSource for Records {
    type Error = Infallible;

    fn hash(&self, level: u8, index: u64) -> Result<TreeHash, Infallible> {
        let entry = |i: u64| format!("record {i}").repeat(i as usize + 1);
        let entries = (index << level)..((index + 1) << level);
        Ok(tree::root(entries.map(|i| TreeHash::of_entry(entry(i).as_bytes()))))
    }
}

fn signing_key(name: &str, algorithm: Algorithm, seed: u8) -> SigningKey {
    SigningKey::new(name, algorithm, SecretKey::from_seed(&[seed; 32])).expect("a name")
}

#[test]
fn a_request_written_by_another_program_is_ours() {
    let request = AddCheckpoint::parse(&read("tlog-witness/request")).expect("a request");
    assert_eq!(request.to_bytes(), read("tlog-witness/request"));
    assert_eq!((request.old_size, request.proof.len()), (617, 11));
    assert_eq!(request.proof, prove_consistency(617, 1_000, &Records).expect("grows"));
    let origin = "log.accord.example/2026";
    let keys = [1, 2].map(|seed| signing_key(origin, Algorithm::Ed25519, seed));
    let checkpoint = Checkpoint::new(origin, 1_000, records(1_000).root(), Vec::new());
    let signed = checkpoint.expect("parts").sign(&[&keys[0], &keys[1]]).expect("a text");
    assert_eq!(request.note, *signed.note());
}

#[test]
fn our_witness_answers_as_another_program_writes() {
    let request = AddCheckpoint::parse(&read("tlog-witness/request")).expect("a request");
    let origin = "log.accord.example/2026";
    let lines = text("tlog-witness/response");
    let answers = NoteSignature::parse_lines(&lines).expect("signature lines");
    assert_eq!(answers.iter().map(ToString::to_string).collect::<String>(), lines);
    assert_eq!(answers.iter().map(|line| line.bytes().len()).collect::<Vec<_>>(), [72; 3]);
    // Two keys of one witness, and one of another.
    let witnesses =
        [("witness.example/w0", 10), ("witness.example/w0", 30), ("witness.example/w1", 11)];
    let log_keys =
        [1, 2].map(|seed| signing_key(origin, Algorithm::Ed25519, seed).public().clone());
    let mut signed =
        SignedCheckpoint::open(&request.note.to_bytes(), origin, &log_keys).expect("signed");
    let mut cosigners = Vec::new();
    for (((name, seed), line), time_s) in
        witnesses.into_iter().zip(&answers).zip((1_790_000_000..).step_by(10))
    {
        let key = signing_key(name, Algorithm::Cosignature, seed);
        cosigners.push(key.public().clone());
        let mut witness = Witness::new(key).expect("a cosigner's key");
        // Of the log's two keys it knows one, and goes on from the checkpoint that it kept.
        let latest = read("tlog-witness/latest");
        witness.watch(origin, log_keys[..1].to_vec(), Some(&latest)).expect("kept");
        let pending = witness.add_checkpoint(&request).expect("consistent");
        assert_eq!(pending.persisted(time_s).as_ref(), Ok(line));
        let again = witness.add_checkpoint(&request).map(|_| ());
        assert_eq!(again.map_err(|refusal| refusal.status()), Err(409));
    }
    assert_eq!(
        signed.add_cosignatures(&lines, &cosigners[1..]),
        Ok(2),
        "an unknown key is left out"
    );
    assert_eq!(signed.add_cosignatures(&lines, &cosigners), Ok(3));
    assert_eq!(signed.note().signatures().len(), 5);
}

#[test]
fn a_proof_written_by_another_program_holds() {
    let proof = LogProof::parse(&read("tlog-proof/record-617.tlog-proof")).expect("a proof");
    assert_eq!(proof.to_bytes(), read("tlog-proof/record-617.tlog-proof"));
    assert_eq!((proof.index(), proof.extra()), (617, &b"record 61"[..]));
    let policy = |name: &str| TrustPolicy::parse(&read(name)).expect("a policy");
    let entry = b"record 617".repeat(618);
    let trusted = proof.verify(&entry, &policy("tlog-proof/three-of-four.policy")).expect("holds");
    assert_eq!(trusted.cosigned.len(), 3);
    assert_eq!(trusted.settled_s, Some(1_790_000_020));
    assert_eq!(trusted.fresh_s, Some(1_790_000_000));
    let strict = proof.verify(&entry, &policy("tlog-proof/all-of-four.policy"));
    assert_eq!(strict, Err(VerifyProofError::Trust(TrustError::Quorum(3))));
    let other = proof.verify(b"record 616", &policy("tlog-proof/three-of-four.policy"));
    assert!(matches!(other, Err(VerifyProofError::Inclusion(_))));
}

#[test]
fn we_write_what_the_other_program_wrote() {
    let keys: Vec<SigningKey> = text("tlog-proof/skeys")
        .lines()
        .map(|line| SigningKey::from_secret_text(line).expect("a key"))
        .collect();
    let writer = records(1_000);
    let origin = keys[0].public().name();
    let checkpoint =
        Checkpoint::new(origin, writer.size(), writer.root(), Vec::new()).expect("parts");
    let mut note = checkpoint.clone().sign(&[&keys[0]]).expect("a text").note().clone();
    let lines = [1_790_000_000, 1_790_000_010, 1_790_000_020].into_iter().zip(&keys[1..]);
    let sign = |(time_s, key)| cosignature::sign(&checkpoint, key, time_s).expect("a time");
    note.push(lines.map(sign)).expect("room");
    assert_eq!(note.to_string(), text("tlog-proof/checkpoint"));
}

#[derive(Deserialize)]
struct MapCase {
    size: u64,
    root: String,
    proofs: Vec<MapCaseProof>,
}

#[derive(Deserialize)]
struct MapCaseProof {
    key: String,
    value: Option<String>,
    proof: String,
}

#[test]
fn maps_of_another_program_are_ours() {
    let bytes = |text: &str| hex::decode(text).expect("hex");
    let hash = |text: &str| <[u8; 32]>::try_from(bytes(text)).expect("32 bytes");
    for case in json::<Vec<MapCase>>("map/map.json") {
        let mut map = Map::default();
        for i in (0..case.size).rev() {
            let word = |name: &str| Sha256::digest(format!("{name} {i}")).into();
            map.insert(&word("key"), word("value")).expect("room");
        }
        let root = map.root();
        assert_eq!(hex::encode(root.as_bytes()), case.root);
        for MapCaseProof { key, value, proof } in case.proofs {
            let read = MapProof::parse(&bytes(&proof)).expect("a proof");
            let expected = value.as_deref().map(hash);
            assert_eq!(read.verify(&hash(&key), &root), Ok(expected));
            assert_eq!(map.prove(&hash(&key)).to_bytes(), bytes(&proof));
        }
    }
}

/// What the map costs: `cargo test --release -p protocol --test log -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, of a million entries"]
fn a_million_entries() {
    let word = |name: &str, i: u64| <[u8; 32]>::from(Sha256::digest(format!("{name} {i}")));
    let entries: Vec<_> = (0..1_000_000).map(|i| (word("key", i), word("value", i))).collect();
    let mut map = Map::default();
    let start = std::time::Instant::now();
    for (key, value) in &entries {
        map.insert(key, *value).expect("room");
    }
    let inserted = start.elapsed();
    let root = map.root();
    println!("insert 1M {inserted:?}, then the root {:?}", start.elapsed() - inserted);
    let start = std::time::Instant::now();
    let mut sorted = Map::from_entries(entries.iter().copied()).expect("room");
    let inserted = start.elapsed();
    assert_eq!(sorted.root(), root);
    println!("1M at once {inserted:?}, then the root {:?}", start.elapsed() - inserted);

    // One root for every thousand insertions, and one for each.
    for (batch, count) in [(1_000, 100_000), (1, 20_000)] {
        let start = std::time::Instant::now();
        for i in 0..count {
            map.insert(&word("more", i + batch), word("value", i)).expect("room");
            if i % batch == 0 {
                map.root();
            }
        }
        println!("with a root every {batch}: {:?} each", start.elapsed() / count as u32);
    }

    let root = map.root();
    let start = std::time::Instant::now();
    let (mut steps, mut longest) = (0, 0);
    for (key, value) in entries.iter().take(100_000) {
        let proof = map.prove(key);
        assert_eq!(proof.verify(key, &root), Ok(Some(*value)));
        (steps, longest) = (steps + proof.len(), longest.max(proof.len()));
    }
    let each = start.elapsed() / 100_000;
    println!("prove and verify: {each:?} each, {steps} steps in 100000, the longest {longest}");

    let start = std::time::Instant::now();
    let mut writer = TileWriter::default();
    let mut bytes = 0;
    for (key, _) in &entries {
        let files = writer.append(&key.repeat(16)).expect("room");
        bytes += files.iter().map(|file| file.bytes.len()).sum::<usize>();
    }
    println!("append 1M records of 512 bytes: {:?}, {bytes} bytes of files", start.elapsed());
}
