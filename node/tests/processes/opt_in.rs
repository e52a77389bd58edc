//! Opting in what was opted out: by likeness, of a collection, on another device, and against
//! somebody else's word.
//!
//! Invariants: all works are made here, from fixed numbers; what a scan on another node says is what
//! counts. What it is not: the rules of taking back (see the crate `consent`).

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::node::Node;
use super::scan::{caught_up, jpeg, lines, picture, png, scan, text};

/// Two pictures and two texts, and a folder with changed copies of all four.
fn works(dir: &Path) {
    for folder in ["art", "copies"] {
        fs::create_dir(dir.join(folder)).expect("made");
    }
    let write = |name: &str, bytes: &[u8]| fs::write(dir.join(name), bytes).expect("written");
    for number in [1, 2] {
        let essay = text(10 + number, 900);
        let around = text(20 + number, 300);
        write(&format!("art/picture-{number}.png"), &png(&picture(number)));
        write(&format!("art/essay-{number}.txt"), essay.as_bytes());
        write(&format!("copies/picture-{number}.jpg"), &jpeg(&picture(number), 60));
        let quoted = format!("{around}\n> {}\n{around}", &essay[1_000..3_000]);
        write(&format!("copies/quoted-{number}.txt"), quoted.as_bytes());
    }
}

/// What a scan says of each file, by the end of its name.
fn report(node: &Node, dir: &Path, folder: &str, default: &str) -> impl Fn(&str) -> String + use<> {
    let file = format!("{folder}-{default}.jsonl");
    let out = ["--format", "json", "--out", &file];
    scan(node, &[&[folder, "--default", default][..], &out].concat());
    let item = lines(&dir.join(&file));
    fs::remove_file(dir.join(&file)).expect("removed");
    move |name| {
        let item = item(name);
        let reason = item["reason"].as_str().or_else(|| item["verdict"].as_str());
        reason.expect("a verdict").to_owned()
    }
}

fn count(reply: &Value, field: &str) -> usize {
    reply[field].as_array().unwrap_or_else(|| panic!("no {field}: {reply:#}")).len()
}

