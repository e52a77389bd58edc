//! What is said of a scan: a line for each item, in a file; and the counts.
//!
//! Invariants: the file appears under its name when all of it is written; counts by name stay few,
//! whatever the data say. What it is not: for the terminal (see the command line).

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use protocol::RecordId;
use protocol::limits::SCAN_LISTED_MAX;
use tempfile::NamedTempFile;

use crate::api::dto::{ScanItem, ScanReply};

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemFormat {
    /// A JSON object.
    Json,
    /// Values with commas, under a header.
    Csv,
}

const CSV_HEADER: &str = "place,verdict,reason,records,found,distance,scheme,why,licence,content\n";
/// Licences counted by name; the others together.
const OTHERS: &str = "(others)";

/// A file of lines under way.
#[derive(Debug)]
pub(super) struct Lines {
    file: BufWriter<NamedTempFile>,
    target: PathBuf,
    format: ItemFormat,
}

impl Lines {
    pub(super) fn create(target: &Path, format: ItemFormat) -> io::Result<Self> {
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let file = tempfile::Builder::new()
            .prefix(".accord-")
            .tempfile_in(parent.unwrap_or_else(|| Path::new(".")))?;
        let mut file = BufWriter::new(file);
        if format == ItemFormat::Csv {
            file.write_all(CSV_HEADER.as_bytes())?;
        }
        Ok(Self { file, target: target.to_owned(), format })
    }

    /// The line of an item.
    pub(super) fn line(item: &ScanItem, format: ItemFormat) -> Vec<u8> {
        match format {
            ItemFormat::Json => {
                // Its keys are texts.
                let mut line = serde_json::to_vec(item).expect("an item is always JSON");
                line.push(b'\n');
                line
            }
            ItemFormat::Csv => csv_line(item).into_bytes(),
        }
    }

    /// Adds lines as [`Lines::line`] makes them.
    pub(super) fn add(&mut self, lines: &[Vec<u8>]) -> io::Result<()> {
        lines.iter().try_for_each(|line| self.file.write_all(line))
    }

    pub(super) const fn format(&self) -> ItemFormat {
        self.format
    }

    /// Gives the file its name; what was there is replaced.
    pub(super) fn finish(self) -> io::Result<()> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.persist(&self.target).map_err(|error| error.error)?;
        Ok(())
    }
}

fn csv_line(item: &ScanItem) -> String {
    let records: Vec<String> = item.records.iter().map(ToString::to_string).collect();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let values = [
        item.place.clone(),
        item.verdict.clone(),
        text(&item.reason),
        records.join(" "),
        text(&item.found),
        item.distance.map(|distance| distance.to_string()).unwrap_or_default(),
        text(&item.scheme),
        text(&item.why),
        text(&item.licence),
        item.content.map(|content| content.to_string()).unwrap_or_default(),
    ];
    values.map(quoted).join(",") + "\n"
}

/// A value of CSV (RFC 4180).
fn quoted(value: String) -> String {
    if value.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value
    }
}

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    reply: ScanReply,
    records: BTreeMap<RecordId, u64>,
}

impl Tally {
    /// Counts an item; says whether it is allowed.
    pub(super) fn add(&mut self, item: ScanItem) -> bool {
        let reply = &mut self.reply;
        reply.items += 1;
        let allowed = item.verdict == "allowed";
        match (allowed, item.verdict.as_str()) {
            (true, _) => reply.allowed += 1,
            (false, "unreadable") => reply.unreadable += 1,
            (false, _) => {
                reply.refused += 1;
                bump(&mut reply.reasons, item.reason.clone());
                bump(&mut reply.found, item.found.clone());
                bump(&mut reply.schemes, item.scheme.clone());
            }
        }
        if let Some(licence) = &item.licence {
            let known = reply.licences.contains_key(licence);
            let room = known || reply.licences.len() < SCAN_LISTED_MAX;
            let name = if room { licence.clone() } else { OTHERS.to_owned() };
            let (all, used) = reply.licences.entry(name).or_default();
            (*all, *used) = (*all + 1, *used + u64::from(allowed));
        }
        for record in &item.records {
            *self.records.entry(*record).or_default() += 1;
        }
        if !allowed && reply.refusals.len() < SCAN_LISTED_MAX {
            reply.refusals.push(item);
        }
        allowed
    }

    /// The counts, with the records behind most refusals first.
    pub(super) fn reply(self) -> ScanReply {
        let mut records: Vec<(RecordId, u64)> = self.records.into_iter().collect();
        records.sort_by_key(|(record, count)| (std::cmp::Reverse(*count), *record));
        records.truncate(SCAN_LISTED_MAX);
        ScanReply { records, ..self.reply }
    }
}

fn bump(counts: &mut BTreeMap<String, u64>, name: Option<String>) {
    if let Some(name) = name {
        *counts.entry(name).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(place: &str, verdict: &str, reason: Option<&str>) -> ScanItem {
        let reason = reason.map(str::to_owned);
        let licence = Some(format!("L{place}"));
        let records = reason.iter().map(|_| RecordId::of(b"record")).collect();
        let (place, verdict) = (place.to_owned(), verdict.to_owned());
        ScanItem { place, verdict, reason, licence, records, ..ScanItem::default() }
    }

    #[test]
    fn items_are_counted_and_names_stay_few() {
        let mut tally = Tally::default();
        for n in 0..300 {
            tally.add(item(&n.to_string(), "refused", Some("denied")));
        }
        assert!(tally.add(item("x", "allowed", None)));
        assert!(!tally.add(item("y", "unreadable", None)));
        let reply = tally.reply();
        let counts = (reply.items, reply.allowed, reply.refused, reply.unreadable);
        assert_eq!(counts, (302, 1, 300, 1));
        assert_eq!(reply.reasons, [("denied".to_owned(), 300)].into());
        assert_eq!((reply.licences.len(), reply.licences[OTHERS]), (SCAN_LISTED_MAX + 1, (202, 1)));
        assert_eq!(reply.records, [(RecordId::of(b"record"), 300)]);
        assert_eq!(reply.refusals.len(), SCAN_LISTED_MAX);
    }

    #[test]
    fn a_line_of_csv_keeps_commas_and_quotes() {
        let mut odd = item("a,b \"c\"", "refused", Some("denied"));
        odd.records.clear();
        let line = String::from_utf8(Lines::line(&odd, ItemFormat::Csv)).expect("text");
        assert!(line.starts_with("\"a,b \"\"c\"\"\",refused,denied,,"), "{line}");
        assert_eq!(CSV_HEADER.matches(',').count(), 9);
    }
}
