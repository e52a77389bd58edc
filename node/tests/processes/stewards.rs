//! Four stewards, one of whom dies and stays dead: the other three certify every round.
//!
//! Invariants: a certificate has at least three signatures, and a node that took no part verifies
//! them all. What it is not: stewards who lie.

use std::fs;

use super::digits;
use super::node::{Node, Watch};

const STEWARDS: usize = 4;
const TRAINERS: usize = 3;
const ROUNDS: u64 = 5;
/// Of four stewards, more than two thirds.
const QUORUM: u64 = 3;
/// The round in or after which one steward dies.
const LAST_WITH_ALL: u64 = 2;

#[test]
fn three_of_four_stewards_finish_a_run() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut nodes: Vec<Node> = Vec::new();
    for at in 1..=STEWARDS {
        nodes.push(Node::start(
            dir.path(),
            &format!("node-{at}"),
            &nodes.iter().collect::<Vec<_>>(),
        ));
    }
    let keys: Vec<String> = nodes.iter().map(|node| format!("{:?}", node.key)).collect();
    let rest = format!(
        "stewards = [{}]\n\n[rounds]\ncount = {ROUNDS}\nupdates_min = 2\ntrain_seconds = 5\n\
         agree_ms = 200\n",
        keys.join(", ")
    );
    digits::write(dir.path(), "all.csv", 0..600);
    fs::write(dir.path().join("run.toml"), digits::run_file("all.csv", &rest)).expect("written");
    let view = nodes[0].json(&["run", "create", "run.toml"]);
    let run = view["run"].as_str().expect("an id").to_owned();
    for (at, node) in nodes.iter().enumerate() {
        node.wait_for_run(&run);
        if at < TRAINERS {
            let data = format!("part-{at}.csv");
            digits::write(dir.path(), &data, at * 200..(at + 1) * 200);
            node.json(&["run", "join", &run, "--data", &data]);
        }
    }
    assert!(nodes[0].watch(&run).reach(LAST_WITH_ALL), "the run is under way");
    nodes[TRAINERS].kill();
    let others: Vec<&Node> = nodes[..TRAINERS].iter().collect();
    let watches: Vec<Watch> = others.iter().map(|node| node.watch(&run)).collect();
    watches.into_iter().for_each(Watch::finish);

    let stranger = Node::start(dir.path(), "stranger", &others);
    stranger.wait_for_run(&run);
    let audit = stranger.json(&["audit", &run]);
    assert_eq!(audit["rounds"], ROUNDS);
    assert!(audit["signatures"].as_u64() >= Some(ROUNDS * QUORUM), "{audit:#}");
    for node in others {
        let view = node.json(&["run", "status", &run]);
        assert_eq!(view["model"], audit["model"], "{}: {view:#}", node.name);
        for round in view["history"].as_array().expect("rounds") {
            assert!(round["signatures"].as_u64() >= Some(QUORUM), "{}: {round:#}", node.name);
        }
    }
}
