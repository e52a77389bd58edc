//! Tables, run files, names and arguments that are wrong: one clear line and the right exit code,
//! and nothing is lost.
//!
//! Invariants: every case goes through the program, as text and as JSON (see `command::refused`).
//! What it is not: data directories and ports (see `bad_places`) or weights (see `bad_weights`).

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::command::{accord, refused};
use super::digits;
use super::node::Node;

/// A node with a run for tables of two columns and a label.
fn node() -> (TempDir, Node) {
    let dir = tempfile::tempdir().expect("a directory");
    let node = Node::start(dir.path(), "node", &[]);
    write(dir.path(), "good.csv", "a,b,label\n1,2,x\n2,1,y\n3,4,x\n4,3,y\n");
    write(dir.path(), "good.toml", &digits::run_file("good.csv", ""));
    node.json(&["run", "create", "good.toml"]);
    (dir, node)
}

/// A run file that goes on from the model there is, for trainers with tables like this.
fn go_on_with(table: &str) -> String {
    format!(
        "name = \"more\"\n\n[model]\nrepo = \"me/digits\"\ndata = \"{table}\"\n\n\
         [consent]\ndefault = \"opt-out\"\n"
    )
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).expect("a file is written");
}

/// Runs a command on the node that must be refused with `code`, saying all of `parts`.
fn says(dir: &Path, code: i32, args: &[&str], parts: &[&str]) {
    let line = refused(dir, code, &[args, &["--dir", "node"]].concat());
    for part in parts {
        assert!(line.contains(part), "{args:?}: {line:?} does not say {part:?}");
    }
}

#[test]
fn a_bad_table_is_named_with_its_fault() {
    let (dir, node) = node();
    let dir = dir.path();
    let before = known(&node);
    let tables = [
        ("no-label", "a,b\n1,2\n", "has no column \"label\""),
        ("ragged", "a,b,label\n1,2,x\n1,2,x,3\n", "line 3 has 4 values, the header has 3 columns"),
        ("text", "a,b,label\n1,two,x\n", "line 2, column \"b\": \"two\" is not a number"),
        ("nan", "a,b,label\n1,2,x\nNaN,2,y\n", "line 3, column \"a\": \"NaN\" is not finite"),
        ("infinite", "a,b,label\n1,inf,x\n", "column \"b\": \"inf\" is not finite"),
        ("no-rows", "a,b,label\n", "has a header and no rows"),
        ("empty", "", "is empty"),
    ];
    for (name, text, fault) in tables {
        let (table, spec) = (format!("{name}.csv"), format!("{name}.toml"));
        write(dir, &table, text);
        write(dir, &spec, &digits::run_file(&table, "").replace("digits", name));
        let said = [table.as_str(), fault];
        says(dir, 1, &["run", "join", "digits", "--data", &table], &said);
        says(dir, 1, &["run", "create", &spec], &said);
        says(dir, 1, &["eval", "me/digits", "--data", &table], &said);
        let held_out = digits::run_file("good.csv", "");
        let held_out = held_out.replace("label = ", &format!("held_out = {table:?}\nlabel = "));
        write(dir, &spec, &held_out);
        says(dir, 1, &["run", "create", &spec], &said);
        write(dir, &spec, &go_on_with(&table));
        says(dir, 1, &["run", "create", &spec], &said);
    }
    let unknown = ["b.csv", "\"z\" is none of the model's classes"];
    write(dir, "b.csv", "a,b,label\n1,2,z\n");
    says(dir, 1, &["run", "join", "digits", "--data", "b.csv"], &unknown);
    write(dir, "b.toml", &go_on_with("b.csv"));
    says(dir, 1, &["run", "create", "b.toml"], &unknown);
    write(dir, "a.toml", &go_on_with("good.csv").replace("data = ", "label = \"a\"\ndata = "));
    says(dir, 2, &["run", "create", "a.toml"], &["model.label", "tells column \"label\""]);
    assert_eq!(known(&node), before, "nothing came of any of them");
    node.json(&["run", "join", "digits", "--data", "good.csv"]);
}

#[test]
fn a_missing_file_is_named() {
    let (dir, node) = node();
    let dir = dir.path();
    let missing = ["missing", "No such file"];
    let absent = ["missing", "does not exist"];
    says(dir, 1, &["run", "create", "missing.toml"], &missing);
    write(dir, "of-missing.toml", &digits::run_file("missing.csv", ""));
    says(dir, 1, &["run", "create", "of-missing.toml"], &missing);
    says(dir, 1, &["run", "join", "digits", "--data", "missing.csv"], &absent);
    says(dir, 1, &["eval", "me/digits", "--data", "missing.csv"], &absent);
    says(dir, 1, &["share", "missing"], &absent);
    says(dir, 1, &["consent", "opt-out", "missing"], &absent);
    says(dir, 1, &["consent", "check", "missing"], &absent);
    says(dir, 1, &["consent", "opt-out", "good.csv", "missing"], &absent);
    assert_eq!(node.json(&["status"])["records"], 0, "all or nothing is registered");
}

