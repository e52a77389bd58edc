//! Notes, a log's files and a witness's answers as others have published them.
//!
//! No file of theirs is here: Ed25519 signs the same text the same way each time, so from the keys
//! that they published for tests the same bytes come out again, and their hash is compared with the
//! one of what was published. Where they come from stands in `tests/vectors/{signed-note,
//! tlog-tiles,tlog-witness}/README.md`.

use std::collections::BTreeMap;
use std::convert::Infallible;

use protocol::log::audit::{
    prove_consistency, prove_inclusion, verify_consistency, verify_inclusion,
};
use protocol::log::note::VerifyError;
use protocol::log::tile::{
    TileKind, TilePath, TileReader, TileWriter, TiledHashes, parse_entries, parse_hashes,
};
use protocol::log::tree::{self, HashSource};
use protocol::log::vkey::Algorithm;
use protocol::log::witness::{AddCheckpoint, Witness};
use protocol::log::{Checkpoint, Note, SignedCheckpoint, SigningKey, TreeHash, VerifierKey};
use protocol::{PublicKey, SecretKey};
use sha2::{Digest, Sha256};

fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The keys of Go's package `note` in its examples, the second from 32 bytes of zero.
const NOTE_SECRET: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const NOTE_PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const NOTE_TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                         then you don't know what your problem is.\n";
/// The note with one signature and with two.
const NOTE_SHA256: [&str; 2] = [
    "537569759e8fc05d0cd7cbd8beb018f45cf8229f5b270aa1c829445405bab98e",
    "1374ee56887c46f80f2777a4bf282de90a1aa767f2a1bd1010e16544cc3455c9",
];

#[test]
fn the_notes_of_go_are_the_ones_that_we_sign() {
    let public: VerifierKey = NOTE_PUBLIC.parse().expect("a key");
    let one = SigningKey::from_secret_text(NOTE_SECRET).expect("a key");
    assert_eq!((one.public(), public.to_string().as_str()), (&public, NOTE_PUBLIC));
    assert_eq!(one.to_secret_text(), NOTE_SECRET);
    let zeros = SecretKey::from_seed(&[0; 32]);
    let two = SigningKey::new("EnochRoot", Algorithm::Ed25519, zeros).expect("a name");
    for (keys, published) in [&[&one][..], &[&one, &two]].into_iter().zip(NOTE_SHA256) {
        let signed = Note::sign(NOTE_TEXT, keys).expect("a text");
        assert_eq!(sha256(signed.to_bytes()), published);
        let read = Note::parse(&signed.to_bytes()).expect("a note");
        assert_eq!((read.text(), read.to_bytes()), (NOTE_TEXT, signed.to_bytes()));
        assert_eq!(read.verify(std::slice::from_ref(&public)).map(|v| v.len()), Ok(1));
        let both = [public.clone(), two.public().clone()];
        assert_eq!(read.verify(&both).map(|v| v.len()), Ok(keys.len()));
        assert_eq!(read.verify(&both[1..]).is_ok(), keys.len() == 2);
    }
    let strangers = [key("stranger.example", 7).public().clone()];
    let signed = Note::sign(NOTE_TEXT, &[&one]).expect("a text");
    assert_eq!(signed.verify(&strangers), Err(VerifyError::Unsigned));
}

/// The key of tessera's test log, and its entries.
const LOG_SECRET: &str = "PRIVATE+KEY+example.com/log/testdata+33d7b496+\
                          AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg";
const LOG_PUBLIC: &str = "example.com/log/testdata+33d7b496+\
                          AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx";
const LOG_ENTRIES: [&str; 15] = [
    "one", "two", "three", "four", "five", "six", "seven", "eit", "nain", "ten", "ileven", "twelf",
    "threeten", "fourten", "fivten",
];
/// Of 47 files, the hash of what `sha256sum` says of all, sorted by path.
const LOG_FILES: usize = 47;
const LOG_SHA256: &str = "8b2e3c1495fa9cffa6dcde4e8cd94ca624a67536d19edcf61ea2fdbc52356443";

/// The files of a log by their paths.
struct Files(BTreeMap<String, Vec<u8>>);

impl TileReader for &Files {
    type Error = String;

    fn read(&self, path: &TilePath) -> Result<Vec<u8>, Self::Error> {
        self.0.get(&path.to_string()).cloned().ok_or_else(|| format!("{path} is not there"))
    }
}

/// The log as it is after each entry, with the checkpoint of each size, none included.
fn written_log() -> Files {
    let signer = SigningKey::from_secret_text(LOG_SECRET).expect("a key");
    let origin = signer.public().name();
    let mut writer = TileWriter::default();
    let mut files = BTreeMap::new();
    for size in 0..=LOG_ENTRIES.len() {
        if let Some(entry) = size.checked_sub(1).map(|index| LOG_ENTRIES[index]) {
            assert!(writer.append(entry.as_bytes()).expect("room").is_empty(), "none is full");
            let partial = writer.partial_files();
            assert_eq!(partial.len(), 2);
            files.extend(partial.into_iter().map(|file| (file.path.to_string(), file.bytes)));
        }
        let checkpoint = Checkpoint::new(origin, writer.size(), writer.root(), Vec::new());
        let signed = checkpoint.expect("parts").sign(&[&signer]).expect("a text");
        let note = signed.note().to_bytes();
        files.insert(format!("checkpoint.{size}"), note.clone());
        files.insert("checkpoint".into(), note);
    }
    Files(files)
}

