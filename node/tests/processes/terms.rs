//! `accord consent import` and `export`: a site's own documents said in the ledger, found again at
//! another node, and written out again.
//!
//! Invariants: neither way weakens what the documents refuse; what cannot be read or said is one line
//! and registers nothing. What it is not: how each scheme is read (see the crate `consent`).

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::command::refused;
use super::node::Node;
use super::scan::{caught_up, lines, scan};

const ROBOTS: &str = "User-agent: GPTBot\nDisallow: /art/\n\nUser-agent: *\n\
                      Content-Usage: train-ai=n\nAllow: /\n";
const TDMREP: &str = r#"[{"location": "/", "tdm-reservation": 0}]"#;

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).expect("written");
}

fn says(dir: &Path, code: i32, args: &[&str], part: &str) {
    let line = refused(dir, code, &[&["consent"], args, &["--dir", "press"]].concat());
    assert!(line.contains(part), "{args:?}: {line:?} does not say {part:?}");
}

fn remarks(node: &Node) -> Vec<String> {
    let records = node.json(&["consent", "records", "--mine"]);
    let records = records["records"].as_array().expect("records").iter();
    let shown =
        records.map(|it| node.json(&["consent", "show", it["record"].as_str().expect("id")]));
    shown.map(|reply| reply["records"][0]["remark"].to_string()).collect()
}

#[test]
fn a_site_s_documents_are_said_and_written_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let press = Node::start(dir, "press", &[]);
    let lab = Node::start(dir, "lab", &[&press]);
    write(dir, "robots.txt", ROBOTS);
    write(dir, "tdmrep.json", TDMREP);
    let base = ["consent", "import", "--base", "https://press.example/about"];
    let said = press.json(&[&base[..], &["--robots", "robots.txt"]].concat());
    assert_eq!(said["did"], "said 2 refusals and 0 permissions", "{said:#}");
    assert_eq!(said["records"].as_array().map(Vec::len), Some(3), "a genesis and two: {said:#}");
    let words = remarks(&press).join("\n");
    assert!(words.contains("User-agent: GPTBot") && words.contains("train-ai=n"), "{words}");

    // A lab whose policy heeds places finds them.
    caught_up(&lab, &press);
    write(dir, "open.toml", "default = \"opt-out\"\nplace_standing = \"self-asserted\"\n");
    write(
        dir,
        "rows.csv",
        "id,url\n1,https://press.example/art/1\n2,https://press.example/b\n3,https://other.example/\n",
    );
    let report = ["--policy", "open.toml", "--url", "url", "--format", "json", "--out", "report"];
    scan(&lab, &[&["rows.csv"], &report[..]].concat());
    let item = lines(&dir.join("report"));
    let found = ["row 1", "row 2", "row 3"].map(|row| item(row)["found"].clone());
    assert_eq!(found, [Value::from("place"), Value::from("place"), Value::Null]);

    // What was said goes out in words that refuse at least as much, or not at all.
    let export = |scheme| ["consent", "export", "press.example", "--scheme", scheme];
    let text = |scheme| press.json(&export(scheme))["text"].as_str().expect("text").to_owned();
    assert_eq!(text("content-signal"), "ai-train=no");
    assert_eq!(text("x-robots"), "noai, noimageai");
    assert!(
        text("robots").contains("User-agent: GPTBot") && text("robots").contains("Disallow: /\n")
    );
    says(dir, 1, &export("aipref")[1..], "aipref has no word for a restriction of train-other");
    says(dir, 2, &export("rsl")[1..], "only read here");
    says(
        dir,
        1,
        &["export", "other.example", "--scheme", "robots"],
        "said nothing of other.example",
    );
    let ended = press.ask(&[&export("robots")[..], &["--out", "new-robots.txt"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let written = fs::read_to_string(dir.join("new-robots.txt")).expect("written");
    assert_eq!(written.trim_end(), text("robots").trim_end());
}

#[test]
fn permissions_need_an_end_and_what_cannot_be_read_is_not_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let press = Node::start(dir, "press", &[]);
    write(dir, "robots.txt", ROBOTS);
    write(dir, "tdmrep.json", TDMREP);
    press.json(&["id", "create", "other"]);
    let tdmrep = ["import", "--base", "https://press.example", "--tdmrep", "tdmrep.json"];
    let tdmrep = [&tdmrep[..], &["--identity", "other"]].concat();
    says(dir, 1, &tdmrep, "only permissions stand there");
    let said = press.json(&[&["consent"], &tdmrep[..], &["--days", "30"]].concat());
    assert_eq!(said["did"], "said 0 refusals and 1 permission", "{said:#}");
    // It comes back word by word where it is all that was said.
    let export = ["consent", "export", "press.example", "--scheme", "tdmrep", "--of", "other"];
    let other = press.json(&export);
    assert_eq!(
        (&other["verbatim"], other["records"].as_array().map(Vec::len)),
        (&true.into(), Some(1))
    );

    // What cannot be read registers nothing.
    let before = press.json(&["status"])["records"].clone();
    write(dir, "broken.json", "[{\"location\": 3}]");
    let broken = ["import", "--base", "https://press.example", "--tdmrep", "broken.json"];
    says(dir, 1, &broken, "broken.json: not a TDM rule");
    write(dir, "licensed.txt", "License: https://press.example/rsl.xml\n");
    let licensed = ["import", "--base", "press.example", "--robots", "licensed.txt"];
    says(dir, 2, &licensed, "names the licences https://press.example/rsl.xml");
    says(dir, 1, &["import", "--base", "press.example", "--robots", "none"], "does not exist");
    says(dir, 2, &["import", "--base", "ftp://a.example", "--robots", "robots.txt"], "not of http");
    write(dir, "list.txt", "octo\nocto/cat\n");
    let said = press.json(&["consent", "import", "--code-list", "list.txt"]);
    assert_eq!(said["did"], "said 1 refusal and 0 permissions", "{said:#}");
    let after = press.json(&["status"])["records"].as_u64().expect("a number");
    assert_eq!(Some(after), before.as_u64().map(|records| records + 2), "a genesis and one");
}
