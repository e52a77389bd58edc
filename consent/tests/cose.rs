//! The golden records under `tests/vectors/cose/` are what this code signs, byte for byte.
//!
//! A COSE library of somebody else verifies the same files: see `tests/outside/cose.py`. Signing is
//! deterministic and the keys are fixed, so a difference is a change of the wire format.
//! `ACCORD_WRITE_VECTORS=1` writes the files anew.

use std::fs;
use std::path::Path;

use consent::{Genesis, Lift, Record, Rotation, Statement, Use, payload, record_id};
use protocol::{ContentId, FileHash, RecordId, SecretKey, Signed, codec};

fn daily() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

fn root() -> SecretKey {
    SecretKey::from_seed(&[2; 32])
}

/// A feed of one identity, by the names of its files: one record of each kind.
fn feed() -> Vec<(&'static str, Signed<Record>)> {
    let root_commitment = payload::root_commitment(&root().public());
    let works = |n: u8| (0..n).map(|work| ContentId::of(&[work]));
    let deny = Statement::deny(&Use::TRAINING).over(works(3)).remove(0);
    let allow = Statement::allow(&[Use::Mine], 1_800_000_000_000).over(works(200)).remove(0);
    let rotation = Rotation {
        daily: SecretKey::from_seed(&[3; 32]).public(),
        root_commitment: FileHash::of(b"the next root key"),
    };
    let mut feed: Vec<(&str, Signed<Record>)> = Vec::new();
    let mut add = |name, kind: &str, payload: Vec<u8>, key: SecretKey| {
        let prev: Option<RecordId> = feed.last().map(|(_, record)| record_id(record));
        let (author, seq) = (daily().public(), feed.len() as u64);
        let record =
            Record { author, feed: 0, seq, prev, kind: kind.into(), payload, remark: None };
        let signed = Signed::sign(record, &key);
        let id = record_id(&signed);
        feed.push((name, signed));
        id
    };
    add("genesis", payload::GENESIS, codec::encode(&Genesis { root_commitment, work: 0 }), daily());
    let denied = add("deny", payload::STATEMENT, codec::encode(&deny), daily());
    add("allow", payload::STATEMENT, codec::encode(&allow), daily());
    let lift = Lift { statements: vec![denied] };
    add("lift", payload::LIFT, codec::encode(&lift), root());
    add("rotation", payload::KEY_ROTATION, codec::encode(&rotation), root());
    add("unknown", "of-a-later-version", vec![0xff, 0x00], daily());
    feed
}

#[test]
fn the_golden_records_are_what_we_sign() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/cose");
    let feed = feed();
    for (name, record) in &feed {
        let path = folder.join(format!("{name}.cbor"));
        if std::env::var_os("ACCORD_WRITE_VECTORS").is_some() {
            fs::write(&path, record.bytes()).expect("the folder can be written");
        }
        let golden = fs::read(&path).expect("the golden record is there");
        assert_eq!(hex::encode(&golden), hex::encode(record.bytes()), "{name}");
        assert_eq!(Signed::<Record>::open(&golden).as_ref(), Ok(record), "{name}");
    }
    let files = fs::read_dir(&folder).expect("the folder is there");
    let is_record = |name: &str| name.ends_with(".cbor");
    let names = files.map(|entry| entry.expect("an entry").file_name().into_string());
    assert_eq!(names.filter(|name| name.as_deref().is_ok_and(is_record)).count(), feed.len());
}
