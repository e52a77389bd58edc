//! A node that was killed and started again is reached where it listens now, and goes on with what it
//! had begun.
//!
//! Regression: iroh sends everything for a peer along the path of its open connections, so a peer
//! that died and came back on other ports could not be fetched from until the old ones had timed out.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::digits;
use super::node::Node;

const ROUNDS: u64 = 6;

#[test]
fn a_node_that_was_killed_serves_and_fetches_again_at_the_first_try() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let stays = Node::start(dir, "stays", &[]);
    let mut dies = Node::start(dir, "dies", &[&stays]);
    // Connections of the data plane both ways.
    hand_over(dir, &stays, &dies, "one");
    hand_over(dir, &dies, &stays, "two");
    dies.kill();
    dies.restart(&[&stays]);
    hand_over(dir, &dies, &stays, "three");
    hand_over(dir, &stays, &dies, "four");
}

#[test]
fn peers_are_remembered() {
    let dir = tempfile::tempdir().expect("a directory");
    let known = Node::start(dir.path(), "known", &[]);
    let mut node = Node::start(dir.path(), "node", &[&known]);
    node.json_that(&["status"], |status| status["peers"][0]["remembered"] == true);
    node.kill();
    node.restart(&[]);
    node.json_that(&["status"], |status| status["peers"][0]["node"] == *known.key);
}

/// One node shares a repo and the other gets it; a transfer that fails ends the test.
fn hand_over(dir: &Path, from: &Node, to: &Node, name: &str) {
    let file = format!("{name}.txt");
    fs::write(dir.join(&file), name.repeat(20_000)).expect("written");
    from.json(&["share", &file, "--name", name]);
    let is_shared = |m: &Value| m["name"] == name && m["owner"] == *from.identity;
    to.json_that(&["models"], |models| models.as_array().expect("models").iter().any(is_shared));
    let got = to.json(&["get", &format!("{}/{name}", from.identity)]);
    assert_eq!(got["from"], serde_json::json!([from.key]), "{got:#}");
}

#[test]
fn a_creator_that_only_publishes_takes_its_run_up_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let mut creator = Node::start(dir, "creator", &[]);
    let steward = Node::start(dir, "steward", &[&creator]);
    let rest = format!(
        "stewards = [{:?}]\n\n[rounds]\ncount = {ROUNDS}\nupdates_min = 2\ntrain_seconds = 5\n",
        steward.key
    );
    digits::write(dir, "all.csv", 0..400);
    fs::write(dir.join("run.toml"), digits::run_file("all.csv", &rest)).expect("written");
    let view = creator.json(&["run", "create", "run.toml"]);
    let run = view["run"].as_str().expect("an id").to_owned();
    steward.wait_for_run(&run);
    digits::write(dir, "one.csv", 0..200);
    steward.json(&["run", "join", &run, "--data", "one.csv"]);
    let trainer = Node::start(dir, "trainer", &[&steward]);
    trainer.wait_for_run(&run);
    digits::write(dir, "two.csv", 200..400);
    let watch = steward.watch(&run);
    trainer.json(&["run", "join", &run, "--data", "two.csv"]);
    assert!(watch.reach(1), "the run is under way");
    creator.kill();
    while watch.round().is_some() {}

    creator.restart(&[&steward]);
    let published = |view: &Value| view["published"].is_string();
    let view = creator.json_that(&["run", "status", &run], published);
    assert_eq!(view["round"], ROUNDS, "{view:#}");
    let at_two = |models: &Value| models[0]["seq"] == 2 && models[0]["owner"] == *creator.identity;
    trainer.json_that(&["models"], at_two);
}
