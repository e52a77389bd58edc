//! What a policy accepts: the grammar line by line, and the counting of witnesses.

use super::super::checkpoint::Checkpoint;
use super::super::cosignature;
use super::super::tree::TreeHash;
use super::super::vkey::SigningKey;
use super::*;
use crate::key::SecretKey;

fn key(name: &str, algorithm: Algorithm, seed: u8) -> SigningKey {
    SigningKey::new(name, algorithm, SecretKey::from_seed(&[seed; 32])).expect("name")
}

fn log() -> SigningKey {
    key("log.example", Algorithm::Ed25519, 100)
}

fn witness(number: u8) -> SigningKey {
    key(&format!("w{number}.example"), Algorithm::Cosignature, number)
}

/// A log, witnesses `w1` to `w6`, then `lines`.
fn text(lines: &str) -> String {
    let witnesses: String =
        (1..=6).map(|n| format!("witness w{n} {}\n", witness(n).public())).collect();
    format!("log {}\n{witnesses}{lines}", log().public())
}

fn policy(lines: &str) -> TrustPolicy {
    TrustPolicy::parse(text(lines).as_bytes()).expect("a policy")
}

/// A checkpoint cosigned by these witnesses at these times.
fn note(cosigned: &[(u8, u64)]) -> Vec<u8> {
    let checkpoint =
        Checkpoint::new("log.example", 1, TreeHash::of_entry(b"a"), Vec::new()).expect("parts");
    let mut note = checkpoint.clone().sign(&[&log()]).expect("a text").note().clone();
    let lines = cosigned
        .iter()
        .map(|(n, time_s)| cosignature::sign(&checkpoint, &witness(*n), *time_s).expect("a time"));
    note.push(lines).expect("room");
    note.to_bytes()
}

#[test]
fn groups_of_groups_count_as_they_say() {
    // Two of the first three, and any of the others.
    let policy = policy(
        "group first 2 w1 w2 w3\n\
         group others any w4 w5 w6\n\
         group both all first others\n\
         quorum both\n",
    );
    for subset in 0u8..64 {
        let who: Vec<u8> = (1..=6).filter(|n| subset >> (n - 1) & 1 == 1).collect();
        let x = who.iter().filter(|n| **n <= 3).count();
        let cosigned: Vec<(u8, u64)> = who.iter().map(|n| (*n, 1)).collect();
        let result = policy.check(&note(&cosigned));
        if x >= 2 && who.len() > x {
            assert_eq!(result.map(|trusted| trusted.cosigned.len()), Ok(who.len()));
        } else {
            assert_eq!(result, Err(TrustError::Quorum(who.len())));
        }
    }
}

#[test]
fn times_are_those_that_a_quorum_stands_for() {
    let policy = policy("group q 2 w1 w2 w3\nquorum q\n");
    let times = |cosigned: &[(u8, u64)]| {
        let trusted = policy.check(&note(cosigned)).expect("a quorum");
        (trusted.settled_s, trusted.fresh_s)
    };
    assert_eq!(times(&[(1, 10), (2, 20), (3, 30)]), (Some(20), Some(20)));
    // One that lies, either way, moves neither past an honest one.
    assert_eq!(times(&[(1, 1), (2, 20), (3, 30)]), (Some(20), Some(20)));
    assert_eq!(times(&[(1, 10), (2, 20), (3, 9_000)]), (Some(20), Some(20)));
    assert_eq!(times(&[(1, 10), (2, 20)]), (Some(20), Some(10)));
    // Signing twice is not being two, and a witness outside the group does not count.
    let twice = policy.check(&note(&[(1, 10), (1, 20), (6, 5)]));
    assert_eq!(twice, Err(TrustError::Quorum(2)));
    assert_eq!(times(&[(1, 10), (1, 40), (2, 20)]), (Some(20), Some(20)));
}

#[test]
fn a_single_witness_or_none_may_be_the_quorum() {
    assert!(policy("quorum w2\n").check(&note(&[(2, 1)])).is_ok());
    assert_eq!(policy("quorum w2\n").check(&note(&[(1, 1)])), Err(TrustError::Quorum(1)));
    let trusted = policy("quorum none\n").check(&note(&[])).expect("needs no witness");
    assert_eq!((trusted.cosigned, trusted.settled_s, trusted.fresh_s), (vec![], None, None));
}

