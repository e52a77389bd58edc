//! Identities as people have them: on two devices, rotated, recovered, spoken for by others.
//!
//! Invariants: no feed forks; a refusal holds whatever happens to keys; every mistake is one line.
//! What it is not: the rules one by one (see the crate `consent`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::command::{quiet, refused};
use super::node::Node;

/// Writes works of one line each.
fn works(dir: &Path, names: &[&str]) {
    for name in names {
        fs::write(dir.join(name), format!("the work {name}\n")).expect("written");
    }
}

/// Runs a command on a node that must fail with `code`, saying all of `parts`.
fn says(dir: &Path, node: &Node, code: i32, args: &[&str], parts: &[&str]) {
    let line = refused(dir, code, &[args, &["--dir", &node.name]].concat());
    for part in parts {
        assert!(line.contains(part), "{args:?}: {line:?} does not say {part:?}");
    }
}

/// Waits until the node says that a work may be used, or may not.
fn wait_for(node: &Node, work: &str, default: &str, allowed: bool) {
    let args = ["consent", "check", work, "--default", default];
    node.json_that(&args, |reply| reply["allowed"] == u64::from(allowed));
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// The one identity of an answer.
fn identity(reply: &Value) -> &Value {
    &reply["identities"][0]
}

#[test]
fn two_devices_speak_as_one_and_never_fork() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    works(dir, &["a", "b", "c", "d"]);
    fs::write(dir.join("pass"), "correct horse\n").expect("written");
    fs::write(dir.join("wrong"), "correct house\n").expect("written");
    let alice = Node::start(dir, "alice", &[]);
    let bob = Node::start(dir, "bob", &[&alice]);
    let made = alice.json(&["id", "create", "artist"]);
    let key = text(&identity(&made)["key"]);
    let export = ["id", "export", "artist", "--out", "artist.id"];
    says(dir, &alice, 2, &export, &["--passphrase-file", "--plain"]);
    alice.json(&[&export[..], &["--passphrase-file", "pass"]].concat());
    says(dir, &alice, 1, &[&export[..], &["--plain"]].concat(), &["there already"]);
    let import = ["id", "import", "artist.id", "--passphrase-file"];
    says(dir, &bob, 1, &[&import[..], &["wrong"]].concat(), &["the passphrase is wrong"]);
    says(dir, &bob, 1, &import[..3], &["under a passphrase", "ACCORD_PASSPHRASE"]);
    let taken = bob.json(&[&import[..], &["pass"]].concat());
    assert_eq!(identity(&taken)["key"], key);
    assert_ne!(identity(&taken)["feed"], 0, "a feed of its own");

    let at_bob = ["--identity", "artist", "--passphrase-file", "pass"];
    alice.json(&["consent", "opt-out", "a", "--identity", "artist"]);
    says(dir, &bob, 1, &["consent", "opt-out", "b", "--identity", "artist"], &["passphrase"]);
    bob.json(&[&["consent", "opt-out", "b"][..], &at_bob].concat());
    bob.json(&[&["consent", "opt-in", "c"][..], &at_bob].concat());
    for node in [&alice, &bob] {
        for (work, allowed) in [("a", false), ("b", false), ("c", true)] {
            wait_for(node, work, if allowed { "opt-in" } else { "opt-out" }, allowed);
        }
        let shown = node.json(&["id", "show", "artist"]);
        let feeds = identity(&shown)["feeds"].as_array().expect("feeds").clone();
        assert_eq!(feeds.len(), 2, "{shown}");
        assert!(feeds.iter().all(|feed| feed["forked_at"].is_null()), "{shown}");
    }

    // A rotation on one device voids what the other allowed, and no refusal.
    alice.json(&["id", "rotate", "artist"]);
    for node in [&alice, &bob] {
        wait_for(node, "c", "opt-in", false);
        wait_for(node, "a", "opt-out", false);
        wait_for(node, "b", "opt-out", false);
    }
    let listed = bob.json(&["consent", "records", "--mine"]);
    let states = listed["records"].as_array().expect("records").iter();
    assert!(states.clone().any(|record| record["state"] == "void"), "{listed}");
    let opt_in = [&["consent", "opt-in", "c"][..], &at_bob].concat();
    says(dir, &bob, 1, &opt_in, &["replaced on another device"]);
    let rotate = ["id", "rotate", "artist", "--passphrase-file", "pass"];
    says(dir, &bob, 1, &rotate, &["replaced on another device already"]);
    bob.json(&[&["consent", "opt-out", "d"][..], &at_bob].concat());
    wait_for(&alice, "d", "opt-out", false);

    // The new keys reach the other device as the first did; then it may allow again.
    let export = ["id", "export", "artist", "--out", "again.id", "--passphrase-file", "pass"];
    alice.json(&export);
    let taken = bob.json(&["id", "import", "again.id", "--passphrase-file", "pass"]);
    assert!(text(&taken["did"]).contains("new keys"), "{taken}");
    bob.json(&opt_in);
    wait_for(&alice, "c", "opt-in", true);
    for node in [&alice, &bob] {
        let shown = node.json(&["id", "show", "artist"]);
        let feeds = identity(&shown)["feeds"].as_array().expect("feeds").clone();
        assert!(feeds.len() == 2 && feeds.iter().all(|feed| feed["forked_at"].is_null()));
        assert!(identity(&shown)["doubt"].is_null(), "{shown}");
    }
}

