//! What the demo shows: lines, a table of rounds, the summary; or JSON lines.
//!
//! Invariants: text goes to standard output, and but for paths fits 80 columns. What it is not: a
//! log, or progress (see `bar`).

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use protocol::{FileHash, RecordId};
use serde::Serialize;

use super::bar::Bar;
use crate::api::dto::{EvalView, GetReply, Progress};

const ROUND_HEADER: &str =
    "   round  accuracy   loss  updates  bytes sent by each  used  refused by record";

/// What held, in numbers.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The run.
    pub run: String,
    /// Rounds certified and audited.
    pub rounds: u64,
    /// Accuracy of the final model on held-out digits.
    pub accuracy: f64,
    /// Works opted out in the middle.
    pub opted_out: u64,
    /// By which record.
    pub record: RecordId,
    /// Altered copies of an opted-out picture that were found and refused.
    pub copies: u64,
    /// The final model's root.
    pub model: FileHash,
    /// Bytes that the onlooker fetched.
    pub fetched_bytes: u64,
    /// Updates aggregated again by the audit.
    pub updates: u64,
    /// Signatures that it verified.
    pub signatures: u64,
    /// The published revision.
    pub published: String,
    /// How long everything took.
    pub seconds: f64,
}

/// One round, for a table's row.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RoundLine {
    pub round: u64,
    pub evaluation: Option<EvalView>,
    /// Bytes of each trainer's update.
    pub bytes: Vec<u64>,
    /// Samples used by all together.
    pub used: u64,
    /// Samples left out, by record.
    pub refused: BTreeMap<String, u64>,
    pub accepted: usize,
    pub model: FileHash,
}

pub(super) struct Report {
    json: bool,
}

impl Report {
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// A line before the first step.
    pub(super) fn open(&self, text: &str) {
        self.print("note", text, text);
    }

    /// The beginning of a step.
    pub(super) fn step(&self, text: &str) {
        self.print("step", text, &format!("\n{text}"));
    }

    /// A line of a step.
    pub(super) fn say(&self, text: &str) {
        self.print("note", text, &format!("   {text}"));
    }

    /// Shows how far one request is, until it is dropped with the request.
    pub(super) fn bar(&self) -> impl FnMut(Progress) + use<> {
        let mut bar = (!self.json).then(Bar::default);
        move |progress| {
            if let Some(bar) = &mut bar {
                bar.show(&progress);
            }
        }
    }

    /// A fetched revision.
    pub(super) fn fetched(&self, node: &str, got: &GetReply) {
        let rate = got.fetched_bytes as f64 / 1e3 / got.elapsed_ms.max(1) as f64;
        let text = format!(
            "   {node} fetched {} bytes from {} in {} ms, verified ({rate:.1} MB/s)",
            got.fetched_bytes,
            match got.from.len() {
                1 => "1 peer".into(),
                peers => format!("{peers} peers"),
            },
            got.elapsed_ms
        );
        self.print("fetched", got, &text);
    }

    /// The heading of the rounds.
    pub(super) fn round_header(&self) {
        if !self.json {
            out(ROUND_HEADER);
        }
    }

    /// A round.
    pub(super) fn round(&self, line: &RoundLine) {
        self.print("round", line, &row(line));
    }

