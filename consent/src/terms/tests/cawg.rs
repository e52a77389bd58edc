//! What the assertion may say, older layouts, pictures, and what Spawning's gate lets pass.

use super::container::tests::{jpeg_with, jumbf_segments, png_with, webp_with};
use super::jumbf::tests::{boxed, superbox};
use super::*;
use Trust::{Unvalidated, Validated};
use Value::{Allow, Constrained, Deny, Unset};

const CAWG: &str = "cawg.training-mining";
const USES: [Use; 4] = [Use::TrainOther, Use::TrainGenerative, Use::Mine, Use::Ground];

fn values(found: &Found) -> [Value; 4] {
    USES.map(|atom| found.value(atom))
}

fn cbor(json: &str) -> Vec<u8> {
    let tree = tree::json(json.as_bytes()).expect("JSON");
    let mut bytes = Vec::new();
    ciborium::into_writer(&tree, &mut bytes).expect("CBOR");
    bytes
}

/// The three answers that an assertion has, each for one use.
const EXAMPLE: &str = r#"{"entries": {
    "cawg.ai_training": {"use": "allowed"},
    "cawg.ai_generative_training": {"use": "notAllowed"},
    "cawg.data_mining": {"use": "constrained",
        "constraint_info": "once a year, for a catalogue of the works"}}}"#;

#[test]
fn each_answer_of_an_assertion_counts() {
    let validated = [Allow, Deny, Constrained, Unset];
    assert_eq!(values(&read_json(EXAMPLE.as_bytes(), CAWG, Validated)), validated);
    assert_eq!(values(&read_cbor(&cbor(EXAMPLE), CAWG, Validated)), validated);
    let unvalidated = read_json(EXAMPLE.as_bytes(), CAWG, Unvalidated);
    assert_eq!(values(&unvalidated), [Unset, Deny, Constrained, Unset]);
    let term = &unvalidated.terms()[0];
    assert_eq!(term.qualifiers, ["cawg.data_mining: once a year, for a catalogue of the works"]);
    assert_eq!(term.origin.version, CAWG);
    assert!(unvalidated.excludes(Use::Mine), "constrained without an agreement is no");
}

/// The shape of c2pa-rs `cli/tests/fixtures/do_not_train.json`, and both layouts of entries.
#[test]
fn older_labels_and_layouts() {
    let entries = r#""c2pa.ai_generative_training": {"use": "notAllowed"},
        "c2pa.ai_inference": {"use": "notAllowed"}, "c2pa.ai_training": {"use": "notAllowed"},
        "c2pa.data_mining": {"use": "notAllowed"}"#;
    for text in [
        format!("{{\"entries\": {{{entries}}}}}"),
        format!("{{{entries}}}"),
        format!("{{{entries}, \"metadata\": {{\"x\": 1}}}}"),
        format!("{{\"entries\": {{}}, {entries}}}"),
    ] {
        let found = read_json(text.as_bytes(), "c2pa.training-mining", Unvalidated);
        assert_eq!(values(&found), [Deny; 4], "{text}");
    }
}

#[test]
fn what_cannot_be_read_excludes() {
    for text in [
        "",
        "[]",
        "3",
        r#"{"entries": []}"#,
        r#"{"entries": {"cawg.ai_training": {}}}"#,
        r#"{"entries": {"cawg.ai_training": "notAllowed"}}"#,
        r#"{"entries": {"cawg.ai_training": {"use": "NotAllowed"}}}"#,
        r#"{"entries": {"cawg.later": {"use": "notAllowed"}}}"#,
        r#"{"entries": {"cawg.ai_training": {"use": "notAllowed", "use": "allowed"}}}"#,
    ] {
        let found = read_json(text.as_bytes(), CAWG, Validated);
        assert!(found.fault().is_some() && found.excludes(Use::Index), "{text}");
    }
    let nothing = r#"{"entries": {"com.example.x": {"use": "notAllowed"}, "cawg.later": {"use": "allowed"}}}"#;
    assert_eq!(read_json(nothing.as_bytes(), CAWG, Validated), Found::Nothing);
}

fn store(label: &str, content: &[u8]) -> Vec<u8> {
    let assertion = superbox(label, content);
    superbox("c2pa", &superbox("urn:uuid:1", &superbox("c2pa.assertions", &assertion)))
}

#[test]
fn assertions_in_pictures_restrict_and_never_permit() {
    let bytes = boxed(b"cbor", &cbor(EXAMPLE));
    for label in ["cawg.training-mining", "c2pa.training-mining__2"] {
        let store = store(label, &bytes);
        for picture in [
            jpeg_with(&jumbf_segments(&store, 1)),
            jpeg_with(&jumbf_segments(&store, 3)),
            png_with(&[(b"caBX", store.clone())]),
            webp_with(&[(b"C2PA", store.clone())]),
        ] {
            assert_eq!(values(&read_picture(&picture)), [Unset, Deny, Constrained, Unset]);
        }
    }
    let allow = r#"{"entries": {"cawg.ai_training": {"use": "allowed"}}}"#;
    let store = store(CAWG, &boxed(b"json", allow.as_bytes()));
    assert_eq!(read_picture(&png_with(&[(b"caBX", store)])), Found::Nothing);
    assert_eq!(read_picture(&png_with(&[])), Found::Nothing);
}

/// Spawning-Inc/datadiligence `rules/_c2pa.py` answers "allowed" in each of these.
#[test]
fn what_spawning_s_gate_lets_pass() {
    let deny = r#"{"entries": {"cawg.ai_training": {"use": "notAllowed"}}}"#;
    let constrained = r#"{"entries": {"c2pa.ai_training": {"use": "constrained"}}}"#;
    let whole = store(CAWG, &boxed(b"cbor", &cbor(deny)));
    let cases = [
        ("the label of today", whole.clone()),
        ("constrained", store("c2pa.training-mining", &boxed(b"cbor", &cbor(constrained)))),
        ("an exception: cut off", whole[..whole.len() - 4].to_vec()),
        ("an exception: no CBOR", store(CAWG, &boxed(b"cbor", b"\xff"))),
        ("an exception: no map", store(CAWG, &boxed(b"cbor", b"\x01"))),
        ("compressed", superbox("c2pa", &boxed(b"brob", b"c2ma...."))),
    ];
    for (case, store) in cases {
        let found = read_picture(&png_with(&[(b"caBX", store)]));
        assert!(found.excludes(Use::TrainOther), "{case}");
    }
}

/// A picture with a store that the reference implementation wrote.
#[test]
fn a_picture_that_c2pa_signed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/c2pa/refused.png");
    let picture = std::fs::read(path).expect(path);
    let found = read_picture(&picture);
    assert!(found.fault().is_none(), "{found:?}");
    assert_eq!(values(&found), [Deny; 4]);
    // Cut off anywhere inside, it excludes.
    assert!(read_picture(&picture[..picture.len() / 2]).excludes(Use::TrainOther));
}

/// However much of the front of a refusing picture is there, past its mark it excludes.
#[test]
fn a_refusal_that_is_cut_off_stays_a_refusal() {
    let deny = r#"{"entries": {"cawg.ai_training": {"use": "notAllowed"}}}"#;
    let store = store(CAWG, &boxed(b"cbor", &cbor(deny)));
    for picture in [
        jpeg_with(&jumbf_segments(&store, 2)),
        png_with(&[(b"caBX", store.clone())]),
        webp_with(&[(b"C2PA", store.clone())]),
    ] {
        for end in 12..=picture.len() {
            assert!(read_picture(&picture[..end]).excludes(Use::TrainOther), "{end}");
        }
    }
}
