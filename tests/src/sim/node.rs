//! One node: a `Round` with its journal, its blobs, its ledger, and the driver that obeys it.
//!
//! The driver does effects in order. A `Persist` is written at once and durable only after a while;
//! until then nothing after it happens, though inputs are still handled and their effects queue up.
//! A crash takes everything but the durable part, of what was being written a random prefix, and may
//! fall between any two effects.
//!
//! Invariants: what is on `Disk` survives, nothing else does. What it is not: honest about time: each
//! boot has its own steady clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use consent::{Ledger, Record};
use protocol::round::{Certificate, Effect, Entry, Input, Round, RunMessage, compacted};
use protocol::{FileHash, SecretKey, Signed};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::bus::{Bus, Outcome};
use super::checker::Sender;
use super::clock::Clock;
use super::event::Local;
use super::facts::Facts;
use super::hardware::Hardware;
use super::job::{Jobs, Task};
use super::liar::Liar;
use super::needs::Part;
use super::packet::{Packet, describe};
use super::report::{Rule, Violation};
use super::scenario::Defect;
use super::slices::Cut;
use super::work::Lists;

/// Effects that may wait for the disk.
const EFFECTS_MAX: usize = 2_048;

/// What survives a crash.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) journal: Vec<Entry>,
    pub(super) certificates: BTreeMap<u64, Arc<Certificate>>,
    pub(super) blobs: BTreeMap<FileHash, Arc<Vec<u8>>>,
    /// Parts of blobs that are not here, by their start and end.
    pub(super) parts: BTreeMap<(FileHash, u64, u64), Part>,
    /// Consent records with the time of day of their receipt.
    pub(super) records: Vec<(Signed<Record>, u64)>,
}

/// What does not.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) boot: u32,
    pub(super) round: Round,
    pub(super) ledger: Ledger,
    pub(super) jobs: Jobs,
    pub(super) effects: VecDeque<Effect>,
    pub(super) unsynced: Vec<Entry>,
    syncing: bool,
    /// The deadline that is planned.
    armed_ms: Option<u64>,
    pub(super) fuse: Option<u32>,
}

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) index: usize,
    pub(super) facts: Arc<Facts>,
    pub(super) key: SecretKey,
    pub(super) disk: Disk,
    pub(super) live: Option<Live>,
    /// Whether its owner wants it to train.
    pub(super) joined: bool,
    pub(super) rng: ChaCha8Rng,
    pub(super) clock: Clock,
    pub(super) hardware: Hardware,
    /// What makes it a liar, if it is one.
    pub(super) liar: Option<Liar>,
    boots: u32,
    /// Gone for ever.
    pub(super) lost: bool,
}

impl Node {
    pub(super) fn new(index: usize, facts: &Arc<Facts>) -> Self {
        let mut rng = facts.seed.child(&format!("node {index}")).rng();
        let blobs = facts.blobs.iter().map(|blob| (FileHash::of(blob), Arc::new(blob.clone())));
        Self {
            index,
            facts: facts.clone(),
            key: facts.keys[index].clone(),
            disk: Disk { blobs: blobs.collect(), ..Disk::default() },
            live: None,
            joined: !facts.held[index].is_empty(),
            clock: Clock::new(&mut rng),
            hardware: Hardware::default(),
            liar: Liar::of(index, facts),
            rng,
            boots: 0,
            lost: false,
        }
    }

    /// The time of day as this node sees it.
    pub(super) fn day_ms(&self, bus: &Bus) -> u64 {
        self.clock.day_ms(bus.now_ms)
    }

    /// Starts, from whatever the disk holds.
    pub(super) fn start(&mut self, bus: &mut Bus) -> Outcome {
        if self.live.is_some() || self.lost {
            return Ok(());
        }
        self.boots += 1;
        let offset_ms = self.rng.random_range(0..1_000_000);
        self.clock.boot(offset_ms);
        let now_ms = self.clock.steady_ms(bus.now_ms);
        let (spec, key) = (self.facts.spec.clone(), self.key.clone());
        let forgets = self.facts.has(Defect::ForgetJournal);
        let journal = if forgets { Vec::new() } else { self.disk.journal.clone() };
        let mut ledger = Ledger::new();
        for (record, received_ms) in &self.disk.records {
            // It was admitted before, in this order.
            let _ = ledger.insert(record.clone(), *received_ms);
        }
        let live = Live {
            boot: self.boots,
            round: Round::restore(spec, key, journal, now_ms),
            ledger,
            jobs: Jobs::default(),
            effects: VecDeque::new(),
            unsynced: Vec::new(),
            syncing: false,
            armed_ms: None,
            fuse: None,
        };
        bus.note(self.index, &format!("starts at r{}", live.round.tip().round));
        let newest = self.disk.certificates.keys().last().copied().unwrap_or(0);
        if live.round.tip().round != newest && !forgets {
            let what = format!(
                "n{} certified r{newest}, restores r{}",
                self.index,
                live.round.tip().round
            );
            return Err(Violation::new(Rule::Restores, what));
        }
        let tip = live.round.tip().clone();
        self.live = Some(live);
        bus.set_up(self.index, true);
        bus.plan(self.index, self.boots, self.rng.random_range(0..500), Local::Gossip);
        self.begin(bus, Task::Keep { tip, updates: Vec::new() })?;
        self.settle_part(bus)?;
        self.rearm(bus);
        Ok(())
    }

