//! Coming late, and coming back from another past.
//!
//! Invariants: a run stands still where a test needs it to, because a trainer that it needs is away.
//! What it is not: about peers that lie (see `forger`).

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::digits;
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
