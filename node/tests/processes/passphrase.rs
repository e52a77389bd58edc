//! `accord id passphrase`: keys put under a passphrase and taken from it, whatever happens meanwhile.
//!
//! Invariants: the file of keys is whole at every instant, for its owner only, and where it is under a
//! passphrase no seed stands anywhere in the data directory. What it is not: the sealing itself (see
//! `identity::seal`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::command::{program, refused};
use super::node::Node;
use super::process::Process;

const ROUNDS: usize = 8;

/// Every file under a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("read").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The files under a directory in which one of these texts stands.
fn with_any(dir: &Path, texts: &[String]) -> Vec<PathBuf> {
    let has =
        |bytes: &[u8], text: &String| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    let found = files(dir).into_iter().filter(|path| {
        let bytes = fs::read(path).unwrap_or_default();
        texts.iter().any(|text| has(&bytes, text))
    });
    found.collect()
}

/// The seeds in a plain file of keys.
fn seeds(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("read");
    let keys = text.lines().filter_map(|line| line.strip_prefix("keys "));
    let seeds: Vec<String> = keys.flat_map(|keys| keys.split(' ').map(str::to_owned)).collect();
    assert_eq!(seeds.len(), 2, "{text}");
    seeds
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).expect("there").permissions().mode() & 0o777
}

#[test]
fn a_passphrase_is_set_changed_and_taken_away() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    for (name, text) in [("one", "correct horse"), ("two", "battery staple"), ("a", "a work")] {
        fs::write(dir.join(name), text.to_owned() + "\n").expect("written");
    }
    let alice = Node::start(dir, "alice", &[]);
    alice.json(&["id", "create", "artist"]);
    let kept = dir.join("alice/identities/artist");
    let (plain, seeds) = (fs::read_to_string(&kept).expect("read"), seeds(&kept));
    assert_eq!(with_any(dir, &seeds), std::slice::from_ref(&kept));
    let says = |code: i32, args: &[&str], part: &str| {
        let line = refused(dir, code, &[args, &["--dir", "alice"]].concat());
        assert!(line.contains(part), "{args:?}: {line}");
    };
    let passphrase = ["id", "passphrase", "artist"];
    let with = |args: &[&'static str]| [&passphrase[..], args].concat();
    let opt_out = ["consent", "opt-out", "a", "--identity", "artist"];
    says(2, &passphrase, "set ACCORD_NEW_PASSPHRASE");
    says(2, &["id", "passphrase", "me", "--new-passphrase-file", "one"], "`me` signs by itself");
    says(1, &["id", "passphrase", "nobody", "--remove"], "no identity");
    let did = alice.json(&with(&["--remove"]));
    assert!(did["did"].as_str().is_some_and(|did| did.contains("nothing was changed")), "{did}");

    let set = alice.json(&with(&["--new-passphrase-file", "one"]));
    assert_eq!(set["identities"][0]["sealed"], true, "{set}");
    assert_eq!((with_any(dir, &seeds), mode(&kept)), (vec![], 0o600));
    says(1, &opt_out, "under a passphrase");
    alice.json(&[&opt_out[..], &["--passphrase-file", "one"]].concat());
    says(1, &with(&["--new-passphrase-file", "two"]), "under a passphrase");
    let wrong = ["--new-passphrase-file", "two", "--passphrase-file", "two"];
    says(1, &with(&wrong), "the passphrase is wrong");
    alice.json(&with(&["--new-passphrase-file", "two", "--passphrase-file", "one"]));
    assert_eq!((with_any(dir, &seeds), mode(&kept)), (vec![], 0o600));
    says(1, &[&opt_out[..], &["--passphrase-file", "one"]].concat(), "the passphrase is wrong");
    alice.json(&[&opt_out[..], &["--passphrase-file", "two"]].concat());

    says(1, &with(&["--remove"]), "under a passphrase");
    let removed = alice.ask(&with(&["--remove", "--passphrase-file", "two"]));
    assert!(removed.out.contains("took the passphrase away from artist"), "{removed:?}");
    assert_eq!((fs::read_to_string(&kept).expect("read"), mode(&kept)), (plain, 0o600));
    alice.json(&opt_out);
}

#[test]
fn a_kill_while_a_passphrase_changes_leaves_the_old_or_the_new() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    fs::write(dir.join("pass"), "correct horse\n").expect("written");
    fs::write(dir.join("a"), "a work\n").expect("written");
    let mut alice = Node::start(dir, "alice", &[]);
    alice.json(&["id", "create", "artist"]);
    let identities = dir.join("alice/identities");
    let (kept, leftover) = (identities.join("artist"), identities.join(".tmpleftover"));
    let seeds = seeds(&kept);
    for round in 0..ROUNDS {
        let shown = alice.json(&["id", "show", "artist"]);
        let is_sealed = shown["identities"][0]["sealed"] == true;
        let mut command = program(dir);
        command.args(["id", "passphrase", "artist", "--passphrase-file", "pass", "--dir", "alice"]);
        match is_sealed {
            true => command.arg("--remove"),
            false => command.args(["--new-passphrase-file", "pass"]),
        };
        let change = Process::start("change", &mut command);
        for _ in 0..round {
            alice.json(&["status"]);
        }
        alice.kill();
        // It may have been too late to stop it.
        change.end();
        fs::write(&leftover, &seeds[0]).expect("written");
        alice.restart(&[]);
        assert_eq!(mode(&kept), 0o600);
        let left: Vec<PathBuf> = files(&identities)
            .into_iter()
            .filter(|path| {
                path.file_name().is_some_and(|it| it.to_string_lossy().starts_with(".tmp"))
            })
            .collect();
        assert!(left.is_empty(), "round {round}: {left:?}");
        let shown = alice.json(&["id", "show", "artist"]);
        assert!(shown["identities"][0]["fault"].is_null(), "round {round}: {shown}");
        if shown["identities"][0]["sealed"] == true {
            assert_eq!(with_any(dir, &seeds), Vec::<PathBuf>::new(), "round {round}");
        }
        alice.json(&[
            "consent",
            "opt-out",
            "a",
            "--identity",
            "artist",
            "--passphrase-file",
            "pass",
        ]);
    }
}