#[test]
fn a_recovery_file_is_enough_where_the_device_is_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    works(dir, &["a", "b"]);
    let mut alice = Node::start(dir, "alice", &[]);
    let bob = Node::start(dir, "bob", &[&alice]);
    let made = alice.json(&["id", "create", "artist", "--recovery", "artist.recovery"]);
    assert_eq!(identity(&made)["root_elsewhere"], true);
    let mode = fs::metadata(dir.join("artist.recovery")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let artist = ["--identity", "artist"];
    alice.json(&[&["consent", "opt-out", "a"][..], &artist].concat());
    let opt_in = [&["consent", "opt-in", "a"][..], &artist].concat();
    says(dir, &alice, 2, &opt_in, &["root key", "--recovery FILE"]);
    says(dir, &alice, 2, &["id", "rotate", "artist"], &["root key", "--recovery FILE"]);
    let missing = [&opt_in[..], &["--recovery", "missing"]].concat();
    says(dir, &alice, 1, &missing, &["cannot read", "missing"]);
    wait_for(&bob, "a", "opt-out", false);
    alice.kill();

    let mut carol = Node::start(dir, "carol", &[]);
    let recover = ["id", "recover", "artist.recovery"];
    says(dir, &carol, 1, &recover, &["does not have the feed", "--peer"]);
    carol.stop();
    carol.restart(&[&bob]);
    wait_for(&carol, "a", "opt-out", false);
    let recovered = carol.json(&recover);
    assert_eq!(identity(&recovered)["rotations"], 1, "{recovered}");
    says(dir, &carol, 2, &opt_in, &["--recovery FILE"]);
    carol.json(&[&opt_in[..], &["--recovery", "artist.recovery"]].concat());
    wait_for(&bob, "a", "opt-in", true);

    // The lost device comes back: it can do nothing in the identity's name but learn of it.
    alice.restart(&[&bob]);
    wait_for(&alice, "a", "opt-in", true);
    let opt_out = [&["consent", "opt-out", "b"][..], &artist].concat();
    says(dir, &alice, 1, &opt_out, &["keys of artist were replaced"]);
}

