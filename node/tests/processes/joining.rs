//! Coming late, and coming back from another past.
//!
//! Invariants: a run stands still where a test needs it to, because a trainer that it needs is away.
//! What it is not: about liars with a say (the simulator has those).

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::digits;
use super::forger::Forger;
use super::liar::{self, Liar};
use super::node::Node;

const LATE: u64 = 200;

/// Creates a run on `creator`, which alone certifies it.
fn create(dir: &Path, creator: &Node, rounds: u64, updates_min: u64) -> String {
    let rest = format!(
        "[rounds]\ncount = {rounds}\nupdates_min = {updates_min}\ntrain_seconds = 2\n\
         agree_ms = 100\n\n[admission]\nprobation_rounds = 0\n\n[local]\nepochs = 1\n"
    );
    digits::write(dir, "all.csv", 0..100);
    fs::write(dir.join("run.toml"), digits::run_file("all.csv", &rest)).expect("written");
    creator.json(&["run", "create", "run.toml"])["run"].as_str().expect("an id").to_owned()
}

/// Lets a node train in the run on 20 rows of its own.
fn join(dir: &Path, node: &Node, run: &str, part: usize) {
    node.wait_for_run(run);
    let data = format!("part-{part}.csv");
    digits::write(dir, &data, part * 20..(part + 1) * 20);
    node.json(&["run", "join", run, "--data", &data]);
}

#[test]
fn who_joins_at_round_200_counts_in_the_next_round_and_is_exact() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let steward = Node::start(dir, "steward", &[]);
    let mut leaver = Node::start(dir, "leaver", &[&steward]);
    let run = create(dir, &steward, LATE + 40, 2);
    join(dir, &steward, &run, 0);
    let watch = steward.watch(&run);
    join(dir, &leaver, &run, 1);
    assert!(watch.reach(LATE), "so many rounds are certified");
    // A laptop closes: the run waits for a second trainer.
    leaver.kill();
    let round = |view: &Value| view["round"].as_u64().expect("a round");
    let stands = steward.json(&["run", "status", &run]);
    let late = Node::start(dir, "late", &[&steward]);
    join(dir, &late, &run, 2);
    assert!(watch.reach(round(&stands) + 3), "the run goes on with who came late");
    let log = steward.lines(&["run", "log", &run]);
    let counts = |round: &&Value| {
        let accepted = round["accepted"].as_array().expect("updates");
        accepted.iter().any(|update| update["trainer"] == *late.key)
    };
    let first = log.iter().find(counts).expect("it counts")["round"].as_u64();
    // One round more may have been certified with the last that the leaver sent.
    let stood = round(&stands);
    assert!(first > Some(LATE) && first <= Some(stood + 2), "{first:?} after {stood}");

    while watch.round().is_some() {}
    let ends = [&steward, &late].map(|node| {
        let finished = |view: &Value| view["finished"] == true;
        node.json_that(&["run", "status", &run], finished)["model"].clone()
    });
    assert_eq!(ends[0], ends[1]);
    let audit = late.json(&["audit", &run]);
    assert_eq!(audit["model"], ends[0]);
}

/// The liar of all whose key comes first.
fn first_liar() -> u8 {
    let key = |seed: &u8| liar::secret(*seed).public();
    (0..=u8::MAX).min_by_key(key).expect("there are some")
}

