//! An opt-out is heard everywhere while nodes die and come back: registered at any node, it is
//! refused by the gate of every node that runs.
//!
//! Invariants: a node is killed as `kill -9` does, and comes back on another port. The test says how
//! long it took and asserts only that all get there. What it is not: a measure of the machine; ten
//! nodes share its cores.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::dice::Dice;
use super::node::Node;

const NODES: usize = 10;
/// Of ten nodes, so many die and come back during the test.
const RESTARTING: usize = 3;
/// Works that are opted out, one after another.
const WORKS: usize = 12;

#[test]
fn an_opt_out_is_refused_everywhere_while_nodes_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let mut dice = Dice::new(7);
    let mut nodes: Vec<Node> = Vec::new();
    for at in 0..NODES {
        let known: Vec<&Node> = nodes.iter().rev().take(3).collect();
        let node = Node::start(dir, &format!("node-{at}"), &known);
        nodes.push(node);
    }
    for node in &nodes {
        // The first word of an identity takes its work; that is not what is measured here.
        opt_out(dir, node, &format!("first of {}", node.name));
    }
    let mut took = Vec::new();
    for work in 0..WORKS {
        let is_killing = work % (WORKS / RESTARTING) == 0;
        let victim = (work / (WORKS / RESTARTING)) * 3 + 1;
        if is_killing {
            nodes[victim].kill();
        }
        let mut speaker = dice.below(NODES as u64) as usize;
        if is_killing && speaker == victim {
            speaker = (speaker + 1) % NODES;
        }
        let file = opt_out(dir, &nodes[speaker], &format!("work {work}"));
        let said = Instant::now();
        if is_killing {
            let mut node = nodes.remove(victim);
            // While it starts it does not run; from then on it counts.
            let known: Vec<&Node> = nodes.iter().take(3).collect();
            node.restart(&known);
            let started = said.elapsed();
            node.json_that(&["consent", "check", &file, "--default", "opt-out"], refuses);
            took.push(said.elapsed() - started);
            nodes.insert(victim, node);
        }
        for node in &nodes {
            node.json_that(&["consent", "check", &file, "--default", "opt-out"], refuses);
            took.push(said.elapsed());
        }
    }
    took.sort();
    let at = |share: usize| took[(took.len() - 1) * share / 100];
    let shown: [Duration; 4] = [at(50), at(95), at(99), at(100)];
    println!("{} hearings: median, 95 %, 99 % and longest {shown:?}", took.len());
}

fn refuses(reply: &Value) -> bool {
    reply["refused"].as_u64() == Some(1)
}

/// Makes a work and opts it out at a node; says which file it is.
fn opt_out(dir: &Path, node: &Node, work: &str) -> String {
    let file = format!("{}.txt", work.replace(' ', "-"));
    fs::write(dir.join(&file), work).expect("written");
    node.json(&["consent", "opt-out", &file]);
    file
}
