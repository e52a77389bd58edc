//! A log with two witnesses, all of them real processes: what it shows is cosigned, what a person
//! gets from it verifies, a kill loses nothing, and a copy of it that goes its own way is caught.
//!
//! Invariants: what is checked is what the program printed and served; checkpoints are judged with
//! the keys that `init` printed. What it is not: a test of the formats (see `protocol::log`).

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use protocol::log::audit::verify_consistency;
use protocol::log::policy::TrustPolicy;
use protocol::log::{Checkpoint, TreeHash};
use serde_json::Value;

use super::command::{accord, json};
use super::node::Node;
use super::process::{PATIENCE, Process};

const ORIGIN: &str = "log.example/2026";
const PORT: [&str; 2] = ["--log-port", "0"];

/// A log and its two witnesses.
struct Parts {
    log: Node,
    witnesses: Vec<Node>,
}

impl Parts {
    fn start(dir: &Path) -> Self {
        let vkey = made(dir, &["log", "init", "--origin", ORIGIN, "--dir", "log"]);
        let mut witnesses = Vec::new();
        for name in ["w1", "w2"] {
            let witness = made(dir, &["witness", "init", "--name", name, "--dir", name]);
            json(dir, &["witness", "follow", &vkey, "--dir", name]);
            let node = Node::start_with(dir, name, &[], &PORT);
            json(dir, &["log", "witness", "add", &node.log, &witness, "--dir", "log"]);
            witnesses.push(node);
        }
        let log = Node::start_with(dir, "log", &[], &PORT);
        Self { log, witnesses }
    }

    fn opt_out(&self, dir: &Path, name: &str) -> String {
        fs::write(dir.join(name), format!("the work {name}")).expect("written");
        let reply = self.log.json(&["consent", "opt-out", name]);
        let records = reply["records"].as_array().expect("records");
        records.last().and_then(Value::as_str).expect("an id").to_owned()
    }
}

/// The key of what was made.
fn made(dir: &Path, args: &[&str]) -> String {
    json(dir, args)["vkey"].as_str().expect("a key").to_owned()
}

/// What the log serves, once it has so many entries and two cosignatures.
fn served(log: &Node, policy: &TrustPolicy, size: u64) -> (Vec<u8>, Checkpoint) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let bytes = fetched(&log.log, "checkpoint");
        if let Ok(trusted) = policy.check(&bytes) {
            let checkpoint = trusted.checkpoint.checkpoint().clone();
            assert_eq!(trusted.cosigned.len(), 2);
            if checkpoint.size() >= size {
                return (bytes, checkpoint);
            }
        }
        assert!(Instant::now() < deadline, "{}", String::from_utf8_lossy(&bytes));
    }
}

/// A file by HTTP, in the words of HTTP/1.0; empty if there is none.
fn fetched(url: &str, path: &str) -> Vec<u8> {
    use std::io::{Read, Write};
    let host = url.strip_prefix("http://").expect("http");
    let mut socket = std::net::TcpStream::connect(host).expect("it listens");
    write!(socket, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
        .expect("asked");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("answered");
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").expect("a head");
    let found = answer.starts_with(b"HTTP/1.1 200");
    if found { answer.split_off(end + 4) } else { Vec::new() }
}

/// The tree's hashes from the tiles that are served.
struct Tiles<'a>(&'a Node);

impl protocol::log::tile::TileReader for Tiles<'_> {
    type Error = std::convert::Infallible;
    fn read(&self, path: &protocol::log::tile::TilePath) -> Result<Vec<u8>, Self::Error> {
        Ok(fetched(&self.0.log, &path.to_string()))
    }
}

fn consistency(log: &Node, old: &Checkpoint, new: &Checkpoint) -> Vec<TreeHash> {
    let tiles = protocol::log::tile::TiledHashes::new(new.size(), Tiles(log));
    protocol::log::audit::prove_consistency(old.size(), new.size(), &tiles).expect("tiles")
}

