//! `accord consent scan` on one node, of works that were opted out on another.
//!
//! Invariants: all works are made here, from fixed numbers; what the scan says is compared with what
//! was altered. What it is not: a measure of likeness.

use std::fs::{self, File};
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use protocol::ContentId;
use serde_json::Value;

use super::command::json;
use super::node::Node;
use super::process::PATIENCE;

const SIDE: u32 = 256;
const SAMPLE_RATE: u32 = 22_050;

/// Steps of a generator (Knuth's MMIX), each below a bound.
fn numbers(seed: u64) -> impl FnMut(u32) -> u32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |bound| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % u64::from(bound)) as u32
    }
}

pub(crate) fn picture(seed: u64) -> DynamicImage {
    let mut below = numbers(seed);
    let discs: Vec<[u32; 4]> =
        (0..40).map(|_| [below(SIDE), below(SIDE), 8 + below(40), below(1 << 24)]).collect();
    DynamicImage::from(RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let over = |disc: &&[u32; 4]| {
            disc[0].abs_diff(x).pow(2) + disc[1].abs_diff(y).pow(2) < disc[2].pow(2)
        };
        let colour = discs.iter().rev().find(over).map_or(x * 0x0001_0100 / 2, |disc| disc[3]);
        let [_, red, green, blue] = colour.to_be_bytes();
        Rgb([red, green, blue])
    }))
}

pub(crate) fn png(picture: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).expect("encoded");
    bytes.into_inner()
}

pub(crate) fn jpeg(picture: &DynamicImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(picture).expect("encoded");
    bytes
}

/// Sentences of made-up words.
pub(crate) fn text(seed: u64, words: u32) -> String {
    let mut below = numbers(seed);
    let syllables =
        ["ka", "lo", "mi", "ter", "sun", "ver", "pol", "dra", "nix", "qua", "fen", "zil"];
    (0..words)
        .map(|_| {
            let word: String = (0..2 + below(3)).map(|_| syllables[below(12) as usize]).collect();
            word + if below(9) == 0 { ". " } else { " " }
        })
        .collect()
}

/// Ten seconds of changing chords, as a WAV file of 16 bits.
fn sound(seed: u64, loudness: f64) -> Vec<u8> {
    let mut below = numbers(seed);
    let mut samples: Vec<u8> = Vec::new();
    for _ in 0..40 {
        let tones: Vec<f64> =
            (0..3).map(|_| 220.0 * 2f64.powf(f64::from(below(36)) / 12.0)).collect();
        for at in 0..SAMPLE_RATE / 4 {
            let time = f64::from(at) / f64::from(SAMPLE_RATE) * std::f64::consts::TAU;
            let level: f64 = tones.iter().map(|tone| (time * tone).sin()).sum::<f64>() / 3.0;
            samples.extend(((level * loudness * 30_000.0) as i16).to_le_bytes());
        }
    }
    let length = samples.len() as u32;
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + length).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(SAMPLE_RATE.to_le_bytes());
    wav.extend((SAMPLE_RATE * 2).to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(length.to_le_bytes());
    wav.extend(samples);
    wav
}

/// A Parquet file with a number and a text a row.
fn parquet(path: &Path, texts: &[String]) {
    let schema = "message m { required int64 id; required binary text (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let file = File::create(path).expect("made");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    let ids: Vec<i64> = (0..texts.len() as i64).collect();
    let mut column = group.next_column().expect("a column").expect("id");
    column.typed::<Int64Type>().write_batch(&ids, None, None).expect("written");
    column.close().expect("closed");
    let texts: Vec<ByteArray> = texts.iter().map(|text| text.as_str().into()).collect();
    let mut column = group.next_column().expect("a column").expect("text");
    column.typed::<ByteArrayType>().write_batch(&texts, None, None).expect("written");
    column.close().expect("closed");
    group.close().expect("closed");
    writer.close().expect("closed");
}

/// A PNG file that says that it has 60,000 x 60,000 pixels.
fn bomb() -> Vec<u8> {
    let mut bytes = png(&picture(9));
    bytes[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    // The checksum of the header's name and body (PNG, section 5.5).
    let crc = !bytes[12..29].iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    });
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// The counts of a scan, whatever its exit code, which says whether all is allowed.
pub(crate) fn scan(node: &Node, args: &[&str]) -> Value {
    let common = ["--json", "consent", "scan", "--use", "train-generative"];
    let ended = node.ask(&[&common, args].concat());
    let reply: Value =
        serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{args:?}: {e}: {ended:?}"));
    let code = i32::from(reply["allowed"] != reply["items"]);
    assert_eq!(ended.code, Some(code), "{args:?}: {ended:?}");
    reply
}