    /// Says whether it trains, if the round does not know yet.
    pub(super) fn settle_part(&mut self, bus: &mut Bus) -> Outcome {
        let joined = self.joined;
        let said_ms = self.day_ms(bus);
        match &self.live {
            Some(live) if live.round.is_trainer() != joined => {
                self.input(bus, Input::Participate { joined, said_ms })
            }
            _ => Ok(()),
        }
    }

    /// Hands the round an input and does what it asks.
    pub(super) fn input(&mut self, bus: &mut Bus, input: Input) -> Outcome {
        let Some(live) = &mut self.live else { return Ok(()) };
        let effects = live.round.handle(self.clock.steady_ms(bus.now_ms), input);
        live.effects.extend(effects);
        if live.effects.len() > EFFECTS_MAX {
            let what = format!("{} effects wait on n{}", live.effects.len(), self.index);
            return Err(Violation::new(Rule::Bounded, what));
        }
        self.pump(bus)?;
        self.rearm(bus);
        Ok(())
    }

    /// Something that this boot planned.
    pub(super) fn local(&mut self, bus: &mut Bus, boot: u32, what: Local) -> Outcome {
        let Some(live) = self.live.as_mut().filter(|live| live.boot == boot) else {
            return Ok(());
        };
        match what {
            Local::Wake(deadline_ms) if live.armed_ms == Some(deadline_ms) => {
                live.armed_ms = None;
                self.input(bus, Input::Tick)
            }
            Local::Wake(_) => Ok(()),
            Local::Synced => {
                live.syncing = false;
                for entry in std::mem::take(&mut live.unsynced) {
                    self.make_durable(bus, entry);
                }
                self.pump(bus)
            }
            Local::Worked(job) => self.finish(bus, job),
            Local::FetchDue(job) => self.try_again(bus, job),
            Local::Gossip => {
                self.ask_for_records(bus);
                // Where there are many nodes and long rounds, ten times as seldom.
                let times = if bus.mesh.is_some() { 10 } else { 1 };
                let after_ms = self.rng.random_range(300..700) * times;
                bus.plan(self.index, boot, after_ms, Local::Gossip);
                Ok(())
            }
        }
    }

    /// Whether it has certified the last round, holds its model and has nothing left to do, or is
    /// lost. Nobody waits for a liar.
    pub(super) fn is_done(&self) -> bool {
        self.lost
            || self.liar.is_some()
            || self.live.as_ref().is_some_and(|live| {
                let idle = live.effects.is_empty() && live.unsynced.is_empty();
                let holds = |live: &Live| self.disk.blobs.contains_key(&live.round.tip().model);
                idle && live.round.is_finished() && holds(live)
            })
    }

    /// Another node, by chance.
    pub(super) fn peer(&mut self) -> usize {
        let own = self.facts.liars.identity(self.index);
        let other = self.rng.random_range(0..self.facts.liars.known() - 1);
        if other < own { other } else { other + 1 }
    }

    /// Keeps bytes for ever.
    pub(super) fn keep(&mut self, bus: &mut Bus, bytes: Vec<u8>) -> FileHash {
        let bytes = Arc::new(bytes);
        let hash = bus.keep(&bytes);
        if self.disk.blobs.insert(hash, bytes).is_none() {
            bus.provide(self.index, hash);
        }
        hash
    }

    /// Does effects until one has to wait, or the fuse burns down.
    fn pump(&mut self, bus: &mut Bus) -> Outcome {
        loop {
            let Some(live) = &mut self.live else { return Ok(()) };
            if live.syncing || live.effects.is_empty() {
                return Ok(());
            }
            if live.fuse == Some(0) {
                self.crash(bus);
                return Ok(());
            }
            live.fuse = live.fuse.map(|effects| effects - 1);
            match live.effects.pop_front() {
                Some(Effect::Persist(entry)) => self.write(bus, entry)?,
                Some(effect) => self.act(bus, effect)?,
                None => return Ok(()),
            }
        }
    }