/// A node whose key comes after this one, so that whoever asks in their order asks it later.
fn start_after(dir: &Path, name: &str, first: &str, peers: &[&Node]) -> Node {
    let mut tries = (0..10).map(|at| Node::start(dir, &format!("{name}{at}"), peers));
    tries.find(|node| *node.key > *first).expect("one in a hundred does not")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_among_liars_is_exact_and_names_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    // One of four stewards lies; it is one of two that serve wrong bytes for whatever is asked for.
    let lies = first_liar();
    let first = liar::secret(lies).public().to_string();
    let mut nodes: Vec<Node> = Vec::new();
    for name in ["ada", "bob", "cleo"] {
        nodes.push(start_after(dir, name, &first, &nodes.iter().collect::<Vec<_>>()));
    }
    let keys: Vec<String> = nodes.iter().map(|node| format!("{:?}", node.key)).collect();
    let stewards = format!("{}, \"{first}\"", keys.join(", "));
    let rest = format!(
        "stewards = [{stewards}]\n\n[rounds]\ncount = 60\nupdates_min = 3\ntrain_seconds = 2\n\
         agree_ms = 100\n\n[admission]\nprobation_rounds = 0\n\n[local]\nepochs = 1\n"
    );
    digits::write(dir, "all.csv", 0..100);
    fs::write(dir.join("run.toml"), digits::run_file("all.csv", &rest)).expect("written");
    let run = nodes[0].json(&["run", "create", "run.toml"]);
    let run = run["run"].as_str().expect("an id").to_owned();
    let watch = nodes[0].watch(&run);
    for (part, node) in nodes.iter().enumerate() {
        join(dir, node, &run, part);
    }
    assert!(watch.reach(30), "three of four certify without the liar");
    nodes[2].json(&["run", "leave", &run]);

    let late = Node::start(dir, "late", &nodes.iter().collect::<Vec<_>>());
    let mut liars = Vec::new();
    for seed in [lies, lies.wrapping_add(1)] {
        let forger = Forger::start(&liar::secret(seed)).await;
        let addresses = forger.addresses.clone();
        let mut liar = Liar::connect_with_data(seed, &late.addresses, addresses).await;
        let dropped = tokio::spawn(async move { liar.dropped().await });
        liars.push((dropped, forger));
    }
    join(dir, &late, &run, 3);
    while watch.round().is_some() {}
    let finished = |view: &Value| view["finished"] == true;
    let ends = [&nodes[0], &late].map(|node| node.json_that(&["run", "status", &run], finished));
    assert_eq!(ends[0]["model"], ends[1]["model"]);
    let counted = |round: &Value| round["accepted"].to_string().contains(&late.key);
    assert!(late.lines(&["run", "log", &run]).iter().any(counted), "it has trained");
    assert_eq!(late.json(&["audit", &run])["model"], ends[0]["model"]);
    let (dropped, _forger) = liars.swap_remove(0);
    dropped.await.expect("the one with a vote was asked first, and is out");
}

#[test]
fn a_steward_from_a_backup_forks_the_run_and_everyone_sees_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let mut steward = Node::start(dir, "steward", &[]);
    let run = create(dir, &steward, 400, 1);
    assert_eq!(steward.stop().code, Some(0));
    let copied = Command::new("cp").args(["-r", "steward", "backup"]).current_dir(dir).status();
    assert!(copied.expect("copied").success());

    // The one branch, which somebody follows.
    steward.restart(&[]);
    let follower = Node::start(dir, "follower", &[&steward]);
    follower.wait_for_run(&run);
    follower.json(&["run", "follow", &run]);
    join(dir, &steward, &run, 0);
    let some = |view: &Value| view["round"].as_u64() > Some(2);
    follower.json_that(&["run", "status", &run], some);
    steward.json(&["run", "leave", &run]);
    steward.kill();
    // The other, of whoever restores the backup and trains on.
    let mut backup = Node::start(dir, "backup", &[]);
    assert_eq!(backup.key, steward.key);
    join(dir, &backup, &run, 1);
    backup.json_that(&["run", "status", &run], some);
    backup.json(&["run", "leave", &run]);
    backup.kill();
    backup.restart(&[&follower]);
    join(dir, &backup, &run, 1);
    let forked = |view: &Value| view["forks"].as_array().is_some_and(|forks| !forks.is_empty());
    let view = follower.json_that(&["run", "status", &run], forked);
    let fork = &view["forks"][0];
    assert_eq!(fork["signed_both"], serde_json::json!([steward.key]), "{view:#}");
    assert_ne!(fork["ours"], fork["theirs"]);
    let history = view["history"].as_array().expect("rounds");
    let at = fork["round"].as_u64().expect("a round") as usize - 1;
    assert_eq!(history[at]["id"], fork["ours"], "its own branch is as it was");
    let text = follower.ask(&["run", "status", &run]).out;
    assert!(text.contains("FORK: round") && text.contains("merges nothing"), "{text}");
}
