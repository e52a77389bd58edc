//! How far the node is, on standard error: a bar on a terminal, plain lines elsewhere.
//!
//! Invariants: standard output stays clean; plain lines come at most once a second, and the last
//! state is always said. What it is not: needed. Whether it can be written changes nothing.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::api::dto::Progress;

use super::output::Output;
use super::units::size;

/// The least time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Shows progress as it comes.
#[derive(Debug)]
pub(super) struct Reporter(Kind);

#[derive(Debug)]
enum Kind {
    Silent,
    Bar(ProgressBar),
    Lines(Lines),
}

/// Which plain lines are due.
#[derive(Debug, Default)]
struct Lines {
    said: Option<Instant>,
    held: Option<Progress>,
}

impl Reporter {
    /// Nothing is shown beside JSON.
    pub(super) fn new(out: Output) -> Self {
        Self(if out.json() {
            Kind::Silent
        } else if io::stderr().is_terminal() {
            Kind::Bar(ProgressBar::no_length())
        } else {
            Kind::Lines(Lines::default())
        })
    }

    /// Shows how far it is now.
    pub(super) fn say(&mut self, progress: Progress) {
        match &mut self.0 {
            Kind::Silent => {}
            Kind::Bar(bar) => show(bar, &progress),
            Kind::Lines(lines) => {
                if let Some(line) = lines.due(progress, Instant::now()) {
                    say(&line);
                }
            }
        }
    }

    /// Takes the bar away, or says the last state.
    pub(super) fn end(self) {
        match self.0 {
            Kind::Silent => {}
            Kind::Bar(bar) => bar.finish_and_clear(),
            Kind::Lines(lines) => lines.held.iter().map(line).for_each(|line| say(&line)),
        }
    }
}

impl Lines {
    /// The line to say now; what is not said is held until the next is due.
    fn due(&mut self, progress: Progress, now: Instant) -> Option<String> {
        if self.said.is_some_and(|said| now.duration_since(said) < LINE_EVERY) {
            self.held = Some(progress);
            return None;
        }
        self.said = Some(now);
        self.held = None;
        Some(line(&progress))
    }
}

fn show(bar: &ProgressBar, progress: &Progress) {
    let amount = match (progress.unit.as_str(), progress.total) {
        ("", _) => "{spinner}",
        ("bytes", Some(_)) => {
            "{bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}, {eta} left"
        }
        ("bytes", None) => "{spinner} {binary_bytes} {binary_bytes_per_sec}",
        (_, Some(_)) => "{bar:30} {human_pos}/{human_len} {prefix}, {eta} left",
        (_, None) => "{spinner} {pos} {prefix}",
    };
    if bar.message() != progress.what {
        bar.reset();
        if let Ok(style) = ProgressStyle::with_template(&format!("{{msg}} {amount}")) {
            bar.set_style(style);
        }
        bar.set_prefix(progress.unit.clone());
        bar.set_message(progress.what.clone());
    }
    match progress.total {
        Some(total) => bar.set_length(total),
        None => bar.unset_length(),
    }
    bar.set_position(progress.done);
}

fn line(progress: &Progress) -> String {
    if progress.unit.is_empty() {
        return progress.what.clone();
    }
    let amount = |number| match progress.unit.as_str() {
        "bytes" => size(number),
        _ => number.to_string(),
    };
    let unit = if progress.unit == "bytes" { "" } else { &format!(" {}", progress.unit) };
    let of = progress.total.map(|total| format!(" of {}", amount(total))).unwrap_or_default();
    format!("{}: {}{of}{unit}", progress.what, amount(progress.done))
}

fn say(line: &str) {
    // Whoever closed standard error does not want to know.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(done: u64) -> Progress {
        Progress { what: "hashing".into(), done, total: Some(2_048), unit: "bytes".into() }
    }

    #[test]
    fn lines_come_once_a_second_and_the_last_is_held() {
        let (mut lines, start) = (Lines::default(), Instant::now());
        let first = lines.due(progress(0), start);
        assert_eq!(first.as_deref(), Some("hashing: 0 B of 2.0 KiB"));
        assert_eq!(lines.due(progress(1), start + LINE_EVERY / 2), None);
        assert_eq!(lines.held, Some(progress(1)));
        assert!(lines.due(progress(1_024), start + LINE_EVERY).is_some());
        assert_eq!(lines.held, None);
        let rounds = Progress { what: "audit".into(), done: 3, total: None, unit: "rounds".into() };
        assert_eq!(line(&rounds), "audit: 3 rounds");
        let uncounted = Progress { what: "work".into(), unit: String::new(), ..rounds };
        assert_eq!(line(&uncounted), "work");
    }
}
