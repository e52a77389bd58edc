//! The README's walk "Together, by hand", done as it is written.
//!
//! Invariants: every line is run by `sh` as it stands, but for a port that is free and the owner's
//! key; a command that is put in the background is ready before the next line is run, as a person
//! at three terminals would see it. What it is not: a second description of the walk.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use super::command::{PROGRAM, json, quiet};
use super::process::{Ended, PATIENCE, Process};

/// The section.
const SECTION: &str = "Together, by hand";
/// The port that the section uses.
const PORT: &str = "4101";
/// What the section writes for the owner's key.
const OWNER: &str = "OWNER";
/// Works that the contributor takes out.
const OPTED_OUT: u64 = 20;
/// Rounds of the run.
const ROUNDS: u64 = 10;

/// A fenced block of the README.
struct Block {
    /// `sh` or `toml`.
    kind: String,
    lines: Vec<String>,
}

/// A person's machine: a directory with what the README takes for granted.
struct Walk {
    dir: TempDir,
    port: String,
    background: Vec<Process>,
}

#[test]
fn the_walk_goes_as_written() {
    let blocks = blocks();
    let kinds: Vec<&str> = blocks.iter().map(|block| block.kind.as_str()).collect();
    assert_eq!(kinds, ["sh", "toml", "sh", "sh", "sh", "sh"], "the section has these blocks");
    let mut walk = Walk::new();
    for block in &blocks {
        match block.kind.as_str() {
            "toml" => fs::write(walk.dir.path().join("digits.toml"), block.lines.join("\n"))
                .expect("the run file is written"),
            _ => block.lines.iter().for_each(|line| walk.line(line)),
        }
    }
    walk.check();
}

/// The section's blocks, in order.
fn blocks() -> Vec<Block> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = fs::read_to_string(path).expect("there is a README");
    let heading = format!("## {SECTION}");
    let section = text.lines().skip_while(|line| *line != heading).skip(1);
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for line in section.take_while(|line| !line.starts_with("## ")) {
        match line.strip_prefix("```") {
            Some(kind) => {
                if !inside {
                    blocks.push(Block { kind: kind.to_owned(), lines: Vec::new() });
                }
                inside = !inside;
            }
            None if inside => {
                let lines = &mut blocks.last_mut().expect("one was begun").lines;
                lines.push(line.to_owned());
            }
            None => {}
        }
    }
    blocks
}

impl Walk {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        // The repository's root, as far as the walk looks at it.
        let assets = dir.path().join("node/assets");
        fs::create_dir_all(&assets).expect("made");
        let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits.csv");
        fs::copy(digits, assets.join("digits.csv")).expect("copied");
        Self { dir, port: free_port().to_string(), background: Vec::new() }
    }

    /// Runs one line of a block, and waits until a person would type the next.
    fn line(&mut self, line: &str) {
        let mut text = line.replace(PORT, &self.port);
        if text.contains(OWNER) {
            text = text.replace(OWNER, &self.owner());
        }
        match text.strip_suffix('&') {
            Some(text) => self.start(text.trim_end()),
            None => {
                let ended = Process::start(line, &mut self.sh(&text)).end();
                assert_eq!(ended.code, Some(0), "{text}: {ended:#?}");
                self.look_at(line, &ended);
            }
        }
    }

    /// What the README says of a line.
    fn look_at(&self, line: &str, ended: &Ended) {
        if line.contains("consent opt-out") {
            assert!(ended.out.contains(&format!("opted {OPTED_OUT} works out")), "{ended:#?}");
        }
        if line.contains("--watch") {
            let last = ended.out.lines().last().unwrap_or_default();
            assert!(last.contains(&format!("finished after {ROUNDS} rounds")), "{ended:#?}");
        }
        if line.starts_with("accord audit") {
            assert!(ended.out.contains("everything holds"), "{ended:#?}");
        }
    }

    /// Starts a node in the background and waits until it is ready and has met those it names.
    fn start(&mut self, line: &str) {
        let process = Process::start(line, &mut self.sh(&format!("exec {line}")));
        process.line_that(|said| said.starts_with("ready"));
        self.background.push(process);
        if line.contains("--peer") {
            let dir = line.split(" --dir ").nth(1).and_then(|rest| rest.split(' ').next());
            let dir = dir.expect("each node has a directory");
            // The run's name comes with the first peer.
            let met = |status: &Value| status["runs"] == 1 && status["peers"][0].is_object();
            self.until(&["status", "--dir", dir], met);
        }
    }

    /// The key that `accord models` shows, once it shows the trained model: the first revision is
    /// the untrained one.
    fn owner(&self) -> String {
        let models = self.until(&["models", "--dir", "carol"], |models| models[0]["seq"] == 2);
        models[0]["owner"].as_str().expect("a key").to_owned()
    }

    fn until(&self, args: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = json(self.dir.path(), args);
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{args:?}: {answer:#}");
        }
    }

    /// The shell in which a line is run, with `accord` on its path. What it starts stays on this
    /// machine.
    fn sh(&self, line: &str) -> Command {
        let mut sh = Command::new("sh");
        quiet(&mut sh, self.dir.path());
        let folder = Path::new(PROGRAM).parent().expect("the program is in a folder");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [folder.to_owned()].into_iter().chain(std::env::split_paths(&path));
        sh.env("PATH", std::env::join_paths(folders).expect("folders without colons"));
        sh.env("ACCORD_BIND", "127.0.0.1").env("ACCORD_NO_MDNS", "true");
        sh.args(["-c", line]);
        sh
    }

    /// What must hold after the walk, asked again as JSON.
    fn check(&self) {
        let dir = self.dir.path();
        let alice = json(dir, &["run", "status", "digits", "--dir", "alice"]);
        let carol = json(dir, &["consent", "check", "my-works.csv", "--dir", "carol"]);
        let record = carol["refusals"][0]["records"][0].as_str().expect("a record names itself");
        let history = alice["history"].as_array().expect("rounds");
        assert_eq!(history.len() as u64, ROUNDS);
        for round in &history[1..] {
            let own = &round["own"];
            assert_eq!(own["excluded"], OPTED_OUT, "{round:#}");
            assert_eq!(own["excluded_by"][record], OPTED_OUT, "{round:#}");
            assert_eq!(round["accepted"].as_array().map(Vec::len), Some(2), "{round:#}");
        }
        let eval = json(dir, &["eval", "model", "--data", "held-out.csv", "--dir", "carol"]);
        let counted = |name: &str| eval["evaluation"][name].as_u64().unwrap_or_default();
        let (correct, samples) = (counted("correct"), counted("samples"));
        assert!(samples > 190 && correct * 100 >= samples * 85, "{correct} of {samples}");
        assert_eq!(eval["model"], alice["model"], "what was fetched is what was certified");
        let audit = json(dir, &["audit", "digits", "--dir", "carol"]);
        assert_eq!(audit["model"], alice["model"]);
        assert_eq!(audit["rounds"], ROUNDS);
        let status = json(dir, &["status", "--dir", "carol"]);
        assert!(status["peers"].as_array().is_some_and(|peers| !peers.is_empty()), "{status:#}");
        assert_eq!(status["dropped"], 0, "{status:#}");
    }
}

/// A port of loopback that is free for TCP and UDP.
fn free_port() -> u16 {
    for _ in 0..32 {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = tcp.local_addr().expect("bound").port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free for both TCP and UDP")
}
