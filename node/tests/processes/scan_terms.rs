//! `accord consent scan` and what is said of items other than by their bytes: of their makers, of where
//! they were found, by their site, and by the items themselves; under policies that a person wrote.
//!
//! Invariants: each word refuses what it is about, and nothing else of the same data set. What it is
//! not: a test of how each scheme is read (see the crate `consent`).

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::Value;

use super::node::Node;
use super::scan::{jpeg, lines, picture, png, scan};

/// What a report says of the item whose place ends so: verdict, reason, and how it was found or by
/// which scheme.
fn said(item: &Value) -> [&str; 3] {
    let text = |name: &str| item[name].as_str().unwrap_or_default();
    let by = if item["scheme"].is_string() { "scheme" } else { "found" };
    [text("verdict"), text("reason"), text(by)]
}

const ALLOWED: [&str; 3] = ["allowed", "", ""];

/// Scans with a report, which is read.
fn report(node: &Node, dir: &Path, args: &[&str]) -> (Value, impl Fn(&str) -> Value + use<>) {
    let out = ["--format", "json", "--out", "report.jsonl"];
    let reply = scan(node, &[args, &out].concat());
    (reply, lines(&dir.join("report.jsonl")))
}

#[test]
fn makers_and_places_are_asked_about_under_a_policy() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let node = Node::start(dir, "node", &[]);
    let write = |name: &str, text: &str| fs::write(dir.join(name), text).expect("written");
    let made = node.json(&["id", "create", "painter"]);
    let painter = made["identities"][0]["key"].as_str().expect("a key").to_owned();
    node.json(&["consent", "say", "--deny", "--identity-of-mine", "--identity", "painter"]);
    node.json(&["consent", "say", "--deny", "--place", "art.example", "--identity", "painter"]);
    write(
        "rows.csv",
        &format!(
            "id,author,url\n1,{painter},https://other.example/1\n2,{},https://other.example/2\n\
             3,J. Doe,https://www.art.example/3\n4,,\n5,,no address\n",
            node.identity
        ),
    );
    let columns = ["rows.csv", "--author", "author", "--url", "url"];

    let (_, item) = report(&node, dir, &[&columns[..], &["--default", "opt-out"]].concat());
    assert_eq!(said(&item("row 1")), ["refused", "denied", "maker"]);
    // A word about a whole domain needs more standing than anyone gives himself.
    for row in ["row 2", "row 3", "row 4"] {
        assert_eq!(said(&item(row)), ALLOWED, "{row}");
    }
    assert_eq!(item("row 5")["verdict"], "unreadable");

    write("open.toml", "default = \"opt-out\"\nplace_standing = \"self-asserted\"\n");
    let policy = |name| [&columns[..], &["--policy", name]].concat();
    let (reply, item) = report(&node, dir, &policy("open.toml"));
    assert_eq!(said(&item("row 1")), ["refused", "denied", "maker"]);
    assert_eq!(said(&item("row 3")), ["refused", "denied", "place"]);
    assert_eq!((&reply["allowed"], &reply["refused"]), (&2.into(), &2.into()), "{reply:#}");

    // Where silence is no: an allow counts at once under one policy, and waits under another.
    write("one.csv", "id,author,url\n4,,\n");
    node.json(&["consent", "opt-in", "one.csv", "--identity", "painter"]);
    write("closed.toml", "default = \"opt-in\"\ncooling_hours = 0\n");
    write("slow.toml", "default = \"opt-in\"\ncooling_hours = 72\n");
    let (reply, item) = report(&node, dir, &policy("closed.toml"));
    assert_eq!(said(&item("row 4")), ALLOWED);
    assert_eq!(said(&item("row 2"))[..2], ["refused", "silent"]);
    assert_eq!(reply["allowed"], 1, "{reply:#}");
    let (reply, item) = report(&node, dir, &policy("slow.toml"));
    assert_eq!(said(&item("row 4"))[..2], ["refused", "allow-not-live"]);
    assert_eq!(reply["allowed"], 0, "{reply:#}");
}

/// An XMP packet with a data mining value of PLUS.
fn xmp(value: &str) -> Vec<u8> {
    format!(
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF \
         xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description rdf:about='' \
         xmlns:plus='http://ns.useplus.org/ldf/xmp/1.0/' \
         plus:DataMining='http://ns.useplus.org/ldf/vocab/{value}'/></rdf:RDF></x:xmpmeta>"
    )
    .into_bytes()
}

/// A JPEG file with XMP in its first segment (XMP part 3, 1.1.3).
fn jpeg_with(seed: u64, xmp: &[u8]) -> Vec<u8> {
    let whole = jpeg(&picture(seed), 80);
    let packet = [b"http://ns.adobe.com/xap/1.0/\0", xmp].concat();
    let length = u16::try_from(packet.len() + 2).expect("a segment").to_be_bytes();
    [&whole[..2], &[0xff, 0xe1], &length, &packet, &whole[2..]].concat()
}

/// Pictures as bytes in a column.
fn pictures(path: &Path, pictures: &[&[u8]]) {
    let schema = "message m { required group image { required binary bytes; } }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let file = File::create(path).expect("made");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    let values: Vec<ByteArray> = pictures.iter().map(|bytes| bytes.to_vec().into()).collect();
    let mut column = group.next_column().expect("a column").expect("bytes");
    column.typed::<ByteArrayType>().write_batch(&values, None, None).expect("written");
    column.close().expect("closed");
    group.close().expect("closed");
    writer.close().expect("closed");
}

