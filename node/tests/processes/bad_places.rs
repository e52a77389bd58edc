//! Data directories and ports that cannot be used, and a disk that is full: one clear line, exit
//! code 1, and nothing is lost.
//!
//! Invariants: what was acknowledged before is there afterwards. What it is not: what a table or a
//! weights file does wrong (see `bad_input`, `bad_weights`).

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::command::refused;
use super::node::Node;
use super::process::Process;

/// `accord up` on loopback.
const UP: [&str; 4] = ["up", "--bind", "127.0.0.1", "--no-mdns"];
/// The small disk, in bytes: a node's keys and metadata fit, and a few small models.
const DISK: &str = "size=1m";
/// More models than fit.
const MODELS_MAX: usize = 200;
/// The bytes of one.
const MODEL_BYTES: usize = 60_000;

fn says(dir: &Path, args: &[&str], parts: &[&str]) {
    let line = refused(dir, 1, args);
    for part in parts {
        assert!(line.contains(part), "{args:?}: {line:?} does not say {part:?}");
    }
}

fn up<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&UP[..], args].concat()
}

#[test]
fn a_directory_that_cannot_be_used_is_said_to_be() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let mut node = Node::start(dir, "node", &[]);
    says(dir, &up(&["--dir", "node"]), &["node is in use by another node", "--dir"]);
    assert_eq!(node.json(&["status"])["node"], node.key.as_str(), "the first goes on");

    fs::write(dir.join("file"), "").expect("written");
    says(dir, &up(&["--dir", "file"]), &["file"]);
    says(dir, &up(&["--dir", "file/below"]), &["cannot make", "file/below"]);
    says(dir, &["init", "--dir", "file/below"], &["cannot make", "file/below"]);
    fs::create_dir(dir.join("locked")).expect("made");
    fs::set_permissions(dir.join("locked"), Permissions::from_mode(0o500)).expect("set");
    if fs::write(dir.join("locked/probe"), "").is_err() {
        says(dir, &up(&["--dir", "locked/node"]), &["locked/node", "Permission denied"]);
    } else {
        eprintln!("skipped: this user may write where nobody may");
        fs::remove_file(dir.join("locked/probe")).expect("removed");
    }

    assert_eq!(node.stop().code, Some(0));
    for verb in ["status", "models"] {
        says(dir, &[verb, "--dir", "node"], &["no node is running in", "`accord up --dir "]);
        says(dir, &[verb, "--dir", "nowhere"], &["no node is running in", "nowhere"]);
    }
    assert!(!dir.join("nowhere").exists(), "asking makes nothing");
    let version = dir.join("node/version");
    let ours = fs::read(&version).expect("there");
    fs::write(&version, "2").expect("written");
    let newer = ["layout version 2, this program knows 1", "use a newer accord"];
    says(dir, &up(&["--dir", "node"]), &newer);
    says(dir, &["init", "--dir", "node"], &newer);
    fs::write(&version, ours).expect("written");
    let key = node.key.clone();
    node.restart(&[]);
    assert_eq!(node.key, key, "its keys are what they were");
}

#[test]
fn a_node_that_died_is_said_not_to_run() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::start(dir.path(), "node", &[]);
    node.kill();
    // Its address is still in its directory, and nobody answers there.
    says(dir.path(), &["status", "--dir", "node"], &["node"]);
    node.restart(&[]);
    assert_eq!(node.ask(&["status"]).code, Some(0));
}

#[test]
fn a_port_that_is_taken_is_named_with_its_flag() {
    let dir = tempfile::tempdir().expect("a directory");
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let tcp = tcp.local_addr().map(|address| (tcp, address.port().to_string())).expect("bound");
    let udp = udp.local_addr().map(|address| (udp, address.port().to_string())).expect("bound");
    let taken =
        [("--port", &tcp.1), ("--port", &udp.1), ("--data-port", &udp.1), ("--api-port", &tcp.1)];
    for (flag, port) in taken {
        says(dir.path(), &up(&["--dir", "node", flag, port]), &[&format!("port {port}"), flag]);
    }
    Node::start(dir.path(), "node", &[]);
}

#[test]
fn a_full_disk_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let place = dir.join("disk");
    let Some(disk) = Disk::mount(&place) else {
        eprintln!("skipped: this user may not mount a small disk");
        return;
    };
    let mut node = Node::start(dir, "disk/node", &[]);
    let mut shared = 0;
    let refused = loop {
        assert!(shared < MODELS_MAX, "the disk is small");
        let bytes: Vec<u8> = (0..MODEL_BYTES).map(|at| ((at * (shared + 2)) >> 3) as u8).collect();
        fs::write(dir.join("model.bin"), bytes).expect("written");
        let ended = node.ask(&["share", "model.bin", "--name", &format!("m{shared}")]);
        match ended.code {
            Some(0) => shared += 1,
            _ => break ended,
        }
    };
    assert!(shared > 0, "{refused:?}");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let said: Vec<&str> = refused.err.lines().filter(|line| line.starts_with("accord: ")).collect();
    let [line] = said[..] else { panic!("not one line: {refused:?}") };
    assert!(line.contains("No space left") || line.contains("disk is full"), "{line}");
    fs::write(dir.join("work.txt"), "a work").expect("written");
    let opted_out = node.ask(&["consent", "opt-out", "work.txt"]);
    let records = u64::from(opted_out.code == Some(0));
    assert_eq!(node.ask(&["status"]).code, Some(0), "it goes on answering");
    node.stop();

    disk.grow();
    node.restart(&[]);
    let models = node.json(&["models"]);
    let models = models.as_array().expect("models");
    assert!(models.len() >= shared, "what was acknowledged is there");
    let mine = |at: usize| format!("m{at}");
    for name in (0..shared).map(mine) {
        let model = models.iter().find(|model| model["name"] == name.as_str());
        assert!(model.is_some_and(|model| model["local"] == true), "{name}: {model:?}");
        node.json(&["get", &format!("me/{name}"), "--out", &format!("out/{name}")]);
    }
    assert!(node.json(&["status"])["records"].as_u64() >= Some(records));
    node.json(&["share", "model.bin", "--name", "one-more"]);
    node.json(&["consent", "opt-out", "work.txt"]);
}

/// A small disk in memory, taken away when dropped.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    /// Nothing if the system does not let us.
    fn mount(at: &'a Path) -> Option<Self> {
        fs::create_dir(at).expect("made");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(at);
        let ended = mount.output().ok()?;
        ended.status.success().then_some(Self(at))
    }

    /// Makes room.
    fn grow(&self) {
        let mut mount = Command::new("mount");
        mount.args(["-o", "remount,size=64m"]).arg(self.0);
        assert_eq!(Process::start("mount", &mut mount).end().code, Some(0), "room is made");
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // Lazily: a test that fails may leave a node on it for a moment.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
