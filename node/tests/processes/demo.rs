//! `accord demo` that does not come to its end: nothing of it stays behind.
//!
//! Invariants: a node runs as long as its directory is locked, which the system sees to. What it is
//! not: what the demo shows; the demo checks that by itself.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::sync_channel;
use std::thread;

use serde_json::Value;

use super::command::program;
use super::process::{Ended, PATIENCE, Process};

const NODES: usize = 4;

#[test]
fn nodes_end_when_their_demo_is_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut demo = started(dir.path(), &["demo", "--keep", "kept"]);
    let kept = dir.path().join("kept");
    let locks = held(&kept);
    demo.kill();
    let (sender, receiver) = sync_channel(NODES);
    for lock in locks {
        let sender = sender.clone();
        thread::spawn(move || sender.send(lock.lock()));
    }
    for _ in 0..NODES {
        let free = receiver.recv_timeout(PATIENCE).expect("all nodes end soon");
        free.expect("a lock is free when its node has ended");
    }
    for node in 1..=NODES {
        let address = kept.join(format!("node-{node}/api.json"));
        assert!(!address.exists(), "node-{node} ends in order");
    }
}

#[test]
fn a_demo_that_is_told_to_stop_leaves_nothing_behind() {
    let ended = stopped("-TERM", &["demo"]);
    assert_eq!(ended.err, "accord: stopped");
}

#[test]
fn a_demo_whose_terminal_goes_away_leaves_nothing_behind() {
    let ended = stopped("-HUP", &["--json", "demo"]);
    let last = ended.out.lines().last().unwrap_or_default();
    let failure: Value = serde_json::from_str(last).expect("a JSON line");
    assert_eq!((&failure["error"], &failure["usage"]), (&"stopped".into(), &false.into()));
    assert_eq!(ended.err, "");
}

/// A demo that got a signal once its nodes were up: they have ended, and its files are gone.
fn stopped(signal: &str, args: &[&str]) -> Ended {
    let dir = tempfile::tempdir().expect("a directory");
    let demo = started(dir.path(), args);
    let temporary = fs::read_dir(dir.path().join("tmp")).expect("its directory");
    let made: Vec<_> = temporary.map(|entry| entry.expect("an entry").path()).collect();
    let [made] = &made[..] else { panic!("the demo makes one directory, not {made:?}") };
    let locks = held(made);
    let id = demo.id().to_string();
    let kill = Process::start("kill", Command::new("kill").args([signal, &id]));
    assert_eq!(kill.end().code, Some(0), "the signal is sent");
    let ended = demo.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for lock in locks {
        lock.try_lock().expect("no node runs any more");
    }
    let left = fs::read_dir(dir.path().join("tmp")).expect("its directory");
    assert_eq!(left.count(), 0, "nothing is left of {}", made.display());
    ended
}

/// A demo with its own place for temporary files in `dir`, from the moment that its nodes are up.
fn started(dir: &Path, args: &[&str]) -> Process {
    let temporary = dir.join("tmp");
    fs::create_dir(&temporary).expect("made");
    let demo = Process::start("demo", program(dir).args(args).env("TMPDIR", &temporary));
    demo.line_that(|line| line.contains("four nodes are up"));
    demo
}

/// The locks of a demo's nodes, which all run.
fn held(dir: &Path) -> Vec<File> {
    let lock = |node| {
        let file = File::open(dir.join(format!("node-{node}/lock"))).expect("a node's lock");
        assert!(file.try_lock().is_err(), "node-{node} runs");
        file
    };
    (1..=NODES).map(lock).collect()
}
