//! `kill -9` of any one node at any moment: it starts again and the run goes on. Twenty times.
//!
//! Invariants: who is killed and when comes from a seed, which a failure names; what the run then
//! arrives at is one root on all nodes, which an audit recomputes.
//! What it is not: a proof about every moment; the simulator looks at more of them.

use std::path::Path;

use serde_json::Value;

use super::dice::Dice;
use super::digits;
use super::node::{Node, Watch};

/// Kills in one run: each node once.
const KILLS: usize = 4;
const TRAINERS: usize = 3;
/// Rounds certified between two kills, at most.
const ROUNDS_BETWEEN: u64 = 3;
/// Rounds of a run: many more than go by during all kills.
const ROUNDS: u64 = 48;
/// A kill comes during or after so many questions at most, each of which takes some milliseconds.
const QUESTIONS: u64 = 8;

#[test]
fn each_node_is_killed_once_first() {
    killed(1);
}

#[test]
fn each_node_is_killed_once_second() {
    killed(2);
}

#[test]
fn each_node_is_killed_once_third() {
    killed(3);
}

#[test]
fn each_node_is_killed_once_fourth() {
    killed(4);
}

#[test]
fn each_node_is_killed_once_fifth() {
    killed(5);
}

/// A cluster with one run, in which each of four nodes is killed once.
fn killed(seed: u64) {
    // Shown if the test fails.
    eprintln!("the seed is {seed}");
    let dir = tempfile::tempdir().expect("a directory");
    let mut dice = Dice::new(seed);
    let (mut nodes, run) = cluster(dir.path());
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, dice.below(at as u64 + 1) as usize);
    }
    let mut reached = 0;
    for (number, victim) in order.into_iter().take(KILLS).enumerate() {
        let observer = &nodes[(victim + 1 + dice.below(3) as usize) % nodes.len()];
        reached += 1 + dice.below(ROUNDS_BETWEEN);
        assert!(observer.watch(&run).reach(reached), "kill {number}: the run is under way");
        for _ in 0..dice.below(QUESTIONS) {
            observer.json(&["run", "status", &run]);
        }
        let round = observer.json(&["run", "status", &run])["round"].as_u64().unwrap_or_default();
        eprintln!("kill {number}: {} in round {}", nodes[victim].name, round + 1);
        nodes[victim].kill();
        let mut node = nodes.remove(victim);
        node.restart(&nodes.iter().collect::<Vec<_>>());
        nodes.insert(victim, node);
        reached = round;
    }
    let watches: Vec<Watch> = nodes.iter().map(|node| node.watch(&run)).collect();
    watches.into_iter().for_each(Watch::finish);
    let views: Vec<Value> = nodes.iter().map(|node| node.json(&["run", "status", &run])).collect();
    for view in &views {
        assert_eq!(view["round"], ROUNDS, "{view:#}");
        assert_eq!(view["model"], views[0]["model"], "{view:#}");
    }
    let audit = nodes[TRAINERS].json(&["audit", &run]);
    assert_eq!((&audit["rounds"], &audit["model"]), (&ROUNDS.into(), &views[0]["model"]));
}

/// Three trainers and a steward that does not train, with a run under way.
fn cluster(dir: &Path) -> (Vec<Node>, String) {
    let steward = Node::start(dir, "steward", &[]);
    let mut nodes = vec![steward];
    digits::write(dir, "all.csv", 0..600);
    let rest = format!(
        "[rounds]\ncount = {ROUNDS}\nupdates_min = 2\ntrain_seconds = 2\nagree_ms = 100\n\n\
         [local]\nepochs = 4\n"
    );
    std::fs::write(dir.join("run.toml"), digits::run_file("all.csv", &rest)).expect("written");
    let run = nodes[0].json(&["run", "create", "run.toml"])["run"].clone();
    let run = run.as_str().expect("an id").to_owned();
    for at in 0..TRAINERS {
        let name = format!("trainer-{}", at + 1);
        nodes.push(Node::start(dir, &name, &nodes.iter().collect::<Vec<_>>()));
        nodes[at + 1].wait_for_run(&run);
        let data = format!("{name}.csv");
        digits::write(dir, &data, at * 200..(at + 1) * 200);
        nodes[at + 1].json(&["run", "join", &run, "--data", &data]);
    }
    (nodes, run)
}
