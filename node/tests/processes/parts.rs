//! Who has which part in a run, changed while it goes on, and the log that shows it.
//!
//! Invariants: three stewards, of whom all must agree; trainers come in by invitation only.
//! What it is not: stewards who lie (the simulator has those).

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::digits;
use super::node::{Node, Watch};

const ROUNDS: u64 = 60;

/// Three stewards in a run that wants invitations, of which each may give one. A round needs three of four
/// updates, so that the run stands still while two trainers are away.
fn begin(dir: &Path) -> (Vec<Node>, String) {
    let mut nodes: Vec<Node> = Vec::new();
    for name in ["ada", "bob", "cleo"] {
        nodes.push(Node::start(dir, name, &nodes.iter().collect::<Vec<_>>()));
    }
    let keys: Vec<String> = nodes.iter().map(|node| format!("{:?}", node.key)).collect();
    let keys = keys.join(", ");
    let rest = format!(
        "stewards = [{keys}]\n\n[admission]\ninvited = [{keys}]\nvouches_max = 1\n\
         probation_rounds = 2\n\n[rounds]\ncount = {ROUNDS}\nupdates_min = 3\ntrain_seconds = 5\n\
         agree_ms = 200\n"
    );
    digits::write(dir, "all.csv", 0..600);
    fs::write(dir.join("run.toml"), digits::run_file("all.csv", &rest)).expect("written");
    let view = nodes[0].json(&["run", "create", "run.toml"]);
    let run = view["run"].as_str().expect("an id").to_owned();
    for (at, node) in nodes.iter().enumerate() {
        digits::write(dir, &format!("{}.csv", node.name), at * 100..(at + 1) * 100);
        node.wait_for_run(&run);
    }
    (nodes, run)
}

fn join(node: &Node, run: &str) {
    node.json(&["run", "join", run, "--data", &format!("{}.csv", node.name)]);
}

fn members(node: &Node, run: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let answer = node.json_that(&["run", "members", run], |answer| wanted(&answer["members"]));
    answer["members"].clone()
}

/// These stewards move it, and `seen_by` hears so.
fn all_move(stewards: &[&Node], run: &str, change: &str, of: &Node, seen_by: &Node) {
    for steward in stewards {
        steward.json(&["run", "motion", run, change, &of.key]);
    }
    let moved_by = |it: &Value| it["motions"][0]["moved_by"].as_array().map(Vec::len);
    members(seen_by, run, |it| moved_by(it) == Some(stewards.len()));
}

/// Lets the run go on until `wanted`, by letting `node` train; then it stands still again.
fn go_on(node: &Node, run: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    join(node, run);
    let members = members(node, run, wanted);
    node.json(&["run", "leave", run]);
    members
}

#[test]
fn trainers_are_invited_and_removed_and_stewards_appointed_and_dismissed() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let (nodes, run) = begin(dir);
    let [ada, bob, cleo] = &nodes[..] else { unreachable!("there are three") };
    let dora = Node::start(dir, "dora", &[ada, bob, cleo]);
    dora.wait_for_run(&run);
    digits::write(dir, "dora.csv", 300..400);
    let invitation = invites(&nodes, &dora, &run);
    dora.json(&["run", "join", &run, "--data", "dora.csv", "--invitation", &invitation]);
    dora.json(&["run", "follow", &run]);

    // A motion waits for all three, and the next round carries it out.
    let said = dora.refuses(&["run", "motion", &run, "appoint", &dora.key], 1);
    assert!(said.contains("no steward"), "{said}");
    let said = ada.refuses(&["run", "motion", &run, "appoint", &bob.key], 2);
    assert!(said.contains("a steward already"), "{said}");
    all_move(&[ada, bob, cleo], &run, "appoint", &dora, ada);
    join(bob, &run);
    let is_four = |it: &Value| it["stewards"].as_array().map(Vec::len) == Some(4);
    let seen = go_on(ada, &run, is_four);
    let known = seen["members"].as_array().expect("members");
    let known = known.iter().find(|member| member["trainer"] == *dora.key).expect("she counted");
    assert_eq!(known["voucher"], *ada.key, "{seen:#}");
    let said = ada.refuses(&["run", "invite", &run, &dora.key], 1);
    assert!(said.contains("brought in the 1"), "{said}");

    // The new steward's vote counts: three of four remove and then dismiss the fourth.
    members(&dora, &run, is_four);
    all_move(&[&dora, ada, bob], &run, "remove", cleo, ada);
    let is_removed = |it: &Value| {
        let removed = |member: &Value| member["trainer"] == *cleo.key && member["removed"] == true;
        it["members"].as_array().is_some_and(|members| members.iter().any(removed))
    };
    go_on(ada, &run, is_removed);
    members(cleo, &run, is_removed);
    let said = cleo.refuses(&["run", "join", &run, "--data", "cleo.csv"], 1);
    assert!(said.contains("removed this node"), "{said}");
    members(&dora, &run, is_removed);
    members(bob, &run, is_removed);
    all_move(&[&dora, ada, bob], &run, "dismiss", cleo, ada);
    let is_gone = |it: &Value| {
        let stewards = it["stewards"].as_array().expect("stewards");
        stewards.len() == 3 && stewards.iter().all(|key| *key != *cleo.key)
    };
    go_on(ada, &run, is_gone);

    let watches = [ada, bob, &dora].map(|node| node.watch(&run));
    join(ada, &run);
    watches.into_iter().for_each(Watch::finish);
    let said = ada.refuses(&["run", "motion", &run, "dismiss", &bob.key], 1);
    assert!(said.contains("finished"), "{said}");
    log_shows_it(dir, &dora, &run);
    audits(dir, &[ada, bob, &dora], &run);
}

