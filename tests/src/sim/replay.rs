//! A run event by event, for people to look at.
//!
//! Invariants: the same events in the same order as in a run in one go. What it is not: a way to change
//! what happens.

use protocol::FileHash;

use super::node::Node;
use super::plan::Fault;
use super::report::{Case, Failure, Report};
use super::scenario::Scenario;
use super::trace::Trail;
use super::world::{World, plan_of};

/// A run that stands still between events.
#[derive(Debug)]
pub struct Replay {
    world: World,
    case: Case,
}

/// What an event has come to.
#[derive(Debug)]
pub enum Step {
    /// The run goes on.
    On,
    /// The run has ended well.
    Over(Box<Report>, FileHash),
    /// A rule is broken.
    Broken(Box<Failure>),
}

impl Replay {
    /// A run before its first event.
    pub fn new(case: &Case, scenario: &Scenario) -> Self {
        let plan = plan_of(case.seed, scenario).without(&case.without);
        Self { world: World::new(case, scenario, plan, Trail::Collect), case: case.clone() }
    }

    /// Lets the next event happen; returns what it has come to, and a line for each thing in it.
    pub fn step(&mut self) -> (Step, Vec<String>) {
        let step = match self.world.step() {
            Ok(false) => Step::On,
            Ok(true) => Step::Over(Box::new(self.world.report()), self.world.bus.trace.hash()),
            Err(violation) => Step::Broken(Box::new(self.world.failure(&self.case, violation))),
        };
        (step, self.world.bus.trace.take_lines())
    }

    /// The number of the last event.
    pub fn event(&self) -> u64 {
        self.world.events
    }

    /// How each node is, a line for each.
    pub fn states(&self) -> Vec<String> {
        self.world.states()
    }

    /// What goes wrong in the run.
    pub fn faults(&self) -> &[Fault] {
        &self.world.facts.plan.faults
    }
}

impl World {
    /// Where every node is, in one line.
    pub(super) fn where_everyone_is(&self) -> String {
        let place = |node: &Node| match &node.live {
            None => format!("n{} down", node.index),
            Some(live) => {
                let (tip, attempt) = (live.round.tip().round, live.round.attempt());
                format!("n{} r{tip} {attempt:?}", node.index)
            }
        };
        self.nodes.iter().map(place).collect::<Vec<_>>().join(", ")
    }

    fn states(&self) -> Vec<String> {
        self.nodes.iter().map(|node| self.state(node)).collect()
    }

    fn state(&self, node: &Node) -> String {
        let stewards = self.facts.scenario.cast.stewards;
        let part =
            if self.facts.liars.identity(node.index) < stewards { "steward" } else { "node" };
        let lies = if node.liar.is_some() { ", lies" } else { "" };
        let index = node.index;
        let Some(live) = &node.live else { return format!("n{index} {part}{lies}: down") };
        let tip = live.round.tip();
        let mut state = format!("n{index} {part}{lies}: r{} {}", tip.round, tip.id.short());
        if let Some(attempt) = live.round.attempt() {
            state += &format!(", agrees, attempt {attempt}");
        }
        if live.round.is_trainer() {
            state += ", trains";
        }
        let (journal, unsynced) = (node.disk.journal.len(), live.unsynced.len());
        state += &format!(", journal {journal}+{unsynced}, {} effects wait", live.effects.len());
        state + &format!(", {} jobs", live.jobs.len())
    }
}
