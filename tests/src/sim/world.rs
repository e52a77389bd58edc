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
use super::report::{Failure, Report, Rule, Violation};
use super::scenario::Scenario;
use super::seed::Seed;
use super::trace::Trace;

/// Events that may wait; far more than any honest run plans.
const QUEUE_MAX: usize = 20_000;
/// Events at one millisecond, after which time is said to stand still.
const EVENTS_AT_ONCE_MAX: u64 = 5_000;

/// What to do with the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trail {
    /// Keep its hash and its end.
    Quiet,
    /// Print all of it.
    Print,
}

/// Simulates the run of this seed; returns what happened and the hash of the trace.
pub fn run(
    seed: u64,
    scenario: &Scenario,
    trail: Trail,
) -> Result<(Report, FileHash), Box<Failure>> {
    let mut world = World::new(seed, scenario, trail == Trail::Print);
    match world.until_done() {
        Ok(()) => Ok((world.report(), world.bus.trace.hash())),
        Err(violation) => {
            let tail = world.bus.trace.tail();
            let (scenario, event) = (scenario.name, world.events);
            Err(Box::new(Failure { scenario, seed, event, violation, tail }))
        }
    }
}

struct World {
    facts: Arc<Facts>,
    nodes: Vec<Node>,
    contributors: Vec<Contributor>,
    bus: Bus,
    rng: ChaCha8Rng,
    heals_ms: u64,
    events: u64,
    at_once: u64,
}

impl World {
    fn new(seed: u64, scenario: &Scenario, prints: bool) -> Self {
        let seed = Seed::root(seed);
        let facts = Arc::new(Facts::new(scenario, seed));
        let mut bus = Bus::new(&facts, Trace::new(prints));
        let heals_ms = fault::plan(&facts, &mut bus.queue);
        Self {
            nodes: (0..scenario.cast.nodes()).map(|node| Node::new(node, &facts)).collect(),
            contributors: (0..CONTRIBUTORS).map(|at| Contributor::new(at, &facts)).collect(),
            rng: seed.child("world").rng(),
            facts,
            bus,
            heals_ms,
            events: 0,
            at_once: 0,
        }
    }

    fn until_done(&mut self) -> Outcome {
        let limit_ms = self.heals_ms + self.facts.scenario.recovery_ms;
        while let Some((at_ms, event)) = self.bus.queue.pop() {
            if at_ms > limit_ms {
                return Err(Violation::new(Rule::Ends, self.where_everyone_is()));
            }
            self.at_once = if at_ms == self.bus.now_ms { self.at_once + 1 } else { 0 };
            self.bus.now_ms = at_ms;
            self.events += 1;
            self.handle(event)?;
            self.check_bounds()?;
            if self.nodes.iter().all(Node::is_done) {
                return self.check_restores();
            }
        }
        Err(Violation::new(Rule::Ends, "nothing is left to happen"))
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
        let bus = &mut self.bus;
        match act {
            Act::Start(node) => self.nodes[node].start(bus),
            Act::Crash(node) => {
                self.nodes[node].crash(bus);
                Ok(())
            }
            Act::Destroy(node) => {
                self.nodes[node].destroy();
                Ok(())
            }
            Act::Fuse { node, effects } => {
                if let Some(live) = &mut self.nodes[node].live {
                    live.fuse = Some(effects);
                }
                Ok(())
            }
            Act::Switch { node, joined } => {
                self.nodes[node].joined = joined;
                self.nodes[node].settle_part(bus)
            }
            Act::Deny(contributor) => self.deny(contributor),
            Act::Split(side) => {
                bus.network.split(Some(side));
                Ok(())
            }
            Act::Mend => {
                bus.network.split(None);
                Ok(())
            }
            Act::Heal => {
                bus.network.heal();
                for live in self.nodes.iter_mut().filter_map(|node| node.live.as_mut()) {
                    live.fuse = None;
                }
                Ok(())
            }
        }
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
        if self.at_once > EVENTS_AT_ONCE_MAX {
            return Err(Violation::new(Rule::Bounded, "time stands still"));
        }
        if self.bus.queue.len() > QUEUE_MAX {
            let what = format!("{} events wait", self.bus.queue.len());
            return Err(Violation::new(Rule::Bounded, what));
        }
        Ok(())
    }

    /// Every journal, whole and compacted, gives back the node that wrote it.
    fn check_restores(&self) -> Outcome {
        for node in &self.nodes {
            let Some(live) = &node.live else { continue };
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

    fn where_everyone_is(&self) -> String {
        let place = |node: &Node| match &node.live {
            None => format!("n{} down", node.index),
            Some(live) => {
                let (tip, attempt) = (live.round.tip().round, live.round.attempt());
                format!("n{} r{tip} {attempt:?}", node.index)
            }
        };
        self.nodes.iter().map(place).collect::<Vec<_>>().join(", ")
    }

    fn report(&self) -> Report {
        Report {
            events: self.events,
            ended_ms: self.bus.now_ms,
            recovery_ms: self.bus.now_ms.saturating_sub(self.heals_ms),
            lost: self.bus.network.lost,
            doubled: self.bus.network.doubled,
            crashes: self.bus.crashes,
            torn: self.bus.torn,
            rounds: self.bus.checker.rounds(),
            attempt_max: self.bus.checker.attempt_max,
            rejected: self.bus.checker.rejected,
            refused: self.bus.refused,
        }
    }
}