/// The lines of a report, by the end of their place.
pub(crate) fn lines(path: &Path) -> impl Fn(&str) -> Value + use<> {
    let text = fs::read_to_string(path).expect("a report");
    let items: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    move |place| {
        let is = |item: &&Value| item["place"].as_str().is_some_and(|it| it.ends_with(place));
        let found = items.iter().find(is);
        found.unwrap_or_else(|| panic!("{place} is not among {items:#?}")).clone()
    }
}

/// The artist's folder: a picture, a text, a sound.
fn works(dir: &Path) -> String {
    fs::create_dir(dir.join("art")).expect("made");
    let essay = text(1, 900);
    let write = |name: &str, bytes: &[u8]| {
        fs::write(dir.join("art").join(name), bytes).expect("written");
    };
    write("picture.png", &png(&picture(1)));
    write("essay.txt", essay.as_bytes());
    write("song.wav", &sound(1, 1.0));
    write(".DS_Store", b"of no interest");
    write("broken.csv", b"a,b\n1\n");
    essay
}

/// The other's folder: altered copies, a passage in files of every format, and things that cannot be
/// read.
fn data(dir: &Path, essay: &str) {
    let folder = dir.join("data");
    fs::create_dir(&folder).expect("made");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("written");
    let (passage, other) = (&essay[1_000..3_000], text(2, 300));
    write("small.png", &png(&picture(1).resize_exact(128, 128, FilterType::Triangle)));
    write("mirrored.jpg", &jpeg(&picture(1).fliph(), 60));
    write("other.png", &png(&picture(2)));
    write("quiet.wav", &sound(1, 0.4));
    write("other.wav", &sound(2, 1.0));
    write("quoted.txt", format!("{other}\n> {passage}\n{other}").as_bytes());
    write("other.txt", other.as_bytes());
    let row = |text: &str| serde_json::json!({ "id": 1, "text": text }).to_string();
    let jsonl = [row(passage), row(&other), "{\"id\": 3".to_owned(), row("short")];
    write("rows.jsonl", jsonl.join("\n").as_bytes());
    write("rows.csv", format!("id,text\r\n1,\"{passage}\"\r\n2,{other}\r\n").as_bytes());
    parquet(&folder.join("rows.parquet"), &[other.clone(), passage.to_owned(), "x".to_owned()]);
    let whole = fs::read(folder.join("rows.parquet")).expect("just written");
    write("cut.parquet", &whole[..whole.len() - 9]);
    write("bomb.png", &bomb());
    write("cut.jpg", &jpeg(&picture(3), 80)[..900]);
    write("unlike.csv", b"id,words\n1,none\n");
}

/// Waits until a node holds as many records as another.
pub(crate) fn caught_up(node: &Node, other: &Node) {
    let records = other.json(&["status"])["records"].clone();
    node.json_that(&["status"], |status| status["records"] == records);
}

fn one_file_gets_the_same_answer(lab: &Node) {
    let check = |file: &str| lab.json(&["consent", "check", file, "--default", "opt-out"]);
    let copy = check("data/mirrored.jpg");
    let why = copy["refusals"][0]["reason"].as_str().unwrap_or_default();
    assert!(copy["refused"] == 1 && why.contains("found by its"), "{copy:#}");
    assert_eq!(check("data/other.png")["allowed"], 1);
    let cut = lab.ask(&["consent", "check", "data/cut.jpg"]);
    assert!(cut.code == Some(1) && cut.err.contains("JPEG"), "{cut:?}");
}

