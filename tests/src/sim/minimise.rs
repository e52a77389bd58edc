//! Makes a failing run small: leaves out faults and rounds as long as the same rule breaks.
//!
//! Delta debugging (Zeller and Hildebrandt 2002, "Simplifying and isolating failure-inducing input"):
//! by halves, then by ever smaller parts, down to single faults.
//!
//! Invariants: what comes out breaks the same rule as what went in; it takes a bounded number of runs.
//! What it is not: a search for the smallest, which would take too long; leaving out one fault changes
//! everything that is drawn after it.

use super::report::{Case, Failure};
use super::scenario::Scenario;
use super::trace::Trail;
use super::world::{plan_of, run_case};

/// A failing run made small.
#[derive(Debug, Clone)]
pub struct Minimised {
    /// The smallest failing run found.
    pub failure: Failure,
    /// How many faults there were.
    pub faults: usize,
    /// How many runs it took.
    pub runs: u32,
}

/// Makes a failing run small, in at most `runs_max` runs.
pub fn minimise(failure: &Failure, scenario: &Scenario, runs_max: u32) -> Minimised {
    let plan = plan_of(failure.case.seed, scenario);
    let mut search = Search { scenario, best: failure.clone(), runs: 0, runs_max };
    search.fewer_rounds();
    search.fewer_faults();
    search.fewer_rounds();
    Minimised { failure: search.best, faults: plan.faults.len(), runs: search.runs }
}

struct Search<'a> {
    scenario: &'a Scenario,
    best: Failure,
    runs: u32,
    runs_max: u32,
}

impl Search<'_> {
    /// Runs this case; keeps it if it breaks the same rule.
    fn try_case(&mut self, case: &Case) -> bool {
        if self.runs >= self.runs_max {
            return false;
        }
        self.runs += 1;
        match run_case(case, self.scenario, Trail::Quiet) {
            Err(failure) if failure.violation.rule == self.best.violation.rule => {
                self.best = *failure;
                true
            }
            _ => false,
        }
    }

    fn fewer_faults(&mut self) {
        let mut parts = 2;
        loop {
            let left: Vec<u32> = self.best.faults.iter().map(|fault| fault.index).collect();
            if left.is_empty() || self.runs >= self.runs_max {
                return;
            }
            let size = left.len().div_ceil(parts).max(1);
            let smaller = left.chunks(size).any(|part| {
                let mut case = self.best.case.clone();
                case.without.extend(part);
                self.try_case(&case)
            });
            if smaller {
                parts = 2.max(parts - 1);
            } else if size == 1 {
                return;
            } else {
                parts = (parts * 2).min(left.len());
            }
        }
    }

    /// The fewest rounds in which it still breaks.
    fn fewer_rounds(&mut self) {
        let most = self.best.case.rounds.unwrap_or(self.scenario.rounds.1);
        for rounds in 1..most {
            let case = Case { rounds: Some(rounds), ..self.best.case.clone() };
            if self.try_case(&case) {
                return;
            }
        }
    }
}