#[test]
fn a_recovery_on_a_ledger_that_lags_behind_asks_before_it_signs() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    works(dir, &["a", "b", "c"]);
    let mut alice = Node::start(dir, "alice", &[]);
    let mut bob = Node::start(dir, "bob", &[&alice]);
    let mut carol = Node::start(dir, "carol", &[&bob]);
    alice.json(&["id", "create", "artist", "--recovery", "artist.recovery"]);
    let opt_out = |work| ["consent", "opt-out", work, "--identity", "artist"];
    alice.json(&opt_out("a"));
    wait_for(&carol, "a", "opt-out", false);
    // What is said now carol does not hear.
    carol.stop();
    alice.json(&opt_out("b"));
    wait_for(&bob, "b", "opt-out", false);
    let records = &alice.json(&["status"])["records"];
    alice.stop();
    bob.stop();
    carol.restart(&[]);
    assert_ne!(&carol.json(&["status"])["records"], records, "it lags behind");
    let recover = ["id", "recover", "artist.recovery"];
    says(dir, &carol, 1, &recover, &["no peer is connected", "fork", "--peer", "--offline"]);
    let listed = carol.json(&["id", "list"]);
    assert_eq!(listed["identities"].as_array().map(Vec::len), Some(1), "nothing was made");
    carol.stop();
    bob.restart(&[]);
    carol.restart(&[&bob]);
    carol.json_that(&["status"], |status| status["peers"][0]["node"] == *bob.key);
    let recovered = carol.json(&recover);
    let feeds = identity(&recovered)["feeds"].as_array().expect("feeds").clone();
    // A beginning, two statements, and the new keys after them.
    assert_eq!((feeds.len(), &feeds[0]["records"]), (1, &4.into()), "{recovered}");
    carol.json(&opt_out("c"));
    wait_for(&bob, "c", "opt-out", false);
    alice.restart(&[&bob]);
    wait_for(&alice, "c", "opt-out", false);
    for node in [&alice, &bob, &carol] {
        wait_for(node, "b", "opt-out", false);
    }
    let shown = carol.json(&["id", "show", "artist"]);
    assert!(identity(&shown)["feeds"][0]["forked_at"].is_null(), "{shown}");

    // Where nobody else has it, nobody needs to be asked.
    let dave = Node::start(dir, "dave", &[]);
    dave.json(&["id", "create", "hermit", "--recovery", "hermit.recovery"]);
    dave.json(&["consent", "opt-out", "a", "--identity", "hermit"]);
    let recover = ["id", "recover", "hermit.recovery"];
    says(dir, &dave, 1, &recover, &["no peer is connected", "--offline"]);
    dave.json(&[&recover[..], &["--offline"]].concat());
}

#[test]
fn a_collective_speaks_for_an_artist_until_it_may_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    works(dir, &["out", "in", "later"]);
    let alice = Node::start(dir, "alice", &[]);
    let bob = Node::start(dir, "bob", &[&alice]);
    let made = alice.json(&["id", "create", "artist"]);
    let artist = text(&identity(&made)["key"]);
    let made = bob.json(&["id", "create", "collective"]);
    let collective = text(&identity(&made)["key"]);
    let for_her = ["--identity", "collective", "--for", &artist];
    let allow = [&["consent", "opt-in", "in"][..], &for_her].concat();
    says(dir, &bob, 2, &allow, &["gave this identity no leave"]);
    let given = alice.json(&[
        "consent",
        "delegate",
        "--to",
        &collective,
        "--allow",
        "--days",
        "30",
        "--identity",
        "artist",
    ]);
    let records = given["records"].as_array().expect("records");
    let delegation = text(records.last().expect("one"));
    let arrived = ["consent", "records", "--author", &artist];
    bob.json_that(&arrived, |reply| reply["records"][0]["record"] == delegation);
    bob.json(&[&["consent", "opt-out", "out"][..], &for_her].concat());
    bob.json(&allow);
    wait_for(&alice, "in", "opt-in", true);
    wait_for(&alice, "out", "opt-out", false);

    alice.json(&["consent", "revoke", &delegation, "--identity", "artist"]);
    for node in [&alice, &bob] {
        wait_for(node, "in", "opt-in", false);
        wait_for(node, "out", "opt-out", false);
    }
    says(dir, &bob, 2, &allow, &["gave this identity no leave"]);
    let shown = alice.json(&["consent", "show", &delegation]);
    assert_eq!(shown["records"][0]["state"], "lifted", "{shown}");
    // The artist takes the collective's refusal back herself.
    let said = bob.json(&["consent", "records", "--mine"]);
    let refusal =
        said["records"].as_array().expect("records").iter().find(|record| {
            record["kind"] == "statement" && text(&record["says"]).starts_with("deny")
        });
    let refusal = text(&refusal.expect("there")["record"]);
    alice.json(&["consent", "lift", &refusal, "--identity", "artist"]);
    wait_for(&bob, "out", "opt-out", true);
}

