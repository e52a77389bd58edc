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

use super::judge::{self, Answer, Verdict};
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

    /// Writes the line of an item behind others.
    pub(super) fn line(item: &ScanItem, format: ItemFormat, lines: &mut Vec<u8>) {
        match format {
            ItemFormat::Json => {
                serde_json::to_writer(&mut *lines, item)
                    .expect("its keys are texts, so it is JSON");
                lines.push(b'\n');
            }
            ItemFormat::Csv => lines.extend(csv_line(item).into_bytes()),
        }
    }

    /// Adds lines as [`Lines::line`] makes them.
    pub(super) fn add(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.write_all(lines)
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
    /// Counts an item; `shown` makes it ready for a list, if there is room in that.
    pub(super) fn add(
        &mut self,
        answer: &Answer<'_>,
        licence: Option<&str>,
        shown: impl FnOnce() -> ScanItem,
    ) {
        let reply = &mut self.reply;
        reply.items += 1;
        match answer.verdict {
            Verdict::Allowed => reply.allowed += 1,
            Verdict::Unreadable => reply.unreadable += 1,
            Verdict::Refused => {
                reply.refused += 1;
                let found = answer.denial.as_ref().and_then(|denial| denial.found);
                bump(&mut reply.reasons, answer.reason);
                bump(&mut reply.found, found.map(judge::name));
                bump(&mut reply.schemes, answer.word.map(|word| word.scheme.as_str()));
            }
        }
        let allowed = answer.verdict == Verdict::Allowed;
        if let Some(licence) = licence {
            count_licence(&mut reply.licences, licence, 1, u64::from(allowed));
        }
        for record in answer.denial.iter().flat_map(|denial| &denial.records) {
            *self.records.entry(*record).or_default() += 1;
        }
        if !allowed && reply.refusals.len() < SCAN_LISTED_MAX {
            reply.refusals.push(shown());
        }
    }

    /// Adds what was counted of the items behind those.
    pub(super) fn merge(&mut self, other: Self) {
        let (reply, more) = (&mut self.reply, other.reply);
        reply.items += more.items;
        reply.allowed += more.allowed;
        reply.refused += more.refused;
        reply.unreadable += more.unreadable;
        let pairs = [
            (&mut reply.reasons, more.reasons),
            (&mut reply.found, more.found),
            (&mut reply.schemes, more.schemes),
        ];
        for (counts, more) in pairs {
            more.into_iter().for_each(|(name, count)| *counts.entry(name).or_default() += count);
        }
        for (licence, (all, used)) in more.licences {
            count_licence(&mut reply.licences, &licence, all, used);
        }
        for (record, count) in other.records {
            *self.records.entry(record).or_default() += count;
        }
        let room = SCAN_LISTED_MAX - reply.refusals.len();
        reply.refusals.extend(more.refusals.into_iter().take(room));
    }

    /// The counts, with the records behind most refusals first.
    pub(super) fn reply(self) -> ScanReply {
        let mut records: Vec<(RecordId, u64)> = self.records.into_iter().collect();
        records.sort_by_key(|(record, count)| (std::cmp::Reverse(*count), *record));
        records.truncate(SCAN_LISTED_MAX);
        ScanReply { records, ..self.reply }
    }
}

fn bump(counts: &mut BTreeMap<String, u64>, name: Option<&str>) {
    let Some(name) = name else { return };
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}

/// Counts items of a licence, and how many of them may be used.
fn count_licence(licences: &mut BTreeMap<String, (u64, u64)>, licence: &str, all: u64, used: u64) {
    let room = licences.contains_key(licence) || licences.len() < SCAN_LISTED_MAX;
    let name = if room { licence } else { OTHERS };
    if let Some(counts) = licences.get_mut(name) {
        *counts = (counts.0 + all, counts.1 + used);
    } else {
        licences.insert(name.to_owned(), (all, used));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consent::{Denial, DenialReason, Match, Use};
    use protocol::ContentId;

    fn answer(verdict: Verdict) -> Answer<'static> {
        let refused = verdict == Verdict::Refused;
        let denial = Denial {
            work: ContentId::of(b"work"),
            about: Use::Mine,
            reason: DenialReason::Denied,
            records: vec![RecordId::of(b"record")],
            found: Some(Match::Content),
        };
        let reason = refused.then_some("denied");
        Answer { verdict, reason, denial: refused.then_some(denial), word: None }
    }

    fn tally(items: std::ops::Range<u64>) -> Tally {
        let mut tally = Tally::default();
        for item in items {
            let verdict = match item {
                300 => Verdict::Allowed,
                301 => Verdict::Unreadable,
                _ => Verdict::Refused,
            };
            let place = item.to_string();
            let shown = || ScanItem { place: place.clone(), ..ScanItem::default() };
            tally.add(&answer(verdict), Some(&format!("L{item:03}")), shown);
        }
        tally
    }

    #[test]
    fn items_are_counted_and_names_stay_few() {
        let whole = tally(0..302).reply();
        let counts = (whole.items, whole.allowed, whole.refused, whole.unreadable);
        assert_eq!(counts, (302, 1, 300, 1));
        assert_eq!(whole.reasons, [("denied".to_owned(), 300)].into());
        assert_eq!(whole.found, [("content".to_owned(), 300)].into());
        assert_eq!((whole.licences.len(), whole.licences[OTHERS]), (SCAN_LISTED_MAX + 1, (202, 1)));
        assert_eq!(whole.records, [(RecordId::of(b"record"), 300)]);
        assert_eq!(whole.refusals.len(), SCAN_LISTED_MAX);

        let mut parts = tally(0..90);
        [90..110, 110..250, 250..302].into_iter().for_each(|items| parts.merge(tally(items)));
        assert_eq!(format!("{:?}", parts.reply()), format!("{whole:?}"), "in parts as at once");
    }

    #[test]
    fn a_line_of_csv_keeps_commas_and_quotes() {
        let place = "a,b \"c\"".to_owned();
        let (verdict, reason) = ("refused".to_owned(), Some("denied".to_owned()));
        let odd = ScanItem { place, verdict, reason, ..ScanItem::default() };
        let mut lines = Vec::new();
        Lines::line(&odd, ItemFormat::Csv, &mut lines);
        let line = String::from_utf8(lines).expect("text");
        assert!(line.starts_with("\"a,b \"\"c\"\"\",refused,denied,,"), "{line}");
        assert_eq!(CSV_HEADER.matches(',').count(), 9);
    }
}