#[test]
fn a_picture_opted_out_and_in_again_is_free_with_its_copies() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    works(dir);
    let artist = Node::start(dir, "artist", &[]);
    let lab = Node::start(dir, "lab", &[&artist]);
    artist.json(&["consent", "opt-out", "art"]);
    caught_up(&lab, &artist);
    let (art, copies) =
        (report(&lab, dir, "art", "opt-out"), report(&lab, dir, "copies", "opt-out"));
    for number in [1, 2] {
        assert_eq!(art(&format!("picture-{number}.png")), "denied");
        assert_eq!(copies(&format!("picture-{number}.jpg")), "denied");
        assert_eq!(copies(&format!("quoted-{number}.txt")), "denied");
    }

    let reply = artist.json(&["consent", "opt-in", "art/picture-1.png", "art/essay-1.txt"]);
    assert!(count(&reply, "lifted") >= 2, "exact bytes and likeness: {reply:#}");
    assert_eq!((&reply["still_count"], count(&reply, "collections")), (&0.into(), 0), "{reply:#}");
    caught_up(&lab, &artist);
    for (node, default) in
        [(&artist, "opt-in"), (&artist, "opt-out"), (&lab, "opt-in"), (&lab, "opt-out")]
    {
        let art = report(node, dir, "art", default);
        let copies = report(node, dir, "copies", default);
        assert_eq!([art("picture-1.png"), art("essay-1.txt")], ["allowed", "allowed"]);
        assert_eq!([art("picture-2.png"), art("essay-2.txt")], ["denied", "denied"]);
        // A yes is for exact bytes; where silence is no, that is all that refuses the copies.
        let free = if default == "opt-in" { "silent" } else { "allowed" };
        assert_eq!([copies("picture-1.jpg"), copies("quoted-1.txt")], [free, free]);
        assert_eq!([copies("picture-2.jpg"), copies("quoted-2.txt")], ["denied", "denied"]);
    }
    // A copy gets its own yes, and for people it is said what happened.
    let again = artist.ask(&["consent", "opt-out", "art/picture-1.png"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let again = artist.ask(&["consent", "opt-in", "art/picture-1.png"]);
    assert!(again.out.contains("earlier records that refused them"), "{again:?}");
    assert!(again.out.contains("where silence is no, each needs its own"), "{again:?}");
    artist.json(&["consent", "opt-in", "copies/picture-1.jpg"]);
    assert_eq!(report(&artist, dir, "copies", "opt-in")("picture-1.jpg"), "allowed");
}

#[test]
fn a_collection_that_holds_the_work_is_named_and_not_taken_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    fs::create_dir(dir.join("many")).expect("made");
    for number in 0..20 {
        fs::write(dir.join(format!("many/{number}")), format!("work {number}")).expect("written");
    }
    let artist = Node::start(dir, "artist", &[]);
    let name = ["--identity", "artist"];
    let opt_out = [&["consent", "opt-out", "many", "--collection"][..], &name].concat();
    let said = artist.json(&opt_out);
    let record = said["records"][1].as_str().expect("a statement").to_owned();
    let opt_in = [&["consent", "opt-in", "many/3"][..], &name].concat();
    let reply = artist.json(&opt_in);
    let holding = serde_json::json!([{ "record": record, "works": 20, "held": 1 }]);
    assert_eq!((&reply["collections"], count(&reply, "lifted")), (&holding, 0), "{reply:#}");
    assert_eq!(reply["still_count"], 0, "{reply:#}");
    let told = artist.ask(&opt_in);
    let lift = format!("accord consent lift {record} --identity artist");
    let line = told.out.lines().find(|line| line.contains(&lift));
    assert!(line.is_some_and(|line| line.contains("a collection of 20 works")), "{told:?}");
    let check = |work: &str, default: &str| {
        artist.json(&["consent", "check", work, "--default", default])["allowed"] == 1
    };
    assert!(!check("many/3", "opt-in") && !check("many/4", "opt-out"));
    let arguments: Vec<&str> = lift.split(' ').skip(1).collect();
    artist.json(&arguments);
    assert!(check("many/3", "opt-in") && check("many/4", "opt-out"));

    // All of it at once is what was opted out.
    let again = artist.json(&opt_out);
    let all = artist.json(&[&["consent", "opt-in", "many"][..], &name].concat());
    assert_eq!(
        (&all["lifted"][0], count(&all, "collections")),
        (&again["records"][0], 0),
        "{all:#}"
    );
    assert!(check("many/4", "opt-in"));
}

#[test]
fn another_device_s_refusal_is_taken_back_and_a_stranger_s_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    works(dir);
    let alice = Node::start(dir, "alice", &[]);
    let bob = Node::start(dir, "bob", &[&alice]);
    alice.json(&["id", "create", "artist"]);
    alice.json(&["id", "export", "artist", "--out", "artist.id", "--plain"]);
    bob.json(&["id", "import", "artist.id"]);
    let name = ["--identity", "artist"];
    bob.json(&[&["consent", "opt-out", "art"][..], &name].concat());
    let rival = bob.json(&["consent", "opt-out", "copies/picture-2.jpg", "--identity", "rival"]);
    let rival = rival["records"].as_array().expect("records").clone();
    caught_up(&alice, &bob);

    let opt_in = [&["consent", "opt-in", "art/picture-1.png"][..], &name].concat();
    let reply = alice.json(&opt_in);
    assert!(count(&reply, "lifted") >= 2 && reply["still_count"] == 0, "{reply:#}");
    let opt_in = [&["consent", "opt-in", "art/picture-2.png"][..], &name].concat();
    let reply = alice.json(&opt_in);
    let still = &reply["still"][0];
    let reason = still["reason"].as_str().unwrap_or_default();
    assert!(reply["still_count"] == 1 && rival.contains(&still["records"][0]), "{reply:#}");
    assert!(reason.contains("denied") && reason.contains("bits away"), "{reason}");
    caught_up(&bob, &alice);
    let (art, copies) =
        (report(&bob, dir, "art", "opt-in"), report(&bob, dir, "copies", "opt-out"));
    assert_eq!([art("picture-1.png"), art("picture-2.png")], ["allowed", "denied"]);
    assert_eq!([art("essay-1.txt"), copies("quoted-1.txt")], ["denied", "denied"]);
    assert_eq!(copies("picture-1.jpg"), "allowed");
    for node in [&alice, &bob] {
        let shown = node.json(&["id", "show", "artist"]);
        assert!(shown["identities"][0]["doubt"].is_null(), "{shown:#}");
    }
}
