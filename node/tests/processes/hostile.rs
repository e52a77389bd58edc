//! Liars among the peers of a node in the middle of its work: they are dropped and counted, and the
//! node goes on.
//!
//! Invariants: each liar is a peer of its own, since a dropped one stays blocked. What it is not: a
//! test of each rule; what is refused and why has its tests where the rule is.

use std::fs;
use std::path::Path;

use protocol::exchange::Question;
use protocol::limits::{GOSSIP_BYTES_MAX, REJECTIONS_MAX, REQUEST_BYTES_MAX};
use protocol::manifest::Head;
use protocol::round::{Kind, Wire};
use protocol::run::Presence;
use protocol::{RevisionId, RunId, Signed};
use serde_json::Value;

use super::digits;
use super::forger::Forger;
use super::liar::{self, Liar, TOPICS, framed};
use super::node::Node;

const ROUNDS: u64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn liars_are_dropped_and_the_run_goes_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, run) = node(dir.path());
    let id: RunId = run.parse().expect("an id");
    let mut counted = 0;
    for (at, topic) in TOPICS.into_iter().enumerate() {
        let mut liar = Liar::connect(100 + at as u8, &node.addresses).await;
        // Garbage is told from garbage by its bytes: the same twice would be one message.
        (0..REJECTIONS_MAX).for_each(|n| liar.gossip(topic, vec![0x9f, n as u8, 0xff]));
        counted += dropped(&mut liar, &node, counted).await;
    }
    for (at, what) in ["forged", "mistyped", "of another run"].into_iter().enumerate() {
        let mut liar = Liar::connect(110 + at as u8, &node.addresses).await;
        for n in 0..u64::from(REJECTIONS_MAX) {
            let message = lie(&liar, what, id, n);
            liar.gossip(TOPICS[2], message);
        }
        counted += dropped(&mut liar, &node, counted).await;
    }
    for (at, wire) in
        [framed(&[0x9f; 64]), framed(&[]), u32::MAX.to_be_bytes().to_vec()].into_iter().enumerate()
    {
        let mut liar = Liar::connect(120 + at as u8, &node.addresses).await;
        (0..REJECTIONS_MAX).for_each(|_| liar.ask(wire.clone()));
        counted += dropped(&mut liar, &node, counted).await;
    }
    let mut liar = Liar::connect(125, &node.addresses).await;
    (0..REJECTIONS_MAX).for_each(|n| liar.gossip(TOPICS[1], vec![n as u8; GOSSIP_BYTES_MAX + 1]));
    counted += dropped(&mut liar, &node, counted).await;
    finish(dir.path(), &node, &run);
    assert!(node.json(&["status"])["dropped"].as_u64() >= Some(counted));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_serves_wrong_bytes_is_dropped_and_the_next_is_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let owner = Node::start(dir, "owner", &[]);
    let node = Node::start(dir, "node", &[&owner]);
    fs::write(dir.join("true.txt"), "true ".repeat(10_000)).expect("written");
    owner.json(&["share", "true.txt", "--name", "true"]);

    let forger = Forger::start(&liar::secret(140)).await;
    let addresses = forger.addresses.clone();
    let mut liar = Liar::connect_with_data(140, &node.addresses, addresses).await;
    let bait = Head {
        owner: liar.public(),
        name: "bait".into(),
        seq: 1,
        revision: RevisionId::of(b"bait"),
        manifest_bytes: 1_000,
        parents: Vec::new(),
    };
    liar.gossip(TOPICS[0], Signed::sign(bait, &liar.key).bytes().to_vec());
    liar.ask(framed(&Question::Runs { skip: 0 }.to_bytes()));
    liar.answered().await;
    let names = |models: &Value| -> Vec<String> {
        let models = models.as_array().expect("models").iter();
        models.map(|model| model["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    node.json_that(&["models"], |models| {
        let names = names(models);
        ["bait", "true"].iter().all(|name| names.iter().any(|known| known == name))
    });

    let got = node.ask(&["get", &format!("{}/bait", liar.public()), "--out", "bait"]);
    assert_eq!(got.code, Some(1), "{got:?}");
    assert_eq!(got.err.lines().count(), 1, "{got:?}");
    assert!(got.err.contains("it served wrong bytes"), "{got:?}");
    assert!(!dir.join("bait").exists(), "nothing is written");
    liar.dropped().await;
    let key = liar.public().to_string();
    node.json_that(&["status"], |status| {
        let peers = status["peers"].as_array().expect("peers");
        status["dropped"].as_u64() >= Some(1) && !peers.iter().any(|peer| peer["node"] == *key)
    });
    let got = node.json(&["get", &format!("{}/true", owner.identity), "--out", "true"]);
    assert_eq!(got["from"], serde_json::json!([owner.key]), "{got:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_or_said_again_does_no_harm() {
    let dir = tempfile::tempdir().expect("a directory");
    let (node, run) = node(dir.path());
    let id: RunId = run.parse().expect("an id");
    let mut long = Liar::connect(130, &node.addresses).await;
    long.gossip(TOPICS[1], vec![0; GOSSIP_BYTES_MAX * 4]);
    let mut again = Liar::connect(131, &node.addresses).await;
    // A word that its own later word has overtaken, said again and again as if it were news.
    let word = Presence { run: id, joined: false, said_ms: 1, addresses: vec![] };
    let bytes = Signed::sign(word, &again.key).bytes().to_vec();
    for sent in 0..u64::from(REJECTIONS_MAX) * 4 {
        let wire = Wire { run: id, kind: Kind::Presence, bytes: bytes.clone(), sent };
        again.gossip(TOPICS[2], wire.to_bytes());
    }
    again.ask(framed(&Question::Runs { skip: 0 }.to_bytes()));
    again.answered().await;
    let mut half = Liar::connect(132, &node.addresses).await;
    // It claims as much as is allowed, and hangs up after a few bytes.
    half.ask([&(REQUEST_BYTES_MAX as u32).to_be_bytes()[..], b"few"].concat());
    half.ask(framed(&Question::Heads { skip: u64::MAX }.to_bytes()));
    half.answered().await;
    finish(dir.path(), &node, &run);
    let status = node.json(&["status"]);
    let is_peer = |liar: &Liar| {
        let key = liar.public().to_string();
        status["peers"].as_array().is_some_and(|all| all.iter().any(|peer| peer["node"] == *key))
    };
    assert!(is_peer(&again), "who only repeats is no offender: {status:#}");
}

/// A node with a run that waits for two trainers.
fn node(dir: &Path) -> (Node, String) {
    let node = Node::start(dir, "node", &[]);
    digits::write(dir, "all.csv", 0..400);
    let rest = format!("[rounds]\ncount = {ROUNDS}\nupdates_min = 2\ntrain_seconds = 5\n");
    fs::write(dir.join("run.toml"), digits::run_file("all.csv", &rest)).expect("written");
    let view = node.json(&["run", "create", "run.toml"]);
    let run = view["run"].as_str().expect("an id").to_owned();
    digits::write(dir, "node.csv", 0..200);
    node.json(&["run", "join", &run, "--data", "node.csv"]);
    (node, run)
}

/// An honest node joins, and the two of them finish the run.
fn finish(dir: &Path, node: &Node, run: &str) {
    let honest = Node::start(dir, "honest", &[node]);
    honest.wait_for_run(run);
    digits::write(dir, "honest.csv", 200..400);
    honest.json(&["run", "join", run, "--data", "honest.csv"]);
    honest.watch(run).finish();
    let audit = honest.json(&["audit", run]);
    assert_eq!(audit["rounds"], ROUNDS);
    let peers = &node.json(&["status"])["peers"];
    let peer = peers.as_array().expect("peers").iter().find(|p| p["node"] == *honest.key);
    assert!(peer.is_some_and(|peer| peer["rejected"] == 0), "nothing honest is refused: {peers:#}");
}

/// Waits until the liar is dropped; says how many of its messages were counted.
async fn dropped(liar: &mut Liar, node: &Node, before: u64) -> u64 {
    liar.dropped().await;
    let key = liar.public().to_string();
    let is_liar = |peer: &Value| peer["node"] == *key;
    let status = node.json_that(&["status"], |status| {
        let counted = status["dropped"].as_u64() >= Some(before + u64::from(REJECTIONS_MAX));
        counted && !status["peers"].as_array().expect("peers").iter().any(is_liar)
    });
    status["dropped"].as_u64().unwrap_or_default() - before
}

/// A message of a run that no honest node sends.
fn lie(liar: &Liar, what: &str, run: RunId, said_ms: u64) -> Vec<u8> {
    let presence = |run| {
        let word = Presence { run, joined: true, said_ms, addresses: vec![] };
        let word = Signed::sign(word, &liar.key);
        word.bytes().to_vec()
    };
    let (kind, bytes) = match what {
        "forged" => {
            let mut bytes = presence(run);
            // The signature comes last.
            *bytes.last_mut().expect("bytes") ^= 1;
            (Kind::Presence, bytes)
        }
        "mistyped" => (Kind::Vote, presence(run)),
        _ => (Kind::Presence, presence(RunId::of(b"another"))),
    };
    Wire { run, kind, bytes, sent: said_ms }.to_bytes()
}