#[test]
fn a_run_file_is_refused_with_what_is_allowed() {
    let (dir, node) = node();
    let dir = dir.path();
    let good = digits::run_file("good.csv", "");
    let before = known(&node);
    let cases: [(&str, &[&str]); 14] = [
        ("[rounds]\ncuont = 3\n", &["line 3", "unknown field `cuont`", "`count`"]),
        ("[round]\ncount = 3\n", &["unknown field `round`", "`rounds`"]),
        ("[rounds]\ncount = \"many\"\n", &["invalid type", "line 3"]),
        ("[rounds]\ncount = 0\n", &["rounds.count is 0", "1 to 1000000"]),
        ("[rounds]\ncount = -1\n", &["line 3", "-1"]),
        ("[rounds]\nupdates_min = 0\n", &["updates_min is 0", "1 to"]),
        ("[rounds]\ntrain_seconds = 0\n", &["rounds.train_seconds is 0: 0.01 to 2592000"]),
        ("[rounds]\nagree_ms = 0\n", &["agree_ms is 0", "allowed"]),
        ("[local]\nlearning_rate = nan\n", &["local.learning_rate is NaN: 0.000001 to 100"]),
        ("[local]\nepochs = 0\n", &["epochs is 0", "1 to 10000"]),
        ("[local]\nbatch_size = 0\n", &["batch_size is 0", "1 to"]),
        ("[aggregate]\nrule = \"mean\"\n", &["unknown variant `mean`", "`clipped-mean`"]),
        ("stewards = [\"alice\"]\n", &["stewards", "64"]),
        ("[model", &["line"]),
    ];
    for (text, parts) in cases {
        let spec = match text {
            "[model" => text.to_owned(),
            _ => good.replacen("\n\n", &format!("\n{text}\n"), 1),
        };
        write(dir, "bad.toml", &spec);
        says(dir, 2, &["run", "create", "bad.toml"], parts);
    }
    write(dir, "bad.toml", "name = \"x\"\n[model]\nhidden = [4]\n");
    says(dir, 2, &["run", "create", "bad.toml"], &["[model] needs `repo`, or `data` and `label`"]);
    write(dir, "bad.toml", &good.replacen("digits", "a name/with signs", 1));
    says(dir, 2, &["run", "create", "bad.toml"], &["name"]);
    write(dir, "bad.toml", &"#".repeat(1 << 20));
    says(dir, 2, &["run", "create", "bad.toml"], &["bad.toml", "longer than"]);
    assert_eq!(known(&node), before, "nothing came of any of them");
}

#[test]
fn what_nobody_has_is_said_to_be_unknown() {
    let (dir, node) = node();
    let dir = dir.path();
    let stranger = format!("{}/digits", "0123456789abcdef".repeat(4));
    for model in ["me/nothing", stranger.as_str(), "0123456789/digits"] {
        let said = ["no node we know of has shared", model, "`accord models`"];
        says(dir, 1, &["get", model, "--out", "out"], &said);
        says(dir, 1, &["eval", model, "--data", "good.csv"], &said);
    }
    let none = format!("me/digits@{}", "0".repeat(64));
    says(dir, 1, &["get", &none, "--out", "out"], &["me/digits@"]);
    assert!(!dir.join("out").exists(), "nothing was written");
    let said = ["\"digits\" names no model", "OWNER/NAME"];
    says(dir, 2, &["get", "digits"], &said);
    let id = "0".repeat(64);
    for run in ["nothing", "abcdef", &id] {
        let said = [run, "`accord run status` lists the runs"];
        for args in [&["run", "status", run][..], &["run", "leave", run], &["audit", run]] {
            says(dir, 1, args, &said);
        }
        says(dir, 1, &["run", "status", run, "--watch"], &said);
        says(dir, 1, &["run", "join", run, "--data", "good.csv"], &said);
    }
    says(dir, 1, &["audit", "digits"], &["no round of the run is certified yet"]);
    drop(node);
}

#[test]
fn wrong_use_is_exit_code_two() {
    let dir = tempfile::tempdir().expect("a directory");
    let lines = [
        "audti digits",
        "run join digits",
        "run status --watch",
        "consent opt-out",
        "consent opt-in a --days 0",
        "consent check a --use train",
        "consent check a --default maybe",
        "up --port 65536",
        "up --peer nonsense",
        "up --bind here",
        "up --threads 0",
        "get",
        "status more",
    ];
    for line in lines {
        let args: Vec<&str> = line.split(' ').collect();
        let said = refused(dir.path(), 2, &args);
        assert!(said.contains(args[args.len() - 1]) || said.contains("usage: "), "{line}: {said}");
    }
    for verbs in [&[][..], &["run"], &["consent"]] {
        let ended = accord(dir.path(), verbs);
        assert_eq!((ended.code, &*ended.out), (Some(2), ""), "accord {verbs:?}: {ended:?}");
        assert!(ended.err.contains("Usage: "), "a verb alone is answered with its help: {ended:?}");
    }
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 0, "nothing was made");
}

/// What a node knows: its models with their revisions, its runs, and how many records.
fn known(node: &Node) -> [Value; 3] {
    let records = node.json(&["status"])["records"].clone();
    [node.json(&["models"]), node.json(&["run", "status"]), records]
}
