//! What leaves the machine and what comes onto it: a node's keys are never shared, and files that
//! are there are not lost to those that are fetched.
//!
//! Invariants: a refusal is one line and changes nothing. What it is not: transfers between nodes;
//! what is fetched here is here already.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::command::refused;
use super::digits;
use super::node::Node;

/// A node, and the files of a model beside it.
fn node(dir: &Path) -> Node {
    fs::create_dir_all(dir.join("model/sub")).expect("made");
    fs::write(dir.join("model/a.txt"), "one").expect("written");
    fs::write(dir.join("model/sub/b.txt"), "two").expect("written");
    Node::start(dir, "alice", &[])
}

/// Runs a command on the node that must be refused with `code`, saying all of `parts`.
fn says(dir: &Path, code: i32, args: &[&str], parts: &[&str]) {
    let line = refused(dir, code, &[args, &["--dir", "alice"]].concat());
    for part in parts {
        assert!(line.contains(part), "{args:?}: {line:?} does not say {part:?}");
    }
}

/// What is in a directory, by name.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
    names.sort();
    names
}

#[test]
fn keys_are_never_shared() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let alice = node(dir);
    for path in [".", "alice", "alice/node.key", "alice/identities", "alice/blobs", "link"] {
        if path == "link" {
            symlink("alice/identities", dir.join("link")).expect("linked");
        }
        let args = ["share", path, "--name", "keys"];
        says(dir, 1, &args, &["/alice is an Accord data directory", "nothing was shared"]);
    }
    assert_eq!(alice.json(&["status"])["models"], 0, "nothing of it was shared");
    alice.json(&["share", "model"]);
    assert_eq!(alice.json(&["status"])["models"], 1);
}

#[test]
fn what_is_shared_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let alice = node(dir);
    let args = ["share", "/dev/null", "--name", "null"];
    says(dir, 1, &args, &["/dev/null is not a plain file or directory"]);
    says(dir, 2, &["share", "model", "--name", "a/b"], &["name"]);
    let shared = alice.ask(&["share", "model"]);
    assert_eq!(shared.code, Some(0), "{shared:?}");
    assert!(!shared.out.contains("left out"), "{shared:?}");
    fs::create_dir(dir.join("model/.git")).expect("made");
    fs::write(dir.join("model/sub/.hidden"), "three").expect("written");
    let shared = alice.ask(&["share", "model"]);
    assert_eq!(shared.code, Some(0), "{shared:?}");
    assert!(shared.out.contains("2 names starting with a dot were left out"), "{shared:?}");
    assert!(shared.out.contains("2 files"), "{shared:?}");
}

#[test]
fn files_that_differ_are_not_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let alice = node(dir);
    alice.json(&["share", "model"]);
    let get = ["get", "me/model", "--out", "out"];
    alice.json(&get);
    let (a, b) = (dir.join("out/a.txt"), dir.join("out/sub/b.txt"));
    assert_eq!(fs::read_to_string(&b).expect("there"), "two");
    alice.json(&get);

    fs::remove_file(&a).expect("removed");
    fs::write(&b, "mine").expect("written");
    says(dir, 1, &get, &["/out/sub/b.txt is there and differs", "--overwrite"]);
    fs::write(&a, "mine too").expect("written");
    says(dir, 1, &get, &["/out/a.txt is there and differs", "as does 1 other"]);
    assert_eq!(fs::read_to_string(&b).expect("there"), "mine");
    fs::remove_file(&a).expect("removed");
    says(dir, 1, &get, &["/out/sub/b.txt"]);
    assert!(!a.exists(), "nothing was written");
    let got = alice.json(&[&get[..], &["--overwrite"]].concat());
    assert_eq!(got["out"], dir.join("out").display().to_string());
    assert_eq!(fs::read_to_string(&a).expect("there"), "one");
    assert_eq!(fs::read_to_string(&b).expect("there"), "two");
    assert_eq!(names(&dir.join("out")), ["a.txt", "sub"], "nothing else is left");
    says(dir, 2, &["get", "me/model", "--overwrite"], &["--out"]);
}

#[test]
fn nothing_is_written_through_a_link() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let alice = node(dir);
    alice.json(&["share", "model"]);
    fs::create_dir(dir.join("elsewhere")).expect("made");
    fs::create_dir(dir.join("out")).expect("made");
    symlink("../elsewhere", dir.join("out/sub")).expect("linked");
    for more in [&[][..], &["--overwrite"]] {
        let args = [&["get", "me/model", "--out", "out"], more].concat();
        says(dir, 1, &args, &["/out/sub is a symbolic link", "nothing was written"]);
    }
    assert_eq!(names(&dir.join("out")), ["sub"]);
    assert!(names(&dir.join("elsewhere")).is_empty());
    // The directory itself may be one: whoever names it means what it leads to.
    symlink("elsewhere", dir.join("named")).expect("linked");
    alice.json(&["get", "me/model", "--out", "named"]);
    assert_eq!(names(&dir.join("elsewhere")), ["a.txt", "sub"]);
}

#[test]
fn what_is_no_model_is_said_to_lack() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let _alice = node(dir);
    digits::write(dir, "digits.csv", 0..200);
    for model in ["model", "./model", "model/sub"] {
        let args = ["eval", model, "--data", "digits.csv"];
        says(dir, 1, &args, &["holds no config.json", "model.safetensors"]);
    }
    for model in ["modle", "./modle"] {
        let args = ["eval", model, "--data", "digits.csv"];
        says(dir, 2, &args, &["names no model", "there is no directory", "modle either"]);
    }
    let args = ["get", "0123456789/model"];
    says(dir, 1, &args, &["no node we know of", "no other node is connected yet"]);
}
