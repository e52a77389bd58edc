//! Audits of work: trainers look at each other's updates, and what they find is certified and shown.
//!
//! Invariants: every trainer is honest but for what a test takes away from it on its disk. What it is not:
//! a test of what is far off (see `run::retrain`).

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::digits;
use super::node::{Node, Watch};

/// A run of this file whose steward is the first of these nodes.
fn begin(dir: &Path, names: &[&str], rounds: &str) -> (Vec<Node>, String) {
    let mut nodes: Vec<Node> = Vec::new();
    for (at, name) in names.iter().enumerate() {
        digits::write(dir, &format!("{name}.csv"), at * 200..(at + 1) * 200);
        nodes.push(Node::start(dir, name, &nodes.iter().collect::<Vec<_>>()));
    }
    digits::write(dir, "all.csv", 0..600);
    fs::write(dir.join("run.toml"), digits::run_file("all.csv", rounds)).expect("written");
    let view = nodes[0].json(&["run", "create", "run.toml"]);
    let run = view["run"].as_str().expect("an id").to_owned();
    nodes.iter().for_each(|node| node.wait_for_run(&run));
    (nodes, run)
}

fn join(node: &Node, run: &str, shows: bool) {
    let data = format!("{}.csv", node.name);
    let mut line = vec!["run", "join", run, "--data", &data];
    line.extend(shows.then_some("--show-work"));
    node.json(&line);
}

fn reports(node: &Node, run: &str) -> Vec<Value> {
    let log = node.lines(&["run", "log", run]);
    let reports =
        log.iter().flat_map(|round| round["found"]["reports"].as_array().expect("reports"));
    reports.cloned().collect()
}

#[test]
fn what_trainers_find_of_each_other_is_certified_and_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let rounds = "[rounds]\ncount = 40\nupdates_min = 3\nagree_ms = 200\naudits = 3\n\n\
                  [update]\nencoding = \"top-k\"\n";
    let (nodes, run) = begin(dir, &["ada", "bob", "cleo"], rounds);
    let [ada, bob, cleo] = &nodes[..] else { unreachable!("there are three") };
    let watches = [ada, bob, cleo].map(|node| node.watch(&run));
    join(bob, &run, true);
    join(cleo, &run, false);
    join(ada, &run, true);
    watches.into_iter().for_each(Watch::finish);

    let reports = reports(cleo, &run);
    let passed = |report: &&Value| report["passed"] == true;
    assert!(reports.len() >= 10, "{} reports", reports.len());
    let (passed, evaluated) = (reports.iter().filter(passed).count(), reports.len());
    // Two thirds do, of which chance leaves more than a third.
    assert!(passed * 3 > evaluated, "{passed} of {evaluated} honest updates passed");
    let retrained: Vec<&Value> =
        reports.iter().filter(|report| !report["matched"].is_null()).collect();
    assert!(!retrained.is_empty(), "two of three show their work");
    for report in retrained {
        assert!(report["trainer"] != *cleo.key, "she shows nothing: {report}");
        assert_eq!(report["matched"], true, "{report}");
        assert_eq!(report["said"]["retraining"], "off by 0 %", "on one machine: {report}");
    }
    let members = ada.json(&["run", "members", &run]);
    let members = members["members"]["members"].as_array().expect("members").clone();
    let sum = |what: &str| -> u64 {
        members.iter().map(|member| member["audits"][what].as_u64().expect("a count")).sum()
    };
    assert_eq!((sum("evaluated"), sum("passed")), (evaluated as u64, passed as u64));
    let shown = ada.ask(&["run", "members", &run]).out;
    assert!(shown.contains("passed") && shown.contains("same again"), "{shown}");
    let log = ada.ask(&["run", "log", &run]).out;
    assert!(log.contains("audited") && log.contains("trained again: off by 0 %"), "{log}");
    assert!(!dir.join("bob/traces").read_dir().expect("he showed").any(|_| true), "all is gone");

    let stranger = Node::start(dir, "dora", &[ada, bob, cleo]);
    stranger.wait_for_run(&run);
    assert_eq!(stranger.json(&["audit", &run])["rounds"], 40);
    stranger.json(&["run", "export", &run, "--out", "appendix"]);
    let files = fs::read_dir(dir.join("appendix/reports")).expect("written").count();
    assert_eq!(files, evaluated);
}

#[test]
fn whoever_named_a_trace_and_does_not_show_it_is_written_down() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let rounds = "[rounds]\ncount = 400\nupdates_min = 2\nagree_ms = 50\naudits = 2\n";
    let (nodes, run) = begin(dir, &["ada", "bob"], rounds);
    let [ada, bob] = &nodes[..] else { unreachable!("there are two") };
    join(bob, &run, true);
    let committed = |view: &Value| view["doing"].as_str().is_some_and(|it| it.contains("waiting"));
    bob.json_that(&["run", "status", &run], committed);
    let first = dir.join("bob/traces").join(format!("{run}.1"));
    assert!(first.join("trace").exists() && first.join("rows.csv").exists());
    fs::remove_dir_all(&first).expect("removed");
    join(ada, &run, false);
    ada.json_that(&["run", "members", &run], |answer| {
        let members = answer["members"]["members"].as_array().expect("members");
        let differs = |it: &Value| it["audits"]["retrained"] != it["audits"]["matched"];
        members.iter().any(|it| it["trainer"] == *bob.key && differs(it))
    });
    let reports = reports(ada, &run);
    let first = reports.iter().find(|report| report["round"] == 1 && report["matched"] == false);
    let first = first.expect("the first round's report is certified");
    assert_eq!(first["said"]["retraining"], "what it named was not shown");
    let shown = ada.ask(&["run", "members", &run]).out;
    assert!(shown.contains("same again"), "{shown}");
}
