//! What the demo shows: lines, progress bars on a terminal, the summary; or JSON lines.
//!
//! Invariants: text goes to standard output, bars to standard error and only if it is a terminal.
//! What it is not: a log.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use protocol::{FileHash, RecordId};
use serde::Serialize;

use crate::api::dto::{EvalView, GetReply, Progress};

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
    bar: ProgressBar,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        let style = ProgressStyle::with_template("   {msg} {bar:30} {bytes}/{total_bytes}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(0) };
        Self { json, bar: bar.with_style(style) }
    }

    /// A line.
    pub(super) fn say(&self, text: &str) {
        self.print("note", text, text);
    }

    /// The beginning of a step.
    pub(super) fn step(&self, text: &str) {
        self.print("step", text, &format!("\n{text}"));
    }

    /// How far a transfer or an audit is.
    pub(super) fn progress(&self, progress: &Progress) {
        self.bar.set_length(progress.total.unwrap_or(progress.done));
        self.bar.set_message(progress.what.clone());
        self.bar.set_position(progress.done);
    }

    /// The end of what made progress.
    pub(super) fn done(&self) {
        self.bar.finish_and_clear();
        self.bar.reset();
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
            out("   round  accuracy    loss  updates  bytes sent by each    used  refused");
        }
    }

    /// A round.
    pub(super) fn round(&self, line: &RoundLine) {
        let (accuracy, loss) = match &line.evaluation {
            Some(e) => (
                format!("{:.1} %", e.accuracy() * 100.0),
                format!("{:.3}", e.loss_micro as f64 / 1e6),
            ),
            None => ("-".into(), "-".into()),
        };
        let bytes: Vec<String> = line.bytes.iter().map(ToString::to_string).collect();
        let refused: Vec<String> = line
            .refused
            .iter()
            .map(|(record, count)| {
                let short: String = record.chars().take(10).collect();
                format!("{count} by record {short}")
            })
            .collect();
        let refused = if refused.is_empty() { "0".into() } else { refused.join(", ") };
        let text = format!(
            "   {:>5}  {accuracy:>8}  {loss:>6}  {:>7}  {:<20}  {:>5}  {refused}",
            line.round,
            line.accepted,
            bytes.join(" "),
            line.used
        );
        self.print("round", line, &text);
    }

    /// The end.
    pub(super) fn summary(&self, summary: &Summary, kept: Option<&Path>) {
        let mut text = format!(
            "\nAll of it holds:\n\
             \x20  final accuracy on held-out digits   {:.1} % (93 % asked for)\n\
             \x20  rounds certified and audited        {} ({} signatures, {} updates)\n\
             \x20  works opted out and left out        {} (record {})\n\
             \x20  model root, recomputed bit for bit  {}\n\
             \x20  published as                        {}\n\
             \x20  time                                {:.1} s",
            summary.accuracy * 100.0,
            summary.rounds,
            summary.signatures,
            summary.updates,
            summary.opted_out,
            summary.record.short(),
            summary.model.short(),
            short_model(&summary.published),
            summary.seconds
        );
        if let Some(dir) = kept {
            let dir = dir.display();
            text += &format!(
                "\n\nThe nodes' directories are in {dir}. To look at one, start it again:\n\
                 \x20  accord up --dir {dir}/node-1 --bind 127.0.0.1\n\
                 and in another terminal:\n\
                 \x20  accord run status --dir {dir}/node-1\n\
                 \x20  accord models --dir {dir}/node-1\n\
                 \x20  accord audit digits --dir {dir}/node-1"
            );
        }
        self.print("summary", summary, &text);
    }

    fn print(&self, event: &str, value: &(impl Serialize + ?Sized), text: &str) {
        if self.json {
            let line = serde_json::json!({ "event": event, "value": value });
            out(&line.to_string());
        } else {
            self.bar.suspend(|| out(text));
        }
    }
}

/// Prints a line; a reader that has gone away is no error.
fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// `OWNER/NAME@REVISION` with short ids.
fn short_model(text: &str) -> String {
    let short = |text: &str| text.chars().take(10).collect::<String>();
    match text.split_once('/').zip(text.split_once('@')) {
        Some(((owner, rest), (_, revision))) => {
            let name = rest.split('@').next().unwrap_or_default();
            format!("{}/{name}@{}", short(owner), short(revision))
        }
        None => text.to_owned(),
    }
}