#[test]
fn the_log_of_tessera_is_the_one_that_we_write() {
    let log = written_log();
    let line = |(path, file): (&String, &Vec<u8>)| format!("{}  {path}\n", sha256(file));
    let sums: String = log.0.iter().map(line).collect();
    assert_eq!((log.0.len(), sha256(sums).as_str()), (LOG_FILES, LOG_SHA256));
}

#[test]
fn the_log_of_tessera_reads_and_proves_itself() {
    let key: VerifierKey = LOG_PUBLIC.parse().expect("a key");
    let log = written_log();
    let open = |size: u64| {
        let note = &log.0[&format!("checkpoint.{size}")];
        let signed = SignedCheckpoint::open(note, key.name(), std::slice::from_ref(&key));
        let signed = signed.unwrap_or_else(|e| panic!("checkpoint {size}: {e}"));
        assert_eq!(signed.checkpoint().size(), size);
        signed.checkpoint().root()
    };
    assert_eq!(open(0), TreeHash::EMPTY);
    for size in 1..=LOG_ENTRIES.len() as u64 {
        let bundle = TilePath::in_log(TileKind::Entries, 0, size).expect("there");
        let bytes = (&log).read(&bundle).expect("there");
        let entries = parse_entries(&bundle, &bytes).expect("a bundle");
        assert_eq!(entries, LOG_ENTRIES.map(str::as_bytes)[..size as usize]);
        let again = TileWriter::resume(size, &open(size), &&log).expect("whole");
        assert_eq!((again.size(), again.root()), (size, open(size)));
        for file in again.partial_files() {
            assert_eq!((&log).read(&file.path), Ok(file.bytes));
        }

        let tile = TilePath::in_log(TileKind::Hashes(0), 0, size).expect("there");
        let hashes = parse_hashes(&tile, &(&log).read(&tile).expect("there")).expect("a tile");
        let source = TiledHashes::new(size, &log);
        for at in 0..size {
            assert_eq!(hashes[at as usize], TreeHash::of_entry(entries[at as usize]));
            let proof = prove_inclusion(at, size, &source).expect("tiles");
            let result = verify_inclusion(&hashes[at as usize], at, size, &proof, &open(size));
            assert_eq!(result, Ok(()));
            let proof = prove_consistency(at + 1, size, &source).expect("tiles");
            let result = verify_consistency(at + 1, &open(at + 1), size, &open(size), &proof);
            assert_eq!(result, Ok(()));
        }
    }
}

/// The seed of litewitness's test, what its keys are derived for, and the log's public key.
const WITNESS_TEST_SEED: &str = "b4e385f4358f7373cfa9184b176f3cccf808e795baf04092ddfde9461014f0c4";
const WITNESS_TEST_SALT: &[u8] = b"litewitness gentest";
const WITNESSED_LOG_KEY: &str = "ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f";
/// The hash of the nine requests, one after the other.
const REQUESTS_SHA256: &str = "f5663c925a32cd946e579fd4d77da4e1894dd2a37e2b43b1beff4eb4c9add1c6";

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let padded = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(key).for_each(|(block, key)| *block ^= key);
        block
    };
    let inner = parts.iter().fold(Sha256::new_with_prefix(padded(0x36)), Digest::chain_update);
    Sha256::new_with_prefix(padded(0x5c)).chain_update(inner.finalize()).finalize().into()
}

/// HKDF with SHA-256 (RFC 5869), without an `info`: two times 32 bytes, for the log and the witness.
fn witness_test_seeds() -> [[u8; 32]; 2] {
    let secret = hmac(WITNESS_TEST_SALT, &[&hex::decode(WITNESS_TEST_SEED).expect("hex")]);
    let first = hmac(&secret, &[&[1]]);
    [first, hmac(&secret, &[&first, &[2]])]
}

/// A tree whose leaves' hashes are 42, their number, and zeros.
struct Numbered;

impl Numbered {
    fn leaf(index: u64) -> TreeHash {
        let mut bytes = [0; 32];
        (bytes[0], bytes[1]) = (42, index as u8);
        TreeHash::from_bytes(bytes)
    }

    fn root(size: u64) -> TreeHash {
        tree::root((0..size).map(Self::leaf))
    }
}

impl HashSource for Numbered {
    type Error = Infallible;

    fn hash(&self, level: u8, index: u64) -> Result<TreeHash, Infallible> {
        Ok(tree::root(((index << level)..((index + 1) << level)).map(Self::leaf)))
    }
}

/// The request to go from one size to another.
fn request(log: &SigningKey, old_size: u64, size: u64) -> AddCheckpoint {
    let proof = prove_consistency(old_size, size, &Numbered).unwrap_or_default();
    let origin = log.public().name();
    let checkpoint = Checkpoint::new(origin, size, Numbered::root(size), Vec::new());
    let signed = checkpoint.expect("parts").sign(&[log]).expect("a text");
    AddCheckpoint { old_size, proof, note: signed.note().clone() }
}