#[test]
fn copies_are_found_and_the_rest_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let artist = Node::start(dir, "artist", &[]);
    let lab = Node::start(dir, "lab", &[&artist]);
    data(dir, &works(dir));

    let said = artist.ask(&["--json", "consent", "opt-out", "art", "--identity", "artist"]);
    assert_eq!(said.code, Some(1), "a file could not be read: {said:?}");
    let said: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((&said["works"], &said["alike"]), (&3.into(), &3.into()), "{said:#}");
    assert_eq!((&said["dotted"], &said["unread_count"]), (&1.into(), &1.into()), "{said:#}");
    let unread = said["unread"][0].as_str().expect("a line");
    assert!(unread.contains("broken.csv: line 2 has 1 values"), "{unread}");
    caught_up(&lab, &artist);

    let open = ["data", "--default", "opt-out", "--content", "text"];
    let report = ["--format", "json", "--out", "report.jsonl", "--fix", "kept"];
    let reply = scan(&lab, &[open.as_slice(), &report].concat());
    let item = lines(&dir.join("report.jsonl"));
    for (place, found) in [
        ("small.png", "pdq"),
        ("mirrored.jpg", "pdq"),
        ("quiet.wav", "iscc-audio"),
        ("quoted.txt", "passages"),
        ("rows.jsonl row 1", "passages"),
        ("rows.csv row 1", "passages"),
        ("rows.parquet row 2", "passages"),
    ] {
        let item = item(place);
        assert_eq!((&item["verdict"], &item["reason"]), (&"refused".into(), &"denied".into()));
        let (is, by) = (item["found"].as_str().unwrap_or_default(), &item["records"][0]);
        assert!(is == found || found == "pdq" && is == "iscc-image", "{item:#}");
        assert!(said["records"].as_array().is_some_and(|all| all.contains(by)), "{item:#}");
        assert_eq!(item["distance"].is_u64(), found != "passages", "{item:#}");
    }
    for (place, why) in [
        ("rows.jsonl row 3", "not a JSON object"),
        ("cut.parquet", "not a whole Parquet file"),
        ("bomb.png", "60000 x 60000 pixels"),
        ("cut.jpg", "JPEG"),
        ("unlike.csv", "has no column \"text\"; its columns are id, words"),
    ] {
        let item = item(place);
        let said = item["why"].as_str().unwrap_or_default();
        assert_eq!(item["verdict"], "unreadable", "{item:#}");
        assert!(said.contains(why) && !said.contains('\n'), "{item:#}");
    }
    for place in ["other.png", "other.wav", "other.txt", "rows.csv row 2", "rows.parquet row 3"] {
        assert_eq!(item(place)["verdict"], "allowed");
    }
    assert_eq!((&reply["refused"], &reply["unreadable"]), (&7.into(), &5.into()), "{reply:#}");
    assert_eq!((&reply["allowed"], &reply["items"]), (&8.into(), &20.into()), "{reply:#}");

    one_file_gets_the_same_answer(&lab);

    let kept = scan(&lab, &["kept", "--default", "opt-out", "--content", "text"]);
    assert_eq!((&kept["items"], &kept["allowed"]), (&8.into(), &8.into()), "{kept:#}");
    let rows = fs::read_to_string(dir.join("kept/rows.csv")).expect("kept");
    assert!(rows.starts_with("id,text\r\n2,") && rows.lines().count() == 2, "{rows}");
    assert!(!dir.join("kept/bomb.png").exists() && !dir.join("kept/small.png").exists());

    misuse_is_told(&lab);
}

/// Where silence is no, nothing of this is allowed; and wrong use is code 2.
fn misuse_is_told(lab: &Node) {
    let closed = scan(lab, &["data", "--content", "text"]);
    assert_eq!((&closed["allowed"], &closed["reasons"]["silent"]), (&0.into(), &8.into()));
    for (args, why) in [
        (&["data", "--fix", "kept"][..], "exists already"),
        (&["data", "--policy", "report.jsonl"], "the policy file is wrong"),
        (&["data", "--base", "nowhere"], "--base nowhere"),
    ] {
        let common = ["consent", "scan", "--use", "mine"];
        let ended = lab.ask(&[&common, args].concat());
        assert!(ended.code == Some(2) && ended.err.contains(why), "{args:?}: {ended:?}");
    }
}

#[test]
fn a_collection_s_list_comes_after_its_record_and_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let artist = Node::start(dir, "artist", &[]);
    let mut lab = Node::start(dir, "lab", &[&artist]);
    fs::create_dir(dir.join("many")).expect("made");
    for n in 0..20 {
        fs::write(dir.join(format!("many/{n}")), format!("work {n}")).expect("written");
    }
    let opt_out = ["consent", "opt-out", "many", "--collection", "--exact"];
    let said = artist.json(&opt_out);
    assert!(said["works"] == 20 && said["collection"].is_string(), "{said:#}");
    let records = said["records"].as_array().expect("records");
    assert_eq!(records.len(), 2, "a genesis and one statement");
    caught_up(&lab, &artist);
    let all_refused = |lab: &Node| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = scan(lab, &["many", "--default", "opt-out"]);
            if reply["found"]["collection"] == 20 {
                assert_eq!(reply["records"][0][0], records[1], "{reply:#}");
                return;
            }
            assert_eq!(reply["lists_missing"], 1, "until then it is said: {reply:#}");
            assert!(Instant::now() < deadline, "{reply:#}");
        }
    };
    all_refused(&lab);
    // Anybody who has the list can prove that a file is in it, to somebody who has nothing.
    let record = records[1].as_str().expect("an id");
    let prove = |node: &Node, file: &str| {
        node.ask(&["consent", "prove", "--record", record, "--file", file, "--out", "member.proof"])
    };
    assert_eq!(prove(&lab, "many/7").code, Some(0));
    let shown = json(dir, &["consent", "verify-proof", "member.proof"]);
    let shown = shown["shows"][0].as_str().expect("a sentence");
    let id = ContentId::of(b"work 7").to_string();
    assert!(shown.contains(record) && shown.contains(&id), "{shown}");
    fs::write(dir.join("other"), "work 20").expect("written");
    let ended = prove(&lab, "other");
    assert!(ended.code == Some(1) && ended.err.contains("is not in the collection"), "{ended:?}");
    drop(artist);
    lab.kill();
    lab.restart(&[]);
    all_refused(&lab);
}