#[test]
fn a_picture_s_own_words_refuse_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let node = Node::start(dir, "node", &[]);
    let signed = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/c2pa/refused.png");
    let signed = fs::read(signed).expect("the vector");
    let plain = png(&picture(4));
    fs::create_dir(dir.join("art")).expect("made");
    let write =
        |name: &str, bytes: &[u8]| fs::write(dir.join("art").join(name), bytes).expect(name);
    write("signed.png", &signed);
    write("plain.png", &plain);
    write("reserved.jpg", &jpeg_with(1, &xmp("DMI-PROHIBITED-AIMLTRAINING")));
    write("indexed.jpg", &jpeg_with(2, &xmp("DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING")));
    write("open.jpg", &jpeg_with(3, &xmp("DMI-ALLOWED")));
    write("odd.jpg", &jpeg_with(5, b"<x:xmpmeta"));
    let page = |head: &str| format!("<html><head>{head}</head><body>Text.</body></html>");
    write("noai.html", page("<meta name='robots' content='noai'>").as_bytes());
    write("tdm.html", page("<meta name='tdm-reservation' content='1'>").as_bytes());
    write("page.html", page("").as_bytes());
    pictures(&dir.join("art/rows.parquet"), &[&plain, &signed]);

    let open = ["art", "--default", "opt-out", "--content", "image.bytes"];
    let (reply, item) = report(&node, dir, &[&open[..], &["--fix", "kept"]].concat());
    for (place, scheme) in [
        ("signed.png", "cawg"),
        ("reserved.jpg", "iptc"),
        ("indexed.jpg", "iptc"),
        ("noai.html", "x-robots"),
        ("tdm.html", "tdmrep"),
        ("rows.parquet row 2", "cawg"),
    ] {
        assert_eq!(said(&item(place)), ["refused", "terms", scheme], "{place}");
    }
    for place in ["plain.png", "open.jpg", "page.html", "rows.parquet row 1"] {
        assert_eq!(said(&item(place)), ALLOWED, "{place}");
    }
    assert_eq!(item("odd.jpg")["verdict"], "unreadable");
    assert_eq!(reply["schemes"]["iptc"], 2, "{reply:#}");
    assert!(dir.join("kept/open.jpg").exists() && !dir.join("kept/signed.png").exists());
    // What may not be trained on may be indexed, where that is all that it says.
    let indexed = ["--json", "consent", "scan", "art", "--use", "index", "--default", "opt-out"];
    let ended = node.ask(&[&indexed[..], &["--content", "image.bytes"]].concat());
    let reply: Value = serde_json::from_str(&ended.out).expect("JSON");
    let iptc = &reply["schemes"]["iptc"];
    assert!(iptc.is_null() && reply["allowed"].as_u64() > Some(4), "{reply:#}");
}

#[test]
fn a_site_s_words_refuse_what_is_of_the_site() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let node = Node::start(dir, "node", &[]);
    fs::create_dir_all(dir.join("site/art")).expect("made");
    fs::create_dir_all(dir.join("site/blog")).expect("made");
    let write = |name: &str, text: &str| fs::write(dir.join(name), text).expect(name);
    for name in ["art/a.txt", "blog/b.txt", "blog/c.mp3.txt", "d.txt"] {
        write(&format!("site/{name}"), name);
    }
    write(
        "robots.txt",
        "User-agent: GPTBot\nDisallow: /art/\n\nLicense: https://x.example/rsl.xml\n",
    );
    write(
        "rsl.xml",
        "<rsl xmlns='https://rslstandard.org/rsl'><content url='/blog/b.txt'><license>\
         <prohibits type='usage'>ai-train</prohibits></license></content></rsl>",
    );
    write("tdmrep.json", "[{\"location\": \"/d.txt\", \"tdm-reservation\": 1}]");
    write("ai.txt", "User-Agent: *\nDisallow: /blog/c.mp3.txt\n");
    let words = ["--base", "https://x.example/", "--robots", "robots.txt", "--default", "opt-out"];

    let asked = ["consent", "scan", "site", "--use", "train-generative"];
    let ended = node.ask(&[&asked[..], &words].concat());
    let named = "names the licences https://x.example/rsl.xml";
    assert!(ended.code == Some(2) && ended.err.contains(named), "{ended:?}");

    let words = [&words[..], &["--rsl", "rsl.xml", "--tdmrep", "tdmrep.json"]].concat();
    let words = [&words[..], &["--ai-txt", "ai.txt"]].concat();
    let (_, item) = report(&node, dir, &[&["site"], &words[..]].concat());
    assert_eq!(said(&item("art/a.txt")), ["refused", "terms", "robots"]);
    assert_eq!(said(&item("blog/b.txt")), ["refused", "terms", "rsl"]);
    assert_eq!(said(&item("c.mp3.txt")), ["refused", "terms", "ai.txt"]);
    assert_eq!(said(&item("d.txt")), ["refused", "terms", "tdmrep"]);

    // Of rows the URLs tell which are of the site.
    let row = |url: &str| format!("{{\"url\": \"{url}\"}}\n");
    let urls = ["https://x.example/art/1", "https://y.example/art/1", "https://x.example/e"];
    write("rows.jsonl", &urls.map(row).concat());
    let (_, item) = report(&node, dir, &[&["rows.jsonl", "--url", "url"], &words[..]].concat());
    assert_eq!(said(&item("row 1")), ["refused", "terms", "robots"]);
    assert_eq!((said(&item("row 2")), said(&item("row 3"))), (ALLOWED, ALLOWED));
}
