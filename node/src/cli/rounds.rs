//! How runs and their rounds look.
//!
//! Invariants: a round is shown once, in order, and with its evaluation if there will be one.
//! What it is not: asking for them (see `run`).

use crate::api::dto::{OwnView, RoundView, RunView, UpdateView};

use super::output::Style;
use super::table::{Table, pairs};
use super::units::{count, micro, percent, short, shorts, size};

/// The heading of what `--watch` prints and widths that fit what comes later.
const COLUMNS: [&str; 8] =
    [">round", ">accuracy", ">loss", ">accepted", ">rejected", ">sent by each", ">used", "refused"];
const WIDTHS: [usize; 8] = [5, 8, 6, 8, 8, 21, 7, 0];

/// Which rounds a watch has shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The last one shown; rounds count from 1.
    last: u64,
    /// None was shown yet.
    any: bool,
}

impl Shown {
    /// The rounds to show now. The newest waits for its evaluation where rounds before it had one.
    pub(super) fn new_rounds<'a>(
        &self,
        view: &'a RunView,
    ) -> impl Iterator<Item = &'a RoundView> + use<'a> {
        let (from, to) = (self.last, Self::ready(view));
        view.history.iter().filter(move |r| r.round > from && r.round <= to)
    }

    /// Whether it comes below the heading.
    pub(super) fn is_first(&self, round: &RoundView) -> bool {
        let _ = round;
        !self.any
    }

    /// Remembers what was shown.
    pub(super) fn advance(&mut self, view: &RunView) {
        self.last = self.last.max(Self::ready(view));
    }

    /// Whether all that will come has been shown.
    pub(super) fn is_over(&self, view: &RunView) -> bool {
        view.finished && self.last >= view.round
    }

    fn ready(view: &RunView) -> u64 {
        let evaluated = view.history.iter().any(|round| round.evaluation.is_some());
        match view.history.last() {
            Some(round) if evaluated && round.evaluation.is_none() => round.round - 1,
            Some(round) => round.round,
            None => 0,
        }
    }
}