    /// The end.
    pub(super) fn summary(&self, summary: &Summary, kept: Option<&Path>) {
        let mut text = format!(
            "\nAll of it holds:\n\
             \x20  final accuracy on held-out digits   {:.1} % (93 % asked for)\n\
             \x20  rounds certified and audited        {} ({} signatures, {} updates)\n\
             \x20  works opted out and left out        {} (record {})\n\
             \x20  altered copies of a picture refused {} of {}\n\
             \x20  model root, recomputed bit for bit  {}\n\
             \x20  published as                        {}\n\
             \x20  time                                {:.1} s",
            summary.accuracy * 100.0,
            summary.rounds,
            summary.signatures,
            summary.updates,
            summary.opted_out,
            summary.record.short(),
            summary.copies,
            super::picture::COPIES.len(),
            summary.model.short(),
            short_model(&summary.published),
            summary.seconds
        );
        if let Some(dir) = kept {
            let node = typed(&dir.join("node-1"));
            text += &format!(
                "\n\nThe nodes' directories are in {}. To look at one, start it again:\n\
                 \x20  accord up --dir {node} --bind 127.0.0.1 --no-mdns\n\
                 and in another terminal:\n\
                 \x20  accord run status digits --dir {node}\n\
                 \x20  accord models --dir {node}\n\
                 \x20  accord audit digits --dir {node}",
                dir.display()
            );
        }
        self.print("summary", summary, &text);
    }

    fn print(&self, event: &str, value: &(impl Serialize + ?Sized), text: &str) {
        if self.json {
            let line = serde_json::json!({ "event": event, "value": value });
            out(&line.to_string());
        } else {
            out(text);
        }
    }
}

/// A round as a row below [`ROUND_HEADER`].
fn row(line: &RoundLine) -> String {
    let (accuracy, loss) = match &line.evaluation {
        Some(e) => {
            (format!("{:.1} %", e.accuracy() * 100.0), format!("{:.3}", e.loss_micro as f64 / 1e6))
        }
        None => ("-".into(), "-".into()),
    };
    // What all of them sent is said once.
    let same = line.bytes.windows(2).all(|two| two[0] == two[1]);
    let told = if same { &line.bytes[..line.bytes.len().min(1)] } else { &line.bytes[..] };
    let bytes: Vec<String> = told.iter().map(ToString::to_string).collect();
    let by = |(record, count): (&String, &u64)| format!("{count} by {}", short(record));
    let refused: Vec<String> = line.refused.iter().map(by).collect();
    format!(
        "   {:>5}  {accuracy:>8}  {loss:>5}  {:>7}  {:<18}  {:>4}  {}",
        line.round,
        line.accepted,
        bytes.join(" "),
        line.used,
        if refused.is_empty() { "0".into() } else { refused.join(", ") }
    )
}

/// A path as it is typed at a shell.
fn typed(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// The first ten digits of an id.
fn short(text: &str) -> String {
    text.chars().take(10).collect()
}

/// Prints a line; a reader that has gone away is no error.
fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// `OWNER/NAME@REVISION` with short ids.
fn short_model(text: &str) -> String {
    match text.split_once('/').zip(text.split_once('@')) {
        Some(((owner, rest), (_, revision))) => {
            let name = rest.split('@').next().unwrap_or_default();
            format!("{}/{name}@{}", short(owner), short(revision))
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fit_a_terminal_and_say_who_sent_what() {
        let of = |bytes: &[u64]| {
            let evaluation = EvalView { correct: 359, samples: 359, loss_micro: 2_303_000 };
            row(&RoundLine {
                round: 10,
                evaluation: Some(evaluation),
                bytes: bytes.to_vec(),
                used: 1_383,
                refused: [("0123456789abcdef".to_owned(), 100)].into(),
                accepted: bytes.len(),
                model: FileHash::of(b""),
            })
        };
        let differ = of(&[4_871, 14_871, 4_871]);
        assert!(differ.contains("  3  4871 14871 4871  "), "{differ}");
        let same = of(&[4_871; 3]);
        assert!(same.contains("  3  4871  ") && same.ends_with("100 by 0123456789"), "{same}");
        for text in [&differ, &same, ROUND_HEADER] {
            assert!(text.chars().count() <= 80, "{text}");
        }
        assert_eq!(same.find("1383"), ROUND_HEADER.find("used"));
        assert_eq!(same.find("100 by"), ROUND_HEADER.find("refused"));
    }

    #[test]
    fn a_path_can_be_typed() {
        assert_eq!(typed(Path::new("/a/b-1")), "/a/b-1");
        assert_eq!(typed(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