#[test]
fn a_log_is_cosigned_survives_kills_and_cannot_fork_unseen() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let mut parts = Parts::start(dir);
    let text = accord(dir, &["log", "policy", "--quorum", "2", "--dir", "log"]).out + "\n";
    fs::write(dir.join("trust.policy"), &text).expect("written");
    let policy = TrustPolicy::parse(text.as_bytes()).expect("a policy");

    let record = parts.opt_out(dir, "a.txt");
    let (_, first) = served(&parts.log, &policy, 2);
    parts.log.json(&["consent", "prove", "--record", &record, "--out", "a.proof"]);
    let shown = json(dir, &["consent", "verify-proof", "a.proof", "--policy", "trust.policy"]);
    let said = shown["shows"][0].as_str().expect("a sentence");
    assert!(said.contains(&record) && said.contains("w1 at") && said.contains("w2 at"), "{said}");
    fs::write(dir.join("other.txt"), "nobody's").expect("written");
    parts.log.json(&["consent", "prove", "--file", "other.txt", "--out", "other.proof"]);
    json(dir, &["consent", "verify-proof", "other.proof", "--policy", "trust.policy"]);
    let spoken = parts.log.ask(&["consent", "prove", "--file", "a.txt", "--out", "no.proof"]);
    assert_eq!(spoken.code, Some(1), "{spoken:?}");
    assert!(spoken.err.contains(&record), "{spoken:?}");
    python(dir, &["a.proof", "--policy", "trust.policy", "--record", &record]);
    python(dir, &["other.proof", "--policy", "trust.policy", "--file", "other.txt"]);

    let mut before = first.clone();
    for round in 0..5 {
        parts.opt_out(dir, &format!("more-{round}.txt"));
        parts.log.kill();
        parts.log.restart_with(&[], &PORT);
        let (_, after) = served(&parts.log, &policy, before.size() + 1);
        let proof = consistency(&parts.log, &before, &after);
        verify_consistency(before.size(), &before.root(), after.size(), &after.root(), &proof)
            .expect("it grew");
        before = after;
    }
    let verified = json(dir, &["log", "verify", "--dir", "log"]);
    assert_eq!(verified["size"], before.size());
    assert_eq!(json(dir, &["log", "status", "--dir", "log"])["refusals"], serde_json::json!([]));

    forked(dir, &mut parts);
}

/// A copy of the log's directory that signs other entries than the log has.
fn forked(dir: &Path, parts: &mut Parts) {
    parts.log.stop();
    let before = json(dir, &["log", "status", "--dir", "log"])["signed"].as_u64();
    let copy =
        Process::start("cp", Command::new("cp").current_dir(dir).args(["-r", "log", "copy"]));
    assert_eq!(copy.end().code, Some(0));
    // Both grow by one record, each by another; the witnesses hear the log first.
    parts.log.restart_with(&[], &PORT);
    parts.opt_out(dir, "true.txt");
    let all = |view: &Value| {
        view["shown"] == view["signed"] && view["cosigned"].as_array().map(Vec::len) == Some(2)
    };
    let status = |name: &str, wanted: &dyn Fn(&Value) -> bool| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let view = json(dir, &["log", "status", "--dir", name]);
            if wanted(&view) {
                return view;
            }
            assert!(Instant::now() < deadline, "{name}: {view:#}");
        }
    };
    let size = status("log", &|view| all(view) && view["signed"].as_u64() > before);
    parts.log.stop();
    let copy = Node::start_with(dir, "copy", &[], &PORT);
    fs::write(dir.join("false.txt"), "another history").expect("written");
    copy.json(&["consent", "opt-out", "false.txt"]);
    let refused = status("copy", &|view| {
        let refusals = view["refusals"].as_array().map_or(0, Vec::len);
        view["signed"] == size["signed"] && view["shown"] == size["signed"] && refusals == 2
    });
    assert_eq!(refused["cosigned"], serde_json::json!([]), "{refused:#}");
    assert!(refused["refusals"][0].as_str().is_some_and(|said| said.contains("422")));
    for witness in &parts.witnesses {
        let view = json(dir, &["witness", "status", "--dir", &witness.name]);
        assert_eq!(view["evidence"].as_array().map(Vec::len), Some(2), "{view:#}");
        assert_eq!(view["logs"][0]["size"], size["signed"]);
    }
}

/// Checks a proof with the verifier that has none of our code; `.ci/run` names the Python.
pub(crate) fn python(dir: &Path, args: &[&str]) {
    let Some(python) = std::env::var_os("ACCORD_OUTSIDE_PYTHON") else {
        println!("SKIPPED: docs/verify.py needs ACCORD_OUTSIDE_PYTHON, a Python; see .ci/run");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/verify.py");
    let mut command = Command::new(python);
    let ended = Process::start("verify.py", command.arg(script).args(args).current_dir(dir)).end();
    assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
}
