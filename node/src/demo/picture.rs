//! The artist whose picture is opted out, and found again on copies that were altered.
//!
//! Invariants: the pictures are a function of fixed seeds; what the scan refuses is compared with
//! what the demo altered itself. What it is not: a measure of what can be found (see the benches).

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use super::DemoError;
use super::ask::{ask, promise, wait};
use super::nodes::Node;
use super::report::Report;
use crate::api::dto::{ConsentRequest, ScanItem, ScanReply, ScanRequest};

/// The altered copies in the folder that is scanned.
pub(super) const COPIES: [&str; 2] = ["half-size.png", "quality-60.jpg"];
/// Other pictures in it.
const OTHERS: u64 = 4;
const SIDE: u32 = 512;
const DISCS: usize = 48;

/// Registers a picture at node-1 and scans a folder at node-4; returns how many copies were refused.
pub(super) async fn refused(nodes: &[Node], dir: &Path, report: &Report) -> Result<u64, DemoError> {
    let (original, folder) = prepare(dir)?;
    let (artist, scanner) = (&nodes[0], &nodes[nodes.len() - 1]);
    let request = ConsentRequest {
        paths: vec![original.display().to_string()],
        identity: Some("artist".into()),
        ..ConsentRequest::default()
    };
    let before = ask(scanner, scanner.client.status()).await?.records;
    let said = ask(artist, artist.client.opt_out(&request, drop)).await?;
    promise(said.alike == 1, || "the picture is named by its likeness".to_owned())?;
    wait("the artist's records to reach node-4", || async {
        let status = ask(scanner, scanner.client.status()).await?;
        Ok((status.records >= before + said.records.len()).then_some(()))
    })
    .await?;
    let request = ScanRequest {
        path: folder.display().to_string(),
        use_name: "train-generative".into(),
        default: Some("opt-out".into()),
        ..ScanRequest::default()
    };
    let reply = ask(scanner, scanner.client.scan(&request, report.bar())).await?;
    check(&reply, said.records.last().copied())?;
    for item in &reply.refusals {
        report.say(&line(item));
    }
    report.say(&format!("the other {} pictures of the folder may be used", reply.allowed));
    Ok(reply.refused)
}

/// Checks that exactly the copies are refused, by the artist's record.
fn check(reply: &ScanReply, record: Option<protocol::RecordId>) -> Result<(), DemoError> {
    let names: Vec<&str> = reply.refusals.iter().map(name).collect();
    let by = |item: &ScanItem| record.is_some_and(|record| item.records.contains(&record));
    let exactly = names == COPIES && reply.refusals.iter().all(by);
    promise(exactly && reply.allowed == OTHERS && reply.unreadable == 0, || {
        format!("exactly {COPIES:?} are refused, by the artist's record, not {:?}", reply.refusals)
    })
}

fn line(item: &ScanItem) -> String {
    let record = item.records.first().map(|record| record.short()).unwrap_or_default();
    let found = item.found.clone().unwrap_or_default();
    let distance = item.distance.unwrap_or_default();
    format!("{} refused: record {record}, {found} {distance} of 256 bits away", name(item))
}

fn name(item: &ScanItem) -> &str {
    Path::new(&item.place).file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Writes the artist's picture, and the folder with its altered copies among others.
fn prepare(dir: &Path) -> Result<(PathBuf, PathBuf), DemoError> {
    let (original, folder) = (dir.join("picture.png"), dir.join("pictures"));
    std::fs::create_dir_all(&folder).map_err(|e| DemoError::Write(folder.clone(), e))?;
    let picture = DynamicImage::from(painted(1));
    write(&original, &png(&picture)?)?;
    let half = picture.resize_exact(SIDE / 2, SIDE / 2, FilterType::Triangle);
    write(&folder.join(COPIES[0]), &png(&half)?)?;
    write(&folder.join(COPIES[1]), &jpeg(&picture, 60)?)?;
    for seed in 0..OTHERS {
        let other = DynamicImage::from(painted(100 + seed));
        write(&folder.join(format!("other-{seed}.png")), &png(&other)?)?;
    }
    Ok((original, folder))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), DemoError> {
    std::fs::write(path, bytes).map_err(|e| DemoError::Write(path.to_owned(), e))
}

fn png(picture: &DynamicImage) -> Result<Vec<u8>, DemoError> {
    let mut bytes = Cursor::new(Vec::new());
    let written = picture.write_to(&mut bytes, ImageFormat::Png);
    written.map_err(|e| DemoError::Data(e.to_string()))?;
    Ok(bytes.into_inner())
}

fn jpeg(picture: &DynamicImage, quality: u8) -> Result<Vec<u8>, DemoError> {
    let mut bytes = Vec::new();
    let written = JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(picture);
    written.map_err(|e| DemoError::Data(e.to_string()))?;
    Ok(bytes)
}

/// Coloured discs on a sky, another picture for each seed.
fn painted(seed: u64) -> RgbImage {
    // Knuth's MMIX generator; its high bits are good enough for a picture.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |bound: u32| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % u64::from(bound)) as u32
    };
    let discs: Vec<(i64, i64, i64, Rgb<u8>)> = (0..DISCS)
        .map(|_| {
            let (x, y, radius) = (below(SIDE), below(SIDE), 12 + below(70));
            let colour = Rgb([below(256) as u8, below(256) as u8, below(256) as u8]);
            (i64::from(x), i64::from(y), i64::from(radius), colour)
        })
        .collect();
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let (column, row) = (i64::from(x), i64::from(y));
        let over = |disc: &&(i64, i64, i64, Rgb<u8>)| {
            (disc.0 - column).pow(2) + (disc.1 - row).pow(2) < disc.2.pow(2)
        };
        let sky = Rgb([(y / 4) as u8, (x / 4) as u8, 200 - (y / 4) as u8]);
        discs.iter().rev().find(over).map_or(sky, |disc| disc.3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use consent::fingerprint::image_fingerprint;

    #[test]
    fn copies_stay_near_and_others_far() {
        let print = |bytes: &[u8]| image_fingerprint(bytes).expect("a picture");
        let bits = |a: &[u8; 32], b: &[u8; 32]| -> u32 {
            a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
        };
        let picture = DynamicImage::from(painted(1));
        let own = print(&png(&picture).expect("a file"));
        assert!(own.pdq_quality >= 50, "{}", own.pdq_quality);
        let half = picture.resize_exact(SIDE / 2, SIDE / 2, FilterType::Triangle);
        for copy in [png(&half), jpeg(&picture, 60)] {
            assert!(bits(&own.pdq, &print(&copy.expect("a file")).pdq) <= 12);
        }
        for seed in 100..100 + OTHERS {
            let other = print(&png(&DynamicImage::from(painted(seed))).expect("a file"));
            assert!(bits(&own.pdq, &other.pdq) > 60 && bits(&own.iscc, &other.iscc) > 40);
        }
    }

    #[test]
    fn a_line_fits_a_terminal() {
        let item = ScanItem {
            place: format!("/tmp/pictures/{}", COPIES[1]),
            records: vec![protocol::RecordId::of(b"record")],
            found: Some("iscc-image".into()),
            distance: Some(31),
            ..ScanItem::default()
        };
        assert!(line(&item).chars().count() + 3 <= 80, "{}", line(&item));
    }
}
