//! Weights that are damaged or are no weights: refused wherever they could come in, with one line.
//!
//! Invariants: nothing of a refused file is shared. What it is not: a test of the reader, which has
//! its own; these are whole commands on whole files.

use std::fs;
use std::path::{Path, PathBuf};

use super::command::refused;
use super::digits;
use super::node::Node;

/// A safetensors header for tensors of four-byte numbers, by name, length and byte range.
fn header(tensors: &[(&str, usize, [usize; 2])]) -> String {
    let tensor = |(name, length, [begin, end]): &(&str, usize, [usize; 2])| {
        format!(
            "\"{name}\":{{\"dtype\":\"F32\",\"shape\":[{length}],\"data_offsets\":[{begin},{end}]}}"
        )
    };
    format!("{{{}}}", tensors.iter().map(tensor).collect::<Vec<_>>().join(","))
}

/// A weights file: what it says of its header's length, the header, and zeros.
fn weights(claimed: u64, header: &str, zeros: usize) -> Vec<u8> {
    [&claimed.to_le_bytes(), header.as_bytes(), &vec![0; zeros]].concat()
}

/// What a Python pickle of a small dictionary begins with.
const PICKLE: &[u8] = b"\x80\x04\x95\x0d\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s.";

#[test]
fn damaged_weights_are_refused_everywhere() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let node = Node::start(dir, "node", &[]);
    digits::write(dir, "digits.csv", 0..200);
    fs::write(dir.join("run.toml"), digits::run_file("digits.csv", "")).expect("written");
    node.json(&["run", "create", "run.toml"]);
    node.json(&["get", "me/digits", "--out", "good"]);
    let good = fs::read(dir.join("good/model.safetensors")).expect("there");
    let one = header(&[("a", 4, [0, 16])]);
    let two = header(&[("a", 2, [0, 8]), ("b", 2, [4, 12])]);
    let length = |text: &str| text.len() as u64;
    let cases = [
        ("truncated", good[..good.len() - 1].to_vec(), "truncated"),
        ("empty", Vec::new(), "truncated"),
        ("cut-header", good[..100].to_vec(), "truncated"),
        ("short", weights(length(&one), &one, 8), "truncated"),
        ("overlapping", weights(length(&two), &two, 12), "overlap"),
        ("endless", weights(1 << 63, &one, 16), "its header claims 9223372036854775808 bytes"),
        ("no-json", weights(16, "0123456789abcdef", 0), "header"),
    ];
    for (name, bytes, fault) in cases {
        let model = model(dir, name, &bytes);
        let at = model.join("model.safetensors").display().to_string();
        let share = refused(dir, 1, &["share", name, "--dir", "node"]);
        assert!(share.contains(&at), "{name}: {share}");
        let said = refused(
            dir,
            1,
            &["eval", &format!("./{name}"), "--data", "digits.csv", "--dir", "node"],
        );
        assert!(said.contains(name) && said.contains(fault), "{name}: {said}");
        assert!(is_about(&share, fault), "{name}: {share}");
    }
    assert_eq!(node.json(&["status"])["models"], 1, "nothing of them was shared");
}

#[test]
fn a_pickle_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let node = Node::start(dir, "node", &[]);
    for name in ["pytorch_model.bin", "model.safetensors", "notes.txt"] {
        fs::write(dir.join(name), PICKLE).expect("written");
        let said = refused(dir, 1, &["share", name, "--dir", "node"]);
        assert!(said.contains(name) && said.contains("pickle"), "{said}");
        assert!(said.contains("convert it to safetensors"), "{said}");
    }
    digits::write(dir, "digits.csv", 0..200);
    fs::write(dir.join("run.toml"), digits::run_file("digits.csv", "")).expect("written");
    node.json(&["run", "create", "run.toml"]);
    node.json(&["get", "me/digits", "--out", "good"]);
    model(dir, "pickled", PICKLE);
    let said = refused(dir, 1, &["share", "pickled", "--dir", "node"]);
    assert!(said.contains("pickled") && said.contains("pickle"), "{said}");
    let said = refused(dir, 1, &["eval", "./pickled", "--data", "digits.csv", "--dir", "node"]);
    assert!(said.contains("pickle"), "{said}");
    assert_eq!(node.json(&["status"])["models"], 1, "nothing of them was shared");
}

/// A model like the good one, with these bytes for weights.
fn model(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let model = dir.join(name);
    fs::create_dir(&model).expect("made");
    fs::copy(dir.join("good/config.json"), model.join("config.json")).expect("copied");
    fs::write(model.join("model.safetensors"), bytes).expect("written");
    model
}

/// Whether what `share` says is about this fault: it reads only the header, and has words of its
/// own.
fn is_about(said: &str, fault: &str) -> bool {
    match fault {
        "truncated" => said.contains("damaged") || said.contains("safetensors file"),
        fault => said.contains(fault) || said.contains("safetensors file"),
    }
}