#[test]
fn the_other_kinds_are_said_and_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    works(dir, &["a"]);
    fs::write(dir.join("terms"), "pay first\n").expect("written");
    let alice = Node::start(dir, "alice", &[]);
    let said =
        alice.json(&["consent", "say", "--deny", "--place", "example.org", "--uses", "mine"]);
    assert_eq!(said["records"].as_array().expect("records").len(), 2, "a genesis and a statement");
    let terms = ["--terms", "https://example.org/terms", "--terms-copy", "terms"];
    let args = ["consent", "say", "--constrained", "--identity-of-mine"];
    alice.json(&[&args[..], &terms].concat());
    let opted = alice.json(&["consent", "opt-in", "a"]);
    let allow = text(&opted["records"][0]);
    alice.json(&["id", "create", "doubter"]);
    let doubt = ["--reason", "it is mine", "--identity", "doubter"];
    alice.json(&[&["consent", "dispute", &allow][..], &doubt].concat());
    let shown = alice.json(&["consent", "show", &allow]);
    assert_eq!(shown["records"][0]["state"], "disputed", "{shown}");
    wait_for(&alice, "a", "opt-in", false);
    let word = ["--standing", "registrar", "--evidence", "seen", "--identity", "doubter"];
    alice.json(&[&["consent", "attest", "--record", &allow][..], &word].concat());
    let shown = alice.json(&["consent", "show", &allow]);
    assert_eq!(shown["records"][0]["attested"][0][1], "registrar", "{shown}");
    says(dir, &alice, 2, &["consent", "reconcile"], &["did not fork"]);
    says(dir, &alice, 2, &["consent", "revoke", &allow], &["is not a delegation"]);
    says(dir, &alice, 2, &["consent", "show", &"0".repeat(64)], &["there is no record"]);
    let place = ["consent", "say", "--deny", "--place", "not a place"];
    says(dir, &alice, 2, &place, &["white space"]);
    alice.json(&["consent", "compromised", "--daily"]);
    says(dir, &alice, 1, &["consent", "opt-in", "a"], &["void", "accord id rotate"]);
    alice.json(&["id", "rotate", "me"]);
    alice.json(&["consent", "opt-in", "a"]);
    let listed = alice.ask(&["consent", "records"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    for part in ["key-compromise", "key-rotation", "example.org", "everything that", "genesis"] {
        assert!(listed.out.contains(part), "{part}: {}", listed.out);
    }
}

#[test]
fn what_stands_beside_a_record_can_be_erased() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    works(dir, &["a", "b"]);
    let mut alice = Node::start(dir, "alice", &[]);
    let mut bob = Node::start(dir, "bob", &[&alice]);
    let opted = alice.json(&["consent", "opt-in", "a"]);
    let allow = text(opted["records"].as_array().and_then(|list| list.last()).expect("an allow"));
    heard(&bob, &alice.identity, &allow);
    let reason = ["--reason", "my grandmother's name is on it"];
    let doubt = bob.json(&[&["consent", "dispute", &allow][..], &reason].concat());
    let doubt = text(doubt["records"].as_array().and_then(|list| list.last()).expect("a dispute"));
    heard(&alice, &bob.identity, &doubt);
    let remark =
        |node: &Node| node.json(&["consent", "show", &doubt])["records"][0]["remark"].clone();
    // It stands where it was made, and comes to whoever looks at it, and only then.
    let kept = |name: &str| dir.join(name).join("ledger/remarks").join(&doubt);
    assert!(kept("bob").exists() && !kept("alice").exists());
    assert_eq!(remark(&alice), json!({"text": "my grandmother's name is on it"}));
    assert!(kept("alice").exists());
    let mode = fs::metadata(kept("alice")).expect("there").permissions().mode();
    assert_eq!(mode & 0o077, 0, "for its owner");

    // Nobody erases another's.
    says(dir, &alice, 2, &["consent", "erase", &doubt], &["no remark of this identity"]);
    says(dir, &bob, 2, &["consent", "erase", &allow], &["no remark of this identity"]);
    // A node that was away when it was erased, and was killed, erases it too.
    alice.kill();
    let erased = bob.json(&["consent", "erase", &doubt]);
    let erased = text(&erased["records"][0]);
    assert!(!kept("bob").exists());
    assert_eq!(remark(&bob), json!("erased"));
    alice.restart(&[&bob]);
    heard(&alice, &bob.identity, &erased);
    assert!(!kept("alice").exists());
    assert_eq!(remark(&alice), json!("erased"));
    // The record stays, and does what it did.
    let shown = alice.json(&["consent", "show", &allow]);
    assert_eq!(shown["records"][0]["state"], "disputed", "{shown}");

    // A stop between the tombstone and the erasing is made up for at the next start.
    bob.stop();
    fs::write(kept("bob"), "left over").expect("written");
    fs::write(kept("bob").with_file_name("0".repeat(64)), "of no record").expect("written");
    bob.restart(&[]);
    assert_eq!(fs::read_dir(dir.join("bob/ledger/remarks")).expect("read").count(), 0);
    let long = "x".repeat(2_049);
    let say = ["consent", "say", "--deny", "--place", "example.org", "--remark", &long];
    says(dir, &bob, 2, &say, &["2048 bytes of text"]);
}

