//! Proofs about a round, made at the nodes of a run and checked by somebody who has only the files.
//!
//! Invariants: every proof is checked by our program and, where `.ci/run` names a Python, by
//! `docs/verify.py`; one that somebody else could want and this node cannot make is refused in one
//! line. What it is not: a test of the forms (see `consent::proof`).

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::command::{json, refused};
use super::digits;
use super::log::python;
use super::node::Node;
use super::process::PATIENCE;

const ROUNDS: u64 = 3;
/// Rows that are taken out, the first ones of bob's table.
const TAKEN_OUT: usize = 10;
/// Rows of each trainer's table.
const ROWS: usize = 200;

#[test]
fn what_a_round_used_can_be_shown_to_anyone() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let alice = Node::start(dir, "alice", &[]);
    let bob = Node::start(dir, "bob", &[&alice]);
    let carol = Node::start(dir, "carol", &[&alice, &bob]);
    digits::write(dir, "mine.csv", 0..TAKEN_OUT);
    let opted = carol.json(&["consent", "opt-out", "mine.csv", "--identity", "artist"]);
    let record = opted["records"].as_array().and_then(|all| all.last()).expect("a record");
    let record = record.as_str().expect("an id").to_owned();
    for node in [&alice, &bob] {
        node.json_that(&["consent", "check", "mine.csv", "--default", "opt-out"], |reply| {
            reply["allowed"] == 0
        });
    }

    digits::write(dir, "all.csv", 0..2 * ROWS);
    let rest = format!("\n[rounds]\ncount = {ROUNDS}\nupdates_min = 2\nagree_ms = 200\n");
    fs::write(dir.join("run.toml"), digits::run_file("all.csv", &rest)).expect("written");
    let view = alice.json(&["run", "create", "run.toml"]);
    let run = view["run"].as_str().expect("an id").to_owned();
    for (at, node) in [&bob, &carol].into_iter().enumerate() {
        node.wait_for_run(&run);
        let data = format!("{}.csv", node.name);
        digits::write(dir, &data, at * ROWS..(at + 1) * ROWS);
        node.json(&["run", "join", &run, "--data", &data]);
    }
    alice.watch(&run).finish();
    for node in [&bob, &carol] {
        let finished = |view: &serde_json::Value| view["history"].as_array().map(Vec::len);
        node.json_that(&["run", "status", &run], |view| finished(view) == Some(ROUNDS as usize));
    }

    let about = ["consent", "prove", "--run", &run, "--round", "2"];
    let proved = |node: &Node, more: &[&str], out: &str| {
        let deadline = Instant::now() + PATIENCE;
        let args = [&about[..], more, &["--out", out]].concat();
        while node.ask(&args).code != Some(0) {
            assert!(Instant::now() < deadline, "{:?}", node.ask(&args));
        }
        let shown = json(dir, &["consent", "verify-proof", out]);
        python(dir, &[out, "--run", &run]);
        shown["shows"].to_string()
    };
    // Any node that follows the run: the round bound a ledger that has the record.
    let shown = proved(&alice, &["--record", &record], "bound.proof");
    assert!(shown.contains(&record) && shown.contains("round 2"), "{shown}");
    // The trainer that has the row: it was left out, because of the record.
    let shown = proved(&bob, &["--file", "mine.csv", "--row", "1"], "left-out.proof");
    assert!(shown.contains("left out") && shown.contains(&record), "{shown}");
    // The trainer that never had it: it was not used.
    let shown = proved(&carol, &["--file", "mine.csv", "--row", "1"], "unused.proof");
    assert!(shown.contains("was not among") && !shown.contains("left out"), "{shown}");

    // What was used has no proof of the contrary, and a steward has no list of its trainers'.
    let used = [&about[..], &["--file", "bob.csv", "--row", "11", "--dir", "bob"]].concat();
    assert!(refused(dir, 1, &used).contains("used"));
    let stranger = [&about[..], &["--file", "mine.csv", "--row", "1", "--dir", "alice"]].concat();
    assert!(refused(dir, 1, &stranger).contains("trainer"));
    flipped(dir, "left-out.proof");
}

/// No bit of the file can be turned; every seventh is tried here, all in `consent`'s tests.
fn flipped(dir: &Path, name: &str) {
    let whole = fs::read(dir.join(name)).expect("read");
    for at in (0..whole.len()).step_by(whole.len() / 20 + 1) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(dir.join("changed.proof"), changed).expect("written");
        refused(dir, 1, &["consent", "verify-proof", "changed.proof"]);
    }
}