/// Without an invitation nobody comes in, nor with one that is for another node.
fn invites(nodes: &[Node], dora: &Node, run: &str) -> String {
    let said = dora.refuses(&["run", "join", run, "--data", "dora.csv"], 1);
    assert!(said.contains("not invited") && said.contains("accord run invite"), "{said}");
    let text = |reply: &Value| reply["invitation"]["invitation"].as_str().expect("text").to_owned();
    let other = text(&nodes[1].json(&["run", "invite", run, &nodes[2].key]));
    let wrong = ["run", "join", run, "--data", "dora.csv", "--invitation", &other];
    assert!(dora.refuses(&wrong, 2).contains("for another node"));
    text(&nodes[0].json(&["run", "invite", run, &dora.key]))
}

fn log_shows_it(dir: &Path, node: &Node, run: &str) {
    let log = node.lines(&["run", "log", run, "--follow"]);
    assert_eq!(log.len() as u64, ROUNDS);
    let changes: Vec<&Value> =
        log.iter().flat_map(|round| round["changes"].as_array().expect("changes")).collect();
    let named: Vec<&str> = changes.iter().filter_map(|it| it["change"].as_str()).collect();
    assert_eq!(named, ["appoint", "remove", "dismiss"]);
    assert!(changes.iter().all(|change| change["cause"] == "motion"));
    let counted = log[0]["accepted"].as_array().expect("updates");
    assert!(counted.iter().all(|update| update["used"].as_u64() > Some(0)), "{counted:?}");
    let text = node.ask(&["run", "log", run, "--from", &ROUNDS.to_string()]).out;
    assert!(text.contains("signed by 3 stewards") && text.contains("weight"), "{text}");

    node.json(&["run", "export", run, "--out", "appendix", "--updates"]);
    let certificates = fs::read_dir(dir.join("appendix/certificates")).expect("written");
    assert_eq!(certificates.count() as u64, ROUNDS);
    let lines = fs::read_to_string(dir.join("appendix/log.jsonl")).expect("written");
    let written: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(written.len(), log.len());
    assert_eq!(fs::read_dir(dir.join("appendix/changes")).expect("written").count(), 3);
    for update in written.iter().flat_map(|round| round["accepted"].as_array().expect("some")) {
        let hash = update["update"].as_str().expect("a hash");
        let bytes = fs::read(dir.join("appendix/updates").join(hash)).expect("written");
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), hash);
    }
    let said = node.refuses(&["run", "export", run, "--out", "appendix"], 1);
    assert!(said.contains("is not empty"), "{said}");
}

fn audits(dir: &Path, nodes: &[&Node], run: &str) {
    let stranger = Node::start(dir, "stranger", nodes);
    stranger.wait_for_run(run);
    let whole = stranger.json(&["audit", run]);
    assert_eq!((whole["first"].as_u64(), whole["rounds"].as_u64()), (Some(1), Some(ROUNDS)));
    // From a round that is trusted, on a node that has nothing else.
    let log = nodes[0].lines(&["run", "log", run]);
    let (eighth, id) = (&log[7], log[7]["id"].as_str().expect("an id"));
    assert_eq!(eighth["round"], 8);
    let part = stranger.json(&["audit", run, "--from", &format!("8:{id}")]);
    assert_eq!((part["first"].as_u64(), part["rounds"].as_u64()), (Some(9), Some(ROUNDS - 8)));
    assert_eq!((&part["model"], &part["id"]), (&whole["model"], &whole["id"]));
    let other = log[6]["id"].as_str().expect("an id");
    let said = stranger.refuses(&["audit", run, "--from", &format!("8:{other}")], 1);
    assert!(said.contains("not the one that you trust"), "{said}");
    assert!(stranger.refuses(&["audit", run, "--from", "8"], 2).contains("ROUND:ID"));
}