#[test]
fn other_logs_and_forged_lines_are_refused() {
    let policy = policy("quorum none\n");
    let by = |origin: &str, key: &SigningKey| {
        let checkpoint = Checkpoint::new(origin, 1, TreeHash::EMPTY, Vec::new()).expect("parts");
        policy.check(&checkpoint.sign(&[key]).expect("a text").note().to_bytes())
    };
    assert!(by("log.example", &log()).is_ok());
    assert_eq!(by("other", &log()), Err(TrustError::UnknownLog("other".into())));
    let other = key("log.example", Algorithm::Ed25519, 101);
    assert!(matches!(by("log.example", &other), Err(TrustError::Checkpoint(_))));
    let mut text = String::from_utf8(note(&[(1, 1)])).expect("text");
    let last = text.len() - 10;
    text.replace_range(last..last + 1, if &text[last..last + 1] == "A" { "B" } else { "A" });
    assert!(matches!(policy.check(text.as_bytes()), Err(TrustError::Forged(_))));
}

#[test]
fn every_line_is_understood_or_refused() {
    let line_error = |lines: &str| match TrustPolicy::parse(text(lines).as_bytes()) {
        Err(PolicyError::Line(_, error)) => Some(error),
        Err(error) => panic!("{error}"),
        Ok(_) => None,
    };
    let w1 = witness(1).public().to_string();
    let log_vkey = log().public().to_string();
    let renamed = key("w1-again", Algorithm::Cosignature, 1).public().to_string();
    let new = witness(7).public().to_string();
    for (lines, error) in [
        ("quorums w1\n", PolicyLineError::Form),
        ("quorum\n", PolicyLineError::Form),
        ("quorum w1 w2\n", PolicyLineError::Form),
        ("group g any\n", PolicyLineError::Form),
        ("log\n", PolicyLineError::Form),
        ("quorum w1\r\n", PolicyLineError::Character),
        ("quorum w7\n", PolicyLineError::UnknownName),
        ("quorum w1\nquorum w2\n", PolicyLineError::DuplicateQuorum),
        ("group g any none\n", PolicyLineError::UnknownName),
        ("group g any g\n", PolicyLineError::UnknownName),
        ("group g any w1 w1\n", PolicyLineError::DuplicateMember),
        ("group g any w1\ngroup h any w1\n", PolicyLineError::DuplicateMember),
        ("group w1 any w2\n", PolicyLineError::DuplicateName),
        ("group none any w2\n", PolicyLineError::DuplicateName),
        ("group g 0 w1\n", PolicyLineError::Threshold),
        ("group g 3 w1 w2\n", PolicyLineError::Threshold),
        ("group g +1 w1 w2\n", PolicyLineError::Threshold),
        ("group g some w1 w2\n", PolicyLineError::Threshold),
        ("group g 99999999999999999999 w1\n", PolicyLineError::Threshold),
        (&format!("witness again {w1}\n"), PolicyLineError::DuplicateKey),
        (&format!("witness again {renamed}\n"), PolicyLineError::DuplicateKey),
        (&format!("witness w1 {new}\n"), PolicyLineError::DuplicateName),
        (&format!("log {log_vkey}\n"), PolicyLineError::DuplicateKey),
        (&format!("log {new}\n"), PolicyLineError::KeyType),
        ("log \u{e9}\n", PolicyLineError::Key(VkeyError::Form)),
        ("witness a b\n", PolicyLineError::Key(VkeyError::Form)),
    ] {
        assert_eq!(line_error(lines), Some(error), "{lines:?}");
    }
    assert_eq!(line_error(" \t\n  # any\u{e9} comment\n\tquorum\t w1 \n\n"), None);
    assert_eq!(line_error("group g 01 w1\nquorum g\n# last\n"), None);
    assert_eq!(TrustPolicy::parse(text("").as_bytes()), Err(PolicyError::NoQuorum));
    assert_eq!(TrustPolicy::parse(b"quorum none"), Err(PolicyError::CutOff));
    assert_eq!(TrustPolicy::parse(b""), Err(PolicyError::CutOff));
    assert!(TrustPolicy::parse(b"quorum none\n").is_ok());
    let long = vec![b'#'; LOG_POLICY_BYTES_MAX + 1];
    assert_eq!(TrustPolicy::parse(&long), Err(PolicyError::TooLong(long.len())));
}

#[test]
fn names_are_octets() {
    let mut bytes = text("").into_bytes();
    bytes.extend_from_slice(b"group \xff\xfe any w1\nquorum \xff\xfe\n");
    assert!(TrustPolicy::parse(&bytes).is_ok());
}
