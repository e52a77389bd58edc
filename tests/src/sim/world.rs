//! The world: every node, the bus between them, and the loop that lets things happen.
//!
//! Invariants: one event at a time, each with its number; the run ends when every node has the last
//! model, or fails. What it is not: concurrent.

use std::sync::Arc;

use protocol::FileHash;
use protocol::round::{Round, compacted};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::bus::{Bus, Outcome};
use super::contributor::Contributor;
use super::event::{Act, Event};
use super::facts::{CONTRIBUTORS, Facts};
use super::fault;
use super::node::Node;
use super::plan::{Plan, Wrong};
use super::report::{Case, Failure, Report, Rule, Violation};
use super::scenario::Scenario;
use super::seed::Seed;
use super::trace::{Trace, Trail};
use super::traffic::Traffic;

/// Events that may wait for each node; far more than any honest run plans.
const QUEUE_MAX: usize = 1_800;
/// Events at one millisecond for each node, after which time is said to stand still.
const EVENTS_AT_ONCE_MAX: u64 = 450;
/// Nodes whose journals are restored at the end; of more, some.
const RESTORED_MAX: usize = 200;

/// Simulates the run of this seed; returns what happened and the hash of the trace.
pub fn run(
    seed: u64,
    scenario: &Scenario,
    trail: Trail,
) -> Result<(Report, FileHash), Box<Failure>> {
    run_case(&Case::of(seed), scenario, trail)
}

/// Simulates a run that may leave out some of what its seed says.
pub fn run_case(
    case: &Case,
    scenario: &Scenario,
    trail: Trail,
) -> Result<(Report, FileHash), Box<Failure>> {
    let plan = plan_of(case.seed, scenario).without(&case.without);
    run_plan(case, scenario, plan, trail)
}

/// Simulates a run in which this goes wrong, whatever the seed says of that.
pub fn run_plan(
    case: &Case,
    scenario: &Scenario,
    plan: Plan,
    trail: Trail,
) -> Result<(Report, FileHash), Box<Failure>> {
    let mut world = World::new(case, scenario, plan, trail);
    match world.until_done() {
        Ok(()) => Ok((world.report(), world.bus.trace.hash())),
        Err(violation) => Err(Box::new(world.failure(case, violation))),
    }
}

/// The bytes of every node in the run of this seed, where those are counted.
pub fn measure(seed: u64, scenario: &Scenario) -> Result<(Report, Traffic), Box<Failure>> {
    let case = Case::of(seed);
    let mut world = World::new(&case, scenario, plan_of(seed, scenario), Trail::Quiet);
    match world.until_done() {
        Ok(()) => Ok((world.report(), world.bus.traffic)),
        Err(violation) => Err(Box::new(world.failure(&case, violation))),
    }
}

/// What goes wrong in the run of this seed.
pub fn plan_of(seed: u64, scenario: &Scenario) -> Plan {
    fault::plan(scenario, &Seed::root(seed))
}

/// One run.
#[derive(Debug)]
pub(super) struct World {
    pub(super) facts: Arc<Facts>,
    pub(super) nodes: Vec<Node>,
    contributors: Vec<Contributor>,
    pub(super) bus: Bus,
    rng: ChaCha8Rng,
    pub(super) events: u64,
    at_once: u64,
    /// A node that was not done when this was last looked at.
    waits_for: usize,
}

impl World {
    pub(super) fn new(case: &Case, scenario: &Scenario, plan: Plan, trail: Trail) -> Self {
        let seed = Seed::root(case.seed);
        let rounds_max = case.rounds.unwrap_or(u64::MAX);
        Self::of(Facts::new(scenario, seed, plan, rounds_max), trail)
    }

    /// A world in which these are the facts.
    pub(super) fn of(facts: Facts, trail: Trail) -> Self {
        let facts = Arc::new(facts);
        let mut bus = Bus::new(&facts, Trace::new(trail));
        schedule(&facts, &mut bus);
        Self {
            nodes: (0..facts.liars.everyone()).map(|node| Node::new(node, &facts)).collect(),
            contributors: (0..CONTRIBUTORS).map(|at| Contributor::new(at, &facts)).collect(),
            rng: facts.seed.child("world").rng(),
            facts,
            bus,
            events: 0,
            at_once: 0,
            waits_for: 0,
        }
    }

