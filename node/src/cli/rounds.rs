//! How runs and their rounds look.
//!
//! Invariants: a watch shows each round once, in order, and with its evaluation if it gets one.
//! What it is not: asking for them (see `run`).

use crate::api::dto::{ForkView, OwnView, RoundView, RunView, UpdateView};

use super::output::Style;
use super::run_act::motion_text;
use super::table::{Table, pairs};
use super::units::{count, micro, percent, short, shorts, size};

/// What is shown of a round.
const COLUMNS: [&str; 8] =
    [">round", ">accuracy", ">loss", ">accepted", ">rejected", ">sent by each", ">used", "refused"];
/// Widths that fit rounds to come, for a table printed line by line.
const WIDTHS: [usize; 8] = [5, 8, 6, 8, 8, 12, 7, 0];

/// Which rounds a watch has shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    last: Option<u64>,
    trouble: Option<String>,
}

impl Shown {
    /// The rounds to show now, each with whether it is the first. Those whose models are being
    /// evaluated wait for it.
    pub(super) fn take_new<'a>(&mut self, view: &'a RunView) -> Vec<(&'a RoundView, bool)> {
        let waiting = |round: u64| view.evaluating.is_some_and(|first| round >= first);
        let mut new = Vec::new();
        for round in view.history.iter().filter(|round| !waiting(round.round)) {
            if self.last.is_none_or(|last| round.round > last) {
                new.push((round, self.last.is_none()));
                self.last = Some(round.round);
            }
        }
        new
    }

    /// What keeps the run from going on here, if that is news.
    pub(super) fn take_trouble(&mut self, view: &RunView) -> Option<String> {
        let troubles = ["round ", "cannot ", "stopped", "waiting for trainers"];
        let trouble = troubles.iter().any(|begin| view.doing.starts_with(begin));
        let trouble = trouble.then(|| view.doing.clone());
        let news = trouble != self.trouble;
        self.trouble = trouble;
        self.trouble.clone().filter(|_| news)
    }

    /// Whether all that will come has been shown.
    pub(super) fn is_all(&self, view: &RunView) -> bool {
        view.finished && view.history.last().is_none_or(|round| Some(round.round) == self.last)
    }
}

/// A round as a line, below the heading if it is the first.
pub(super) fn round_text(round: &RoundView, first: bool, style: Style) -> String {
    let table = Table::new(COLUMNS).with_widths(WIDTHS);
    let heading = if first { table.heading(style) } else { String::new() };
    heading + &table.line(&cells(round))
}

/// All runs.
pub(super) fn runs_text(runs: &[RunView], style: Style) -> String {
    if runs.is_empty() {
        return "no runs yet: create one with `accord run create SPEC.toml`".to_owned();
    }
    let mut table = Table::new(["run", "name", ">round", ">of", "here", "now"]);
    for view in runs {
        table.row([
            short(view.run),
            view.name.clone(),
            view.round.to_string(),
            view.rounds_count.to_string(),
            parts(view),
            doing(view),
        ]);
    }
    table.text(style)
}

/// One run with its rounds.
pub(super) fn run_text(view: &RunView, style: Style) -> String {
    let several = |keys: &[protocol::PublicKey]| format!("{}: {}", keys.len(), shorts(keys));
    let text = pairs(
        &[
            ("run", view.run.to_string()),
            ("name", view.name.clone()),
            ("creator", view.creator.to_string()),
            ("stewards", several(&view.stewards)),
            ("trainers", several(&view.trainers)),
            ("here", parts(view)),
            ("now", doing(view)),
            ("rounds", format!("{} of {}", view.round, view.rounds_count)),
            ("model", view.model.to_string()),
            ("published", published(view)),
        ],
        style,
    );
    let motions = view.motions.iter().map(|motion| format!("motion: {}\n", motion_text(motion)));
    let forks = view.forks.iter().map(|fork| style.bad(&fork_text(fork)) + "\n");
    let text = text + &motions.collect::<String>() + &forks.collect::<String>();
    if view.history.is_empty() {
        return text;
    }
    let mut table = Table::new(COLUMNS);
    for round in &view.history {
        table.row(cells(round));
    }
    let mut text = format!("{text}\n{}", table.text(style));
    for round in &view.history {
        for rejected in &round.rejected {
            let (trainer, number) = (short(rejected.trainer), round.round);
            let line = format!("round {number}: {trainer} was rejected: {}", rejected.reason);
            text += &(style.bad(&line) + "\n");
        }
    }
    text
}

