//! A running node, and a watch on one of its runs.
//!
//! Invariants: it listens on loopback only, on free ports, and looks for nobody by itself; once
//! started it can be asked. What it is not: a client of its own. It is asked through the program.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use super::command::{accord, json, program, refused};
use super::process::{Ended, PATIENCE, Process};

/// A node that runs, or could be started again.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its name: of its data directory, too.
    pub(crate) name: String,
    /// Its key.
    pub(crate) key: String,
    /// Its identity's key.
    pub(crate) identity: String,
    /// Where other nodes reach it.
    pub(crate) addresses: Vec<String>,
    /// Where its log and witness are served, if they are.
    pub(crate) log: String,
    dir: PathBuf,
    process: Option<Process>,
}

impl Node {
    /// Starts a node on `dir/name` that knows `peers`, and waits until it is ready.
    pub(crate) fn start(dir: &Path, name: &str, peers: &[&Self]) -> Self {
        Self::start_with(dir, name, peers, &[])
    }

    /// As [`Node::start`], with more arguments.
    pub(crate) fn start_with(dir: &Path, name: &str, peers: &[&Self], more: &[&str]) -> Self {
        let mut node = Self {
            name: name.to_owned(),
            key: String::new(),
            identity: String::new(),
            addresses: Vec::new(),
            log: String::new(),
            dir: dir.to_owned(),
            process: None,
        };
        node.restart_with(peers, more);
        node
    }

    /// Starts it again on the same directory.
    pub(crate) fn restart(&mut self, peers: &[&Self]) {
        self.restart_with(peers, &[]);
    }

    /// As [`Node::restart`], with more arguments.
    pub(crate) fn restart_with(&mut self, peers: &[&Self], more: &[&str]) {
        let mut command = program(&self.dir);
        command.args(["--json", "up", "--bind", "127.0.0.1", "--no-mdns", "--dir", &self.name]);
        for address in peers.iter().flat_map(|peer| &peer.addresses) {
            command.args(["--peer", address]);
        }
        command.args(more);
        let process = Process::start(&self.name, &mut command);
        let line = process.line_that(|line| line.contains("\"event\":\"ready\""));
        let ready: Value = serde_json::from_str(&line).expect("a JSON line");
        let text = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
        (self.key, self.identity) = (text("node"), text("identity"));
        self.log = text("log");
        let addresses = ready["addresses"].as_array().expect("addresses");
        self.addresses = addresses.iter().filter_map(|a| a.as_str().map(str::to_owned)).collect();
        self.process = Some(process);
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill();
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Asks it to stop as Ctrl-C does, and waits until it has.
    pub(crate) fn stop(&mut self) -> Ended {
        let process = self.process.take().expect("it runs");
        let id = process.id().to_string();
        let signal = Process::start("kill", std::process::Command::new("kill").args(["-INT", &id]));
        assert_eq!(signal.end().code, Some(0), "the signal is sent");
        process.end()
    }

    /// Runs a command on it.
    pub(crate) fn ask(&self, args: &[&str]) -> Ended {
        accord(&self.dir, &[args, &["--dir", &self.name]].concat())
    }

    /// Runs a command on it that must succeed, and returns its JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        json(&self.dir, &[args, &["--dir", &self.name]].concat())
    }

    /// Runs a command on it that must fail with this code, and returns why it says it did.
    pub(crate) fn refuses(&self, args: &[&str], code: i32) -> String {
        refused(&self.dir, code, &[args, &["--dir", &self.name]].concat())
    }

    /// Runs a command on it that must succeed, and returns each line's JSON.
    pub(crate) fn lines(&self, args: &[&str]) -> Vec<Value> {
        let ended = self.ask(&[&["--json"], args].concat());
        assert_eq!(ended.code, Some(0), "{} {args:?}: {ended:?}", self.name);
        ended.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Asks again and again until the answer is as wanted.
    pub(crate) fn json_that(&self, args: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.json(args);
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{} {args:?}: {answer:#}", self.name);
        }
    }

    /// Waits until it knows a run.
    pub(crate) fn wait_for_run(&self, run: &str) {
        let knows = |runs: &Value| runs.as_array().expect("runs").iter().any(|r| r["run"] == run);
        self.json_that(&["run", "status"], knows);
    }

    /// Watches a run of it.
    pub(crate) fn watch(&self, run: &str) -> Watch {
        let mut command = program(&self.dir);
        command.args(["--json", "run", "status", run, "--watch", "--dir", &self.name]);
        Watch(Process::start(&format!("watch at {}", self.name), &mut command))
    }
}

/// The rounds of a run as they are certified.
#[derive(Debug)]
pub(crate) struct Watch(Process);

impl Watch {
    /// The next round; nothing when the run is finished.
    pub(crate) fn round(&self) -> Option<Value> {
        let line = self.0.line().expect("a watch ends with the run's end");
        let event: Value = serde_json::from_str(&line).expect("a JSON line");
        match event["event"].as_str() {
            Some("round") => Some(event),
            Some("finished") => None,
            _ => panic!("{}", event),
        }
    }

    /// Waits until this round is certified. Says whether it came before the run's end.
    pub(crate) fn reach(&self, round: u64) -> bool {
        while let Some(event) = self.round() {
            if event["round"].as_u64() >= Some(round) {
                return true;
            }
        }
        false
    }

    /// Waits until the run is finished.
    pub(crate) fn finish(self) {
        while self.round().is_some() {}
        assert_eq!(self.0.end().code, Some(0), "a watch that saw the end is a success");
    }
}