    fn write(&mut self, bus: &mut Bus, entry: Entry) -> Outcome {
        if let Entry::Certificate(bytes) = &entry
            && self.liar.is_none()
        {
            bus.checker.certified(&bus.library, self.index, bytes)?;
        }
        let slow = self.rng.random_bool(0.05);
        let sync_ms = if slow { 60 } else { self.rng.random_range(0..6) };
        let sync_ms = sync_ms + self.hardware.sync_ms;
        let Some(live) = &mut self.live else { return Ok(()) };
        live.unsynced.push(entry);
        if self.dies_at_persist(bus) {
            return Ok(());
        }
        let Some(live) = &mut self.live else { return Ok(()) };
        if !matches!(live.effects.front(), Some(Effect::Persist(_))) {
            live.syncing = !self.facts.has(Defect::SendUnsynced);
            bus.plan(self.index, live.boot, sync_ms, Local::Synced);
            if live.fuse == Some(0) && self.rng.random_bool(0.5) {
                // In the middle of the write; the other half is right after it.
                self.crash(bus);
            }
        }
        Ok(())
    }

    pub(super) fn make_durable(&mut self, bus: &mut Bus, entry: Entry) {
        let mut tip = None;
        if let Entry::Certificate(bytes) = &entry {
            // The checker has opened it before.
            if let Some(certificate) = bus.opened.certificate(&self.facts, bytes) {
                tip = bus.checker.tip(&certificate.record.id()).cloned();
                self.disk.certificates.insert(certificate.record.round, certificate);
            }
        }
        self.disk.journal.push(entry);
        // As real nodes do now and then: where there are many, each at once, to save memory.
        if let Some(tip) = tip.filter(|_| self.facts.scenario.mesh.is_some()) {
            self.disk.journal = compacted(&self.disk.journal, &tip);
        }
    }

    fn act(&mut self, bus: &mut Bus, effect: Effect) -> Outcome {
        match effect {
            Effect::Persist(_) => Ok(()),
            Effect::Send(message) => self.say(bus, message),
            Effect::Train { round, base } => self.begin(bus, Task::Train { round, base }),
            Effect::Check { commit, base } => {
                self.keep(bus, commit.bytes().to_vec());
                self.begin(bus, Task::Check { commit: Box::new(commit), base })
            }
            Effect::Keep(bytes) => {
                self.keep(bus, bytes);
                Ok(())
            }
            Effect::Slices { base, slate, slices } => {
                // A part of it travels to those who work slices out.
                bus.traffic.is_update(base.outer);
                self.begin(bus, Task::Slices { base, slate: Box::new(slate), slices })
            }
            Effect::Build {
                round,
                base,
                accepted,
                rejected,
                reports,
                changes,
                proofs,
                partials,
                spot,
            } => {
                for proof in proofs {
                    self.keep(bus, proof);
                }
                let (lists, cut) = (Lists { rejected, reports, changes }, Cut::new(partials, spot));
                self.begin(bus, Task::Build { round, base, accepted, lists, cut })
            }
            Effect::Audit { base, record, assignment } => {
                self.begin(bus, Task::Audit { base, record, assignment })
            }
            Effect::Verify { record, base, partials, spot } => {
                self.cry_wolf(bus, &record, &base)?;
                let cut = Cut::new(partials, spot);
                self.begin(bus, Task::Verify { record, base, cut })
            }
            Effect::CatchUp { round } => {
                for _ in 0..2 {
                    let peer = self.peer();
                    bus.send(self.index, peer, Packet::AskCertificates(round));
                }
                Ok(())
            }
            Effect::Certified(certificate, tip) => {
                let record = &certificate.record;
                let line = format!("certified r{} {}", record.round, record.id().short());
                bus.note(self.index, &line);
                let updates = self.updates_kept(record);
                self.begin(bus, Task::Keep { tip: *tip, updates })
            }
            Effect::Finish => {
                bus.note(self.index, "finished");
                Ok(())
            }
        }
    }

    fn say(&mut self, bus: &mut Bus, message: RunMessage) -> Outcome {
        bus.note(self.index, &format!("says {}", describe(&message)));
        if let RunMessage::Commit(commit) = &message {
            self.keep(bus, commit.bytes().to_vec());
        }
        if self.liar.is_some() {
            self.speak_as_liar(bus, message);
            return Ok(());
        }
        let now_ms = self.clock.steady_ms(bus.now_ms);
        let sender = Sender { node: self.index, journal: &self.disk.journal, now_ms };
        bus.checker.sent(&bus.library, &sender, &message)?;
        bus.broadcast(self.index, &Packet::Run(Arc::new(message)));
        Ok(())
    }

    /// Plans the next tick, a little late as timers are.
    fn rearm(&mut self, bus: &mut Bus) {
        let late_ms = self.rng.random_range(0..8);
        let Some(live) = &mut self.live else { return };
        let Some(deadline_ms) = live.round.deadline() else { return };
        if live.armed_ms != Some(deadline_ms) {
            live.armed_ms = Some(deadline_ms);
            let after_ms = self.clock.until_ms(bus.now_ms, deadline_ms) + late_ms;
            bus.plan(self.index, live.boot, after_ms, Local::Wake(deadline_ms));
        }
    }
}