/// A fork, and what it means.
fn fork_text(fork: &ForkView) -> String {
    format!(
        "FORK: round {} was certified twice, here as {} and elsewhere as {}; {} signed both: {}. This \
         node goes on with its own branch and merges nothing",
        fork.round,
        fork.ours,
        fork.theirs,
        count(fork.signed_both.len() as u64, "steward"),
        shorts(&fork.signed_both)
    )
}

/// Only the node that publishes knows as what; the others have heard of the repo.
fn published(view: &RunView) -> String {
    match (&view.published, view.finished) {
        (Some(revision), _) => revision.clone(),
        (None, true) => "by its creator: see `accord models`".to_owned(),
        (None, false) => "not yet".to_owned(),
    }
}

fn cells(round: &RoundView) -> [String; 8] {
    let dash = || "-".to_owned();
    let evaluation = round.evaluation.as_ref();
    [
        round.round.to_string(),
        evaluation.map_or_else(dash, |e| percent(e.accuracy())),
        evaluation.map_or_else(dash, |e| micro(e.loss_micro)),
        round.accepted.len().to_string(),
        round.rejected.len().to_string(),
        sent(&round.accepted),
        sum(&round.accepted, |update| update.used).map_or_else(dash, |used| used.to_string()),
        refused(round),
    ]
}

/// What each trainer sent; from the least to the most where that differs.
fn sent(accepted: &[UpdateView]) -> String {
    let bytes = || accepted.iter().filter_map(|update| update.update_bytes);
    match bytes().min().zip(bytes().max()) {
        None => "-".to_owned(),
        Some((least, most)) if size(least) == size(most) => size(least),
        Some((least, most)) => format!("{} to {}", size(least), size(most)),
    }
}

/// Samples left out by all together, and here by which record.
fn refused(round: &RoundView) -> String {
    let all = sum(&round.accepted, |update| update.excluded);
    let all = all.map_or_else(|| "-".to_owned(), |excluded| excluded.to_string());
    match &round.own {
        Some(own) if own.excluded > 0 => format!("{all}; here {}", refused_here(own)),
        _ => all,
    }
}

fn refused_here(own: &OwnView) -> String {
    let by = |(record, number): (&String, &u64)| match record.as_str() {
        "silence" => format!("{number} that nobody spoke for"),
        record => format!("{number} by record {}", short(record)),
    };
    own.excluded_by.iter().map(by).collect::<Vec<_>>().join(", ")
}

/// The sum over all updates; nothing if one of them is not known, since a part would mislead.
fn sum(accepted: &[UpdateView], of: impl Fn(&UpdateView) -> Option<u64>) -> Option<u64> {
    accepted.iter().map(of).try_fold(0, |sum, value| Some(value?.saturating_add(sum)))
}

fn parts(view: &RunView) -> String {
    if view.parts.is_empty() { "-".to_owned() } else { view.parts.join(", ") }
}

fn doing(view: &RunView) -> String {
    match view.finished {
        true => format!("finished after {}", count(view.round, "round")),
        false => view.doing.clone(),
    }
}

#[cfg(test)]
mod tests {
    use protocol::{CommitId, FileHash, RoundId, RunId, SecretKey};

    use super::*;
    use crate::api::dto::{EvalView, RejectView};

    fn round(number: u64, evaluated: bool) -> RoundView {
        let trainer = SecretKey::from_seed(&[1; 32]).public();
        let update = |bytes| UpdateView {
            trainer,
            commit: CommitId::of(b"commit"),
            late: false,
            weight: 1,
            used: Some(450),
            excluded: Some(50),
            update_bytes: Some(bytes),
        };
        let own = OwnView {
            used: 450,
            excluded: 50,
            excluded_by: [("0123456789abcdef".to_owned(), 48), ("silence".to_owned(), 2)].into(),
            loss_micro: 1,
            update_bytes: 10_240,
        };
        let evaluation = EvalView { samples: 100, correct: 93, loss_micro: 250_000 };
        RoundView {
            round: number,
            id: RoundId::of(b"round"),
            model: FileHash::of(b"model"),
            accepted: vec![update(10_240), update(10_240)],
            rejected: vec![RejectView { trainer, reason: "stale frontier".to_owned() }],
            changes: Vec::new(),
            signatures: 1,
            evaluation: evaluated.then_some(evaluation),
            own: Some(own),
            certified_ms: 0,
        }
    }