    pub(super) fn until_done(&mut self) -> Outcome {
        while !self.step()? {}
        Ok(())
    }

    /// Lets the next event happen; says whether the run is over.
    pub(super) fn step(&mut self) -> Result<bool, Violation> {
        let limit_ms = self.facts.plan.heals_ms + self.facts.scenario.recovery_ms;
        let Some((at_ms, event)) = self.bus.queue.pop() else {
            return Err(Violation::new(Rule::Ends, "nothing is left to happen"));
        };
        if at_ms > limit_ms {
            return Err(Violation::new(Rule::Ends, self.where_everyone_is()));
        }
        self.at_once = if at_ms == self.bus.now_ms { self.at_once + 1 } else { 0 };
        self.bus.now_ms = at_ms;
        self.events += 1;
        self.handle(event)?;
        self.check_bounds()?;
        if !self.is_done() {
            return Ok(false);
        }
        self.check_restores().map(|()| true)
    }

    /// Whether every node is; looks first at the one that was not the last time.
    fn is_done(&mut self) -> bool {
        if !self.nodes[self.waits_for].is_done() {
            return false;
        }
        let waits_for = self.nodes.iter().position(|node| !node.is_done());
        self.waits_for = waits_for.unwrap_or(self.waits_for);
        waits_for.is_none()
    }

    pub(super) fn failure(&self, case: &Case, violation: Violation) -> Failure {
        let Scenario { name: scenario, defect, .. } = self.facts.scenario;
        let (event, case) = (self.events, case.clone());
        let (faults, tail) = (self.facts.plan.faults.clone(), self.bus.trace.tail());
        Failure { scenario, defect, case, event, violation, faults, tail }
    }

    fn handle(&mut self, event: Event) -> Outcome {
        match event {
            Event::Deliver { to, from, packet } => {
                let node = &mut self.nodes[to];
                if node.live.is_none() {
                    return Ok(());
                }
                self.bus.note(to, &format!("<- n{from} {}", packet.label()));
                node.receive(&mut self.bus, from, packet)
            }
            Event::Local { node, boot, what } => {
                self.bus.note(node, &format!("{what:?} of boot {boot}"));
                self.nodes[node].local(&mut self.bus, boot, what)
            }
            Event::Act(act) => {
                self.bus.trace.note(format!("{:>7} {act:?}", self.bus.now_ms));
                self.act(act)
            }
        }
    }

    fn act(&mut self, act: Act) -> Outcome {
        match act {
            Act::Start(node) => self.nodes[node].start(&mut self.bus),
            Act::Begin(index) => self.begin(index),
            Act::End(index) => self.end(index),
            Act::Heal => {
                self.bus.network.heal();
                for node in &mut self.nodes {
                    node.hardware.dies_at = None;
                    if let Some(live) = &mut node.live {
                        live.fuse = None;
                    }
                }
                Ok(())
            }
        }
    }

    fn begin(&mut self, index: u32) -> Outcome {
        let facts = self.facts.clone();
        let Some(fault) = facts.plan.fault(index) else { return Ok(()) };
        let bus = &mut self.bus;
        fault.wrong.name().into_iter().for_each(|name| bus.counts.note(name));
        match &fault.wrong {
            Wrong::Loss { milli } => bus.network.trouble().loss = *milli,
            Wrong::Doubling { milli } => bus.network.trouble().doubling = *milli,
            Wrong::Lag { milli, ms } => {
                let trouble = bus.network.trouble();
                (trouble.lagging, trouble.lag_ms) = (*milli, *ms);
            }
            Wrong::Split(cut) => bus.network.trouble().cuts.push((index, cut.clone())),
            Wrong::Crash { node } => self.nodes[*node].crash(bus),
            Wrong::Fuse { node, effects } => {
                if let Some(live) = &mut self.nodes[*node].live {
                    live.fuse = Some(*effects);
                }
            }
            Wrong::AtPersist { node, nth, kept } => {
                let hardware = &mut self.nodes[*node].hardware;
                hardware.dies_at = Some((hardware.persists + nth, *kept));
            }
            Wrong::Destroy { node } => self.nodes[*node].destroy(bus),
            Wrong::Leave { node } => {
                self.nodes[*node].joined = false;
                return self.nodes[*node].settle_part(bus);
            }
            Wrong::Deny { contributor } => return self.deny(*contributor),
            Wrong::Drift { node, ppm } => self.nodes[*node].clock.drift(*ppm),
            Wrong::DayJump { node, by_ms } => self.nodes[*node].clock.jump(*by_ms),
            Wrong::SlowWork { node, times } => self.nodes[*node].hardware.work_times = *times,
            Wrong::SlowDisk { node, ms } => self.nodes[*node].hardware.sync_ms = *ms,
            // Facts from the beginning.
            Wrong::Uninvited { .. } | Wrong::Lies { .. } => {}
        }
        Ok(())
    }

