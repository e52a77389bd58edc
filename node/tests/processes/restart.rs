//! A node that was killed and started again is reached where it listens now.
//!
//! Regression: iroh sends everything for a peer along the path of its open connections, so a peer
//! that died and came back on other ports could not be fetched from until the old ones had timed out.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::node::Node;

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