    fn view(history: Vec<RoundView>, finished: bool) -> RunView {
        let key = SecretKey::from_seed(&[1; 32]).public();
        RunView {
            run: RunId::of(b"run"),
            name: "digits".into(),
            creator: key,
            stewards: vec![key],
            rounds_count: 3,
            round: history.len() as u64,
            finished,
            parts: vec!["trainer".into()],
            motions: Vec::new(),
            forks: Vec::new(),
            trainers: vec![key],
            evaluating: None,
            doing: "training".into(),
            model: FileHash::of(b"model"),
            published: None,
            history,
        }
    }

    #[test]
    fn a_round_is_one_line_that_names_the_records() {
        let text = round_text(&round(7, true), true, Style::PLAIN);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("round  accuracy    loss  accepted"), "{text}");
        let expected = "    7    93.0 %   0.250         2         1      10.0 KiB      900  \
                        100; here 48 by record 0123456789, 2 that nobody spoke for";
        assert_eq!(lines[1], expected);
        assert_eq!(lines[0].find("refused"), lines[1].find("100; here"));
        let text = run_text(&view(vec![round(1, false)], false), Style::PLAIN);
        assert!(text.contains("was rejected: stale frontier"), "{text}");
        let text = runs_text(&[view(vec![], false)], Style::PLAIN);
        assert!(text.contains("training"), "{text}");
    }

    #[test]
    fn a_sum_with_a_part_unknown_is_not_shown() {
        let mut partly = round(7, true);
        partly.accepted[1].used = None;
        partly.accepted[1].excluded = None;
        let cells = cells(&partly);
        assert_eq!(cells[6], "-");
        assert!(cells[7].starts_with("-; here 48"), "{}", cells[7]);
    }

    #[test]
    fn a_watch_shows_each_round_once_with_its_evaluation() {
        let mut shown = Shown::default();
        let numbers = |new: Vec<(&RoundView, bool)>| {
            new.iter().map(|(round, first)| (round.round, *first)).collect::<Vec<_>>()
        };
        let mut evaluating = |history: Vec<RoundView>, first: Option<u64>, finished: bool| {
            let view = RunView { evaluating: first, ..view(history, finished) };
            (numbers(shown.take_new(&view)), shown.is_all(&view))
        };
        assert_eq!(evaluating(vec![], None, false), (vec![], false));
        let one = vec![round(1, false)];
        assert_eq!(evaluating(one.clone(), Some(1), false), (vec![], false), "it waits");
        let two = vec![round(1, true), round(2, false)];
        assert_eq!(evaluating(two.clone(), Some(2), false), (vec![(1, true)], false));
        assert_eq!(evaluating(two.clone(), Some(2), false), (vec![], false));
        let end = vec![round(1, true), round(2, true), round(3, false)];
        assert_eq!(evaluating(end.clone(), Some(3), true), (vec![(2, false)], false));
        // The last evaluation came to nothing.
        assert_eq!(evaluating(end, None, true), (vec![(3, false)], true));
    }

    #[test]
    fn trouble_is_told_once() {
        let mut shown = Shown::default();
        let mut told = |doing: &str| {
            shown.take_trouble(&RunView { doing: doing.into(), ..view(vec![], false) })
        };
        assert_eq!(told("training round 1"), None);
        let none = "round 1: none of 8 samples may be used";
        assert_eq!(told(none).as_deref(), Some(none));
        assert_eq!(told(none), None);
        assert_eq!(told("training round 1"), None);
        assert_eq!(told(none).as_deref(), Some(none));
    }

    #[test]
    fn a_run_that_nobody_evaluates_is_shown_too() {
        let mut shown = Shown::default();
        let two = view(vec![round(1, false), round(2, false)], false);
        assert_eq!(shown.take_new(&two).len(), 2);
        assert!(Shown::default().is_all(&view(vec![], true)));
    }
}