    fn end(&mut self, index: u32) -> Outcome {
        let facts = self.facts.clone();
        let Some(fault) = facts.plan.fault(index) else { return Ok(()) };
        match fault.wrong {
            Wrong::Split(_) => self.bus.network.trouble().cuts.retain(|(of, _)| *of != index),
            Wrong::Leave { node } => {
                self.nodes[node].joined = true;
                return self.nodes[node].settle_part(&mut self.bus);
            }
            Wrong::SlowWork { node, .. } => self.nodes[node].hardware.work_times = 1,
            Wrong::SlowDisk { node, .. } => self.nodes[node].hardware.sync_ms = 0,
            _ => {}
        }
        Ok(())
    }

    /// A contributor hands its records to some node that is up.
    fn deny(&mut self, contributor: usize) -> Outcome {
        let up: Vec<usize> =
            self.nodes.iter().filter(|node| node.live.is_some()).map(|node| node.index).collect();
        if up.is_empty() {
            return Ok(());
        }
        let node = up[self.rng.random_range(0..up.len())];
        for record in self.contributors[contributor].deny(&mut self.bus.library) {
            self.nodes[node].take_record(&mut self.bus, &record)?;
        }
        Ok(())
    }

    fn check_bounds(&self) -> Outcome {
        let nodes = self.nodes.len();
        if self.at_once > EVENTS_AT_ONCE_MAX * nodes as u64 {
            return Err(Violation::new(Rule::Bounded, "time stands still"));
        }
        if self.bus.queue.len() > QUEUE_MAX * nodes {
            let what = format!("{} events wait", self.bus.queue.len());
            return Err(Violation::new(Rule::Bounded, what));
        }
        Ok(())
    }

    /// Every journal, whole and compacted, gives back the node that wrote it.
    fn check_restores(&self) -> Outcome {
        for node in self.nodes.iter().step_by(self.nodes.len().div_ceil(RESTORED_MAX)) {
            let Some(live) = node.live.as_ref().filter(|_| node.liar.is_none()) else { continue };
            let journal = &node.disk.journal;
            for entries in [journal.clone(), compacted(journal, live.round.tip())] {
                let (spec, key) = (self.facts.spec.clone(), node.key.clone());
                let twin = Round::restore(spec, key, entries, 0);
                let same = twin.tip() == live.round.tip()
                    && twin.is_trainer() == live.round.is_trainer()
                    && twin.is_finished();
                if !same {
                    let what = format!("n{} is {:?}", node.index, live.round.tip());
                    let what = format!("{what}, its journal {:?}", twin.tip());
                    return Err(Violation::new(Rule::Restores, what));
                }
            }
        }
        Ok(())
    }

    pub(super) fn report(&self) -> Report {
        let (bus, plan) = (&self.bus, &self.facts.plan);
        Report {
            events: self.events,
            ended_ms: bus.now_ms,
            simulated_ms: bus.now_ms,
            recovery_ms: bus.now_ms.saturating_sub(plan.heals_ms),
            rounds: bus.checker.rounds(),
            attempt_max: bus.checker.attempt_max,
            counts: bus.counts.clone().join(&bus.checker.counts),
        }
    }
}

/// Queues the starts, the faults and the healing.
fn schedule(facts: &Facts, bus: &mut Bus) {
    let plan = &facts.plan;
    for node in 0..facts.liars.everyone() {
        let at_ms = plan.starts_ms[facts.liars.identity(node)];
        bus.queue.push(at_ms, Event::Act(Act::Start(node)));
    }
    for fault in &plan.faults {
        bus.queue.push(fault.from_ms, Event::Act(Act::Begin(fault.index)));
        if fault.until_ms > fault.from_ms {
            bus.queue.push(fault.until_ms, Event::Act(Act::End(fault.index)));
        }
    }
    bus.queue.push(plan.heals_ms, Event::Act(Act::Heal));
}
