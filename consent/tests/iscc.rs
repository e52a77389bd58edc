//! The ISCC codes are those of the reference implementation of ISO 24138.

use std::fs;
use std::path::Path;

use consent::fingerprint::{audio, text_code};
use protocol::ContentId;
use serde_json::Value;

fn vectors(group: &str) -> Vec<(String, Vec<Value>, Value)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/iscc/data.json");
    let text = fs::read_to_string(path).expect("the vectors are there");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    let group = all[group].as_object().expect("a group");
    let vector = |(name, vector): (&String, &Value)| {
        let inputs = vector["inputs"].as_array().expect("inputs").clone();
        (name.clone(), inputs, vector["outputs"].clone())
    };
    group.iter().map(vector).collect()
}

fn bits(input: &Value) -> u32 {
    input.as_u64().and_then(|bits| bits.try_into().ok()).expect("a number of bits")
}

fn numbers<T: TryFrom<i64>>(input: &Value) -> Vec<T> {
    let number = |n: &Value| n.as_i64().and_then(|n| n.try_into().ok()).expect("a number");
    input.as_array().expect("numbers").iter().map(number).collect()
}

fn bytes(input: &Value) -> Vec<u8> {
    let text = input.as_str().and_then(|text| text.strip_prefix("stream:")).expect("a stream");
    hex::decode(text).expect("hexadecimal")
}

fn digest(iscc: &Value) -> Vec<u8> {
    iscc_lib::iscc_decode(iscc.as_str().expect("a code")).expect("a code").4
}

#[test]
fn text_codes_are_the_reference_s() {
    let vectors = vectors("gen_text_code_v0");
    assert_eq!(vectors.len(), 5);
    let mut told = 0;
    for (name, inputs, outputs) in vectors {
        let text = inputs[0].as_str().expect("text");
        let code = iscc_lib::gen_text_code_v0(text, bits(&inputs[1])).expect(&name);
        assert_eq!(code.iscc, outputs["iscc"], "{name}");
        assert_eq!(code.characters as u64, outputs["characters"], "{name}");
        // Ours is the same or, where the text says too little, none.
        if let Some(ours) = text_code(text) {
            let expected = digest(&outputs["iscc"]);
            assert_eq!(ours[..expected.len()], expected, "{name}");
            told += 1;
        }
    }
    assert_eq!(told, 1);
}

#[test]
fn audio_codes_are_the_reference_s() {
    let vectors = vectors("gen_audio_code_v0");
    assert_eq!(vectors.len(), 5);
    for (name, inputs, outputs) in vectors {
        let expected = digest(&outputs["iscc"]);
        let ours = audio::code_of_features(&numbers::<i32>(&inputs[0]));
        assert_eq!(ours[..expected.len()], expected, "{name}");
        assert_eq!(expected.len() as u32 * 8, bits(&inputs[1]), "{name}");
    }
}

#[test]
fn image_and_data_codes_are_the_reference_s() {
    for (name, inputs, outputs) in vectors("gen_image_code_v0") {
        let pixels = numbers::<u8>(&inputs[0]);
        let code = iscc_lib::gen_image_code_v0(&pixels, bits(&inputs[1])).expect(&name);
        assert_eq!(code.iscc, outputs["iscc"], "{name}");
    }
    for (name, inputs, outputs) in vectors("gen_data_code_v0") {
        let code = iscc_lib::gen_data_code_v0(&bytes(&inputs[0]), bits(&inputs[1])).expect(&name);
        assert_eq!(code.iscc, outputs["iscc"], "{name}");
    }
}

#[test]
fn composite_codes_are_the_reference_s() {
    for (name, inputs, outputs) in vectors("gen_iscc_code_v0") {
        let units = inputs[0].as_array().expect("units");
        let units: Vec<&str> = units.iter().map(|unit| unit.as_str().expect("text")).collect();
        let code = iscc_lib::gen_iscc_code_v0(&units, false).expect(&name);
        assert_eq!(code.iscc, outputs["iscc"], "{name}");
    }
}

#[test]
fn a_content_id_is_the_iscc_datahash() {
    let vectors = vectors("gen_instance_code_v0");
    assert_eq!(vectors.len(), 3);
    for (name, inputs, outputs) in vectors {
        let bytes = bytes(&inputs[0]);
        let id = ContentId::of(&bytes);
        // As a multihash: 1e is BLAKE3, 20 are 32 bytes.
        assert_eq!(outputs["datahash"], format!("1e20{id}"), "{name}");
        let expected = digest(&outputs["iscc"]);
        assert_eq!(id.as_bytes()[..expected.len()], expected, "{name}");
        let code = iscc_lib::gen_instance_code_v0(&bytes, bits(&inputs[1])).expect(&name);
        assert_eq!(
            (code.iscc.as_str(), code.datahash),
            (outputs["iscc"].as_str().unwrap(), format!("1e20{id}"))
        );
    }
}
