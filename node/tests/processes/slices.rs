//! A run whose rounds are cut in slices: trainers work the aggregate out, and the steward takes their word.
//!
//! Invariants: every node is honest. What it is not: a test of those who lie about slices, which is the
//! simulator's.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::digits;
use super::node::Node;

const TRAINERS: [&str; 6] = ["bob", "cleo", "dora", "emil", "fay", "gus"];

/// The file of a blob that is large enough to have one.
fn blob(dir: &Path, node: &str, hash: &Value) -> std::path::PathBuf {
    let hash = hash.as_str().expect("a hash");
    dir.join(node).join("blobs/data").join(format!("{hash}.data"))
}

#[test]
fn trainers_work_out_slices_and_the_steward_needs_no_update() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    digits::write(dir, "all.csv", 0..600);
    let steward = Node::start(dir, "ada", &[]);
    let mut trainers: Vec<Node> = Vec::new();
    for (at, name) in TRAINERS.iter().enumerate() {
        digits::write(dir, &format!("{name}.csv"), at * 100..(at + 1) * 100);
        trainers.push(Node::start(dir, name, &[&steward]));
    }
    let rounds = "[rounds]\ncount = 5\nupdates_min = 5\ntrain_seconds = 5.0\nagree_ms = 4000\n\
                  slices = 4\naudits = 0\n\n[admission]\nprobation_rounds = 0\n";
    // Forty thousand parameters, ten chunks: an update is a file, where one has it whole.
    let label = "label = \"label\"\n";
    let file = digits::run_file("all.csv", rounds);
    let file = file.replace(label, &format!("{label}hidden = [512]\n"));
    fs::write(dir.join("run.toml"), file).expect("written");
    let view = steward.json(&["run", "create", "run.toml"]);
    let run = view["run"].as_str().expect("an id").to_owned();
    let watch = steward.watch(&run);
    for node in &trainers {
        node.wait_for_run(&run);
        node.json(&["run", "join", &run, "--data", &format!("{}.csv", node.name)]);
    }
    let third = |view: &Value| view["round"].as_u64() >= Some(3);
    steward.json_that(&["run", "status", &run], third);
    // One of those who may have been asked is gone: the other two, or the steward, do without.
    trainers.remove(0).kill();
    watch.finish();

    let log = steward.lines(&["run", "log", &run]);
    assert_eq!(log.len(), 5);
    let held = |round: usize| {
        let updates = log[round - 1]["accepted"].as_array().expect("updates");
        assert!(updates.len() >= 5, "{updates:?}");
        updates.iter().filter(|it| blob(dir, "ada", &it["update"]).exists()).count()
    };
    // Before anybody has a standing, the steward works everything out by itself.
    assert!(held(1) >= 5);
    assert_eq!((held(2), held(3)), (0, 0), "of the others it had parts");

    // Whoever recomputes all of it from whole updates comes to the same.
    let peers: Vec<&Node> = std::iter::once(&steward).chain(&trainers).collect();
    let bob = Node::start(dir, "bob", &peers);
    bob.wait_for_run(&run);
    bob.json_that(&["status"], |view| {
        view["peers"].as_array().is_some_and(|peers| peers.len() == 6)
    });
    assert_eq!(bob.json(&["audit", &run])["rounds"], 5);
}