fn text(request: &AddCheckpoint) -> String {
    String::from_utf8(request.to_bytes()).expect("text")
}

/// What litewitness is asked, and with which status we answer. Two answers differ from its own on
/// purpose: the specification of today says 404 to an unknown log, where it said 403; and a
/// signature whose base64 has bits left over is no base64 to us, where it said 403 too.
fn requests(log: &SigningKey) -> [(String, u16); 9] {
    let grown = request(log, 1, 3);
    let (origin, line) = (log.public().name(), grown.note.to_string());
    let mut other_log = origin.to_owned();
    other_log.replace_range(origin.len() - 1.., "3");
    let mut other_line = line[..line.len() - 3].to_owned();
    other_line.push_str("x=\n");
    let mut other_hash = *grown.proof[1].as_bytes();
    other_hash[31] = 16;
    let other_proof = vec![grown.proof[0], TreeHash::from_bytes(other_hash)];
    [
        (text(&request(log, 0, 1)), 200),
        (text(&grown).replace(&line, &other_line), 400),
        (text(&grown).replace(origin, &other_log), 404),
        (text(&AddCheckpoint { proof: Vec::new(), ..grown.clone() }), 422),
        (text(&AddCheckpoint { proof: other_proof, ..grown.clone() }), 422),
        (text(&grown), 200),
        (text(&request(log, 1, 5)), 409),
        (text(&request(log, 3, 5)), 200),
        (text(&request(log, 0, 5)), 409),
    ]
}

/// The status and body with which a witness answers.
fn answer(witness: &mut Witness, body: &str) -> (u16, String) {
    let Ok(request) = AddCheckpoint::parse(body.as_bytes()) else { return (400, String::new()) };
    assert_eq!(request.to_bytes(), body.as_bytes());
    match witness.add_checkpoint(&request) {
        Ok(pending) => (200, pending.persisted(1).expect("a time").to_string()),
        Err(refusal) => (refusal.status(), refusal.body()),
    }
}

#[test]
fn our_witness_answers_what_litewitness_is_asked() {
    let [log_seed, witness_seed] = witness_test_seeds();
    let log_secret = SecretKey::from_seed(&log_seed);
    let public: PublicKey = WITNESSED_LOG_KEY.parse().expect("a key");
    assert_eq!(log_secret.public(), public);
    let origin = format!("sigsum.org/v1/tree/{}", sha256(public.as_bytes()));
    let log = SigningKey::new(&origin, Algorithm::Ed25519, log_secret).expect("a name");
    let requests = requests(&log);
    let bodies: String = requests.iter().map(|(body, _)| body.as_str()).collect();
    assert_eq!(sha256(bodies), REQUESTS_SHA256);

    let secret = SecretKey::from_seed(&witness_seed);
    let name = "example.com/witness";
    let key = SigningKey::new(name, Algorithm::Cosignature, secret).expect("a name");
    let mut witness = Witness::new(key).expect("a cosigner's key");
    witness.watch(&origin, vec![log.public().clone()], None).expect("room");
    let mut latest = 0;
    for (number, (body, expected)) in requests.iter().enumerate() {
        let (status, said) = answer(&mut witness, body);
        assert_eq!(status, *expected, "request {}: {said}", number + 1);
        if status == 409 {
            assert_eq!(said, format!("{latest}\n"), "the size to go on from");
        }
        if status == 200 {
            assert!(said.starts_with(&format!("— {name} ")));
        }
        latest = witness.latest(&origin).map_or(0, |latest| latest.checkpoint().size());
    }
    assert_eq!(latest, 5);
}

fn key(name: &str, seed: u8) -> SigningKey {
    SigningKey::new(name, Algorithm::Ed25519, SecretKey::from_seed(&[seed; 32])).expect("a name")
}

/// As with Go's checksum database: the key is not named as the log is.
#[test]
fn a_log_s_key_may_have_another_name_than_its_checkpoints() {
    let (origin, signer) = ("a database of sums", key("sums.example", 1));
    let checkpoint = Checkpoint::new(origin, 5, Numbered::root(5), Vec::new()).expect("parts");
    let note = checkpoint.sign(&[&signer]).expect("a text").note().clone();
    let cosigner = SecretKey::from_seed(&[2; 32]);
    let cosigner = SigningKey::new("w.example", Algorithm::Cosignature, cosigner);
    let mut witness = Witness::new(cosigner.expect("a name")).expect("a cosigner's key");
    let request = AddCheckpoint { old_size: 0, proof: Vec::new(), note };
    let keys = vec![signer.public().clone()];
    witness.watch(signer.public().name(), keys, None).expect("room");
    assert_eq!(answer(&mut witness, &text(&request)).0, 404, "a log is known by its origin");
    witness.watch(origin, vec![signer.public().clone()], None).expect("room");
    assert_eq!(answer(&mut witness, &text(&request)).0, 200);
    assert_eq!(witness.latest(origin).map(|c| c.checkpoint().size()), Some(5));
}