/// Waits until a node has a record of an author.
fn heard(node: &Node, author: &str, record: &str) {
    node.json_that(&["consent", "records", "--author", author], |reply| {
        let records = reply["records"].as_array().map_or(&[][..], Vec::as_slice);
        records.iter().any(|held| held["record"] == record)
    });
}

#[test]
fn files_that_must_not_be_used_are_one_line_each() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    works(dir, &["a", "b", "c"]);
    let mut alice = Node::start(dir, "alice", &[]);
    let identities = dir.join("alice/identities");
    let artist = identities.join("artist");
    let opt_out = ["consent", "opt-out", "a", "--identity", "artist"];
    alice.json(&opt_out);
    fs::set_permissions(&artist, fs::Permissions::from_mode(0o644)).expect("set");
    says(dir, &alice, 1, &opt_out, &["can be read by others", "chmod 600"]);
    fs::set_permissions(&artist, fs::Permissions::from_mode(0o600)).expect("set");
    let whole = fs::read_to_string(&artist).expect("read");
    fs::write(&artist, &whole[..whole.len() / 2]).expect("written");
    says(dir, &alice, 1, &opt_out, &["artist is damaged"]);
    let shown = alice.json(&["id", "show", "artist"]);
    assert!(text(&identity(&shown)["fault"]).contains("damaged"), "{shown}");
    fs::write(&artist, &whole).expect("written");
    let bob = Node::start(dir, "bob", &[]);
    fs::copy(&artist, dir.join("bob/identities/artist")).expect("copied");
    says(dir, &bob, 1, &opt_out, &["copied from another node", "accord id import"]);
    says(dir, &bob, 1, &["id", "import", "a"], &["damaged"]);
    says(dir, &bob, 2, &["id", "show", "nobody"], &["no identity"]);
    says(dir, &bob, 1, &["id", "create", "artist"], &["already"]);
    says(dir, &bob, 2, &["id", "create", "x", "--passphrase"], &["no terminal"]);

    // A ledger restored from a backup ends before what was signed: signing on it would fork.
    alice.stop();
    let mut backup = std::process::Command::new("cp");
    quiet(&mut backup, dir);
    let copied = backup.args(["-r", "alice/ledger", "backup"]).status();
    assert!(copied.expect("cp runs").success());
    alice.restart(&[]);
    alice.json(&["consent", "opt-out", "b", "--identity", "artist"]);
    alice.stop();
    fs::remove_dir_all(dir.join("alice/ledger")).expect("removed");
    fs::rename(dir.join("backup"), dir.join("alice/ledger")).expect("moved");
    alice.restart(&[]);
    let opt_out = ["consent", "opt-out", "c", "--identity", "artist"];
    says(dir, &alice, 1, &opt_out, &["its ledger ends before that"]);
}

#[test]
fn the_work_that_begins_a_feed_is_announced_to_people() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    works(dir, &["a", "b"]);
    let alice = Node::start(dir, "alice", &[]);
    let line = "beginning a feed: about a second of work";
    for (args, said) in [
        (&["consent", "opt-out", "a"][..], line),
        (&["consent", "opt-out", "b"], ""),
        (&["--json", "consent", "opt-out", "a", "--identity", "quiet"], ""),
        (&["consent", "opt-in", "b", "--identity", "other"], line),
        (&["consent", "say", "--deny", "--place", "a.org", "--identity", "third"], line),
    ] {
        if args.contains(&"third") {
            alice.json(&["id", "create", "third"]);
        }
        let ended = alice.ask(args);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), said), "{args:?}: {ended:?}");
    }
}
