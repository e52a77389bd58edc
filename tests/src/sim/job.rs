//! Jobs: what a node was asked to work out, and the bytes that it still lacks for it.
//!
//! A job fetches what it lacks from peers, who may not have it or not be heard; after some tries it
//! gives up and says so. Then it works for a while, and hands the round its answer.
//!
//! Invariants: a job answers once, or its node dies. What it is not: the work (see `work`).

use std::collections::{BTreeMap, BTreeSet};

use protocol::round::{
    Accepted, Assignment, Reported, RoundRecord, Slate, Tip, UpdateCommit, open_slate_list,
};
use protocol::{CommitId, FileHash, Signed};
use rand::Rng;

use super::bus::{Bus, Outcome};
use super::event::Local;
use super::needs::Need;
use super::node::Node;
use super::packet::Packet;
use super::report::{Rule, Violation};
use super::slices::Cut;
use super::work::Lists;

/// Jobs that a node may have at once, besides one for each trainer.
const JOBS_MAX: usize = 128;
/// How long a job waits for answers before it asks again.
const FETCH_MS: u64 = 150;
/// How often it asks.
const TRIES_MAX: u32 = 12;
/// The same for what a round in slices waits for.
const TRIES_OF_SLICES_MAX: u32 = 4;
/// Peers that are asked for one blob at once.
const PEERS_ASKED: usize = 3;

/// What is to be worked out.
#[derive(Debug, Clone)]
pub(super) enum Task {
    Train {
        round: u64,
        base: Tip,
    },
    Check {
        commit: Box<Signed<UpdateCommit>>,
        base: Tip,
    },
    /// Work out slices that a steward asks for.
    Slices {
        base: Tip,
        slate: Box<Signed<Slate>>,
        slices: Vec<u32>,
    },
    Build {
        round: u64,
        base: Tip,
        accepted: Vec<Accepted>,
        lists: Lists,
        cut: Cut,
    },
    Audit {
        base: Box<Tip>,
        record: Box<RoundRecord>,
        assignment: Assignment,
    },
    Verify {
        record: Box<RoundRecord>,
        base: Tip,
        cut: Cut,
    },
    /// Hold a tip's model, outer state and frontier, and updates of which it is a keeper. Not asked for by the
    /// round.
    Keep {
        tip: Tip,
        updates: Vec<FileHash>,
    },
}

/// A task under way.
#[derive(Debug)]
struct Job {
    task: Task,
    tries: u32,
    asked: BTreeSet<Need>,
    asked_records: bool,
    working: bool,
}

/// A node's jobs.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    open: BTreeMap<u64, Job>,
    begun: u64,
    /// Commits that were opened once.
    commits: BTreeMap<CommitId, Signed<UpdateCommit>>,
    /// Lists of slates that were read once.
    pub(super) lists: BTreeMap<FileHash, Vec<Accepted>>,
}

impl Jobs {
    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }
}

impl Task {
    pub(super) fn base(&self) -> &Tip {
        match self {
            Self::Train { base, .. }
            | Self::Check { base, .. }
            | Self::Slices { base, .. }
            | Self::Build { base, .. }
            | Self::Verify { base, .. }
            | Self::Keep { tip: base, .. } => base,
            Self::Audit { base, .. } => base,
        }
    }

    /// Who surely had the bytes once.
    fn source(&self, node: &Node) -> Option<usize> {
        match self {
            Self::Check { commit, .. } => node.facts.node_of(commit.signer()),
            Self::Slices { slate, .. } => node.facts.node_of(slate.signer()),
            Self::Audit { assignment, .. } => node.facts.node_of(assignment.update.trainer),
            _ => None,
        }
    }
}

/// The hash under which a commit's envelope is kept.
pub(super) fn envelope_hash(commit: CommitId) -> FileHash {
    FileHash::from_bytes(*commit.as_bytes())
}

impl Node {
    /// Takes on a task.
    pub(super) fn begin(&mut self, bus: &mut Bus, task: Task) -> Outcome {
        let Some(live) = &mut self.live else { return Ok(()) };
        let job = live.jobs.begun;
        live.jobs.begun += 1;
        let new =
            Job { task, tries: 0, asked: BTreeSet::new(), asked_records: false, working: false };
        live.jobs.open.insert(job, new);
        if live.jobs.open.len() > JOBS_MAX + self.facts.scenario.cast.trainers {
            let what = format!("{} jobs on n{}", live.jobs.open.len(), self.index);
            return Err(Violation::new(Rule::Bounded, what));
        }
        self.push_on(bus, job);
        self.plan_retry(bus, job);
        Ok(())
    }

    /// A job has waited for answers; if some are still missing, it asks again or gives up.
    pub(super) fn try_again(&mut self, bus: &mut Bus, job: u64) -> Outcome {
        let Some(live) = &mut self.live else { return Ok(()) };
        let Some(open) = live.jobs.open.get_mut(&job).filter(|job| !job.working) else {
            return Ok(());
        };
        open.tries += 1;
        open.asked.clear();
        open.asked_records = false;
        let obsolete = open.task.base() != live.round.tip();
        let gives_up = match &open.task {
            Task::Keep { .. } => obsolete,
            // Whoever waits for slices cannot wait long.
            Task::Slices { .. } => obsolete || open.tries > TRIES_OF_SLICES_MAX,
            Task::Build { cut, .. } if cut.spot.is_some() => open.tries > TRIES_OF_SLICES_MAX,
            _ => open.tries > TRIES_MAX,
        };
        if gives_up {
            let task = open.task.clone();
            live.jobs.open.remove(&job);
            return self.give_up(bus, task);
        }
        self.push_on(bus, job);
        self.plan_retry(bus, job);
        Ok(())
    }

    /// Something has arrived: lets every job that waits go on.
    pub(super) fn look_at_jobs(&mut self, bus: &mut Bus) {
        let Some(live) = &self.live else { return };
        let waiting: Vec<u64> =
            live.jobs.open.iter().filter(|(_, job)| !job.working).map(|(id, _)| *id).collect();
        for job in waiting {
            self.push_on(bus, job);
        }
    }

    /// A job's work is done.
    pub(super) fn finish(&mut self, bus: &mut Bus, job: u64) -> Outcome {
        let Some(live) = &mut self.live else { return Ok(()) };
        let Some(done) = live.jobs.open.remove(&job) else { return Ok(()) };
        self.work(bus, done.task)
    }

    /// Starts to work if nothing is missing, or asks for what is and was not asked for yet.
    fn push_on(&mut self, bus: &mut Bus, job: u64) {
        self.open_commits(job);
        let Some(live) = &self.live else { return };
        let Some(open) = live.jobs.open.get(&job) else { return };
        let missing = self.missing(&open.task);
        let behind = missing.is_empty() && self.is_behind(&open.task);
        if missing.is_empty() && !behind {
            let after_ms = self.latency_ms(&open.task.clone());
            let Some(live) = &mut self.live else { return };
            if let Some(open) = live.jobs.open.get_mut(&job) {
                open.working = true;
            }
            bus.plan(self.index, live.boot, after_ms, Local::Worked(job));
            return;
        }
        let source = open.task.source(self);
        let fresh: Vec<Need> = missing.difference(&open.asked).copied().collect();
        for need in fresh {
            let (hash, packet) = match need {
                Need::Whole(hash) => (hash, Packet::AskBlob(hash)),
                Need::Part(hash, start, end) => (hash, Packet::AskPart(hash, start, end)),
            };
            let owner = self.owner_of(&need, job).or(source);
            for peer in self.sources(bus, owner, &hash) {
                bus.send(self.index, peer, packet.clone());
            }
            let open = self.live.as_mut().and_then(|live| live.jobs.open.get_mut(&job));
            if let Some(open) = open {
                open.asked.insert(need);
            }
        }
        let open = self.live.as_mut().and_then(|live| live.jobs.open.get_mut(&job));
        if behind && open.is_some_and(|open| !std::mem::replace(&mut open.asked_records, true)) {
            self.ask_for_records(bus);
        }
    }

    /// Who surely had what a job on slices needs.
    fn owner_of(&self, need: &Need, job: u64) -> Option<usize> {
        match &self.live.as_ref()?.jobs.open.get(&job)?.task {
            Task::Slices { slate, .. } => {
                let accepted = self.list(&slate.value().list).map_or(&[][..], Vec::as_slice);
                self.owner(need, accepted, &Cut::new(Vec::new(), None))
            }
            Task::Build { accepted, cut, .. } => self.owner(need, accepted, cut),
            Task::Verify { record, cut, .. } => self.owner(need, &record.accepted, cut),
            _ => None,
        }
    }

    /// Whom to ask for bytes: who surely had them, and some others. Where bytes are counted, one at a
    /// time, as a node does.
    fn sources(&mut self, bus: &Bus, source: Option<usize>, hash: &FileHash) -> Vec<usize> {
        let named = bus.providers.as_ref().and_then(|known| known.any(hash, &mut self.rng));
        let mut sources: Vec<usize> = source.into_iter().chain(named).collect();
        if bus.mesh.is_some() && !sources.is_empty() {
            sources.truncate(1);
        } else {
            sources.extend((0..PEERS_ASKED).map(|_| self.peer()));
        }
        let own = self.facts.liars.identity(self.index);
        sources.retain(|peer| *peer != own);
        sources
    }

    fn plan_retry(&mut self, bus: &mut Bus, job: u64) {
        let after_ms = FETCH_MS + self.rng.random_range(0..50);
        if let Some(live) = &self.live {
            bus.plan(self.index, live.boot, after_ms, Local::FetchDue(job));
        }
    }

    /// Opens the commits that a record names, or the list of a slate, as far as they are here.
    fn open_commits(&mut self, job: u64) {
        let Some(live) = &mut self.live else { return };
        let record = match live.jobs.open.get(&job).map(|job| &job.task) {
            Some(Task::Verify { record, .. }) => record,
            Some(Task::Slices { slate, .. }) => {
                let list = slate.value().list;
                let bytes = self.disk.blobs.get(&list);
                if let Some(bytes) = bytes.filter(|_| !live.jobs.lists.contains_key(&list)) {
                    // One that does not read is never there.
                    let read = open_slate_list(bytes).ok();
                    live.jobs.lists.extend(read.map(|read| (list, read)));
                }
                return;
            }
            _ => return,
        };
        for commit in named_commits(record) {
            let envelope = self.disk.blobs.get(&envelope_hash(commit));
            let Some(bytes) = envelope.filter(|_| !live.jobs.commits.contains_key(&commit)) else {
                continue;
            };
            if let Ok(opened) = Signed::<UpdateCommit>::open(bytes) {
                live.jobs.commits.insert(commit, opened);
            }
        }
    }

    /// A commit that was opened.
    pub(super) fn commit(&self, commit: CommitId) -> Option<&Signed<UpdateCommit>> {
        self.live.as_ref()?.jobs.commits.get(&commit)
    }

    fn latency_ms(&mut self, task: &Task) -> u64 {
        let times = self.hardware.work_times;
        let rng = &mut self.rng;
        let train_ms = self.facts.scenario.train_ms;
        let least_ms = match task {
            Task::Train { .. } if rng.random_bool(0.08) => rng.random_range(0..train_ms * 2),
            Task::Train { .. } => rng.random_range(40..train_ms / 2),
            Task::Keep { .. } => 0,
            _ if rng.random_bool(0.03) => rng.random_range(0..600),
            _ => rng.random_range(0..25),
        };
        least_ms * times
    }
}

/// The commits that a record names.
pub(super) fn named_commits(record: &RoundRecord) -> impl Iterator<Item = CommitId> {
    let rejected = record.rejected.iter().map(|rejected| rejected.commit);
    record.accepted.iter().map(|accepted| accepted.commit).chain(rejected)
}

/// The proofs and reports that a record names.
pub(super) fn named_proofs(record: &RoundRecord) -> impl Iterator<Item = FileHash> {
    let reports = record.found.reports.iter().map(|report| report.report);
    record.parts.changes.iter().map(|change| change.proof).chain(reports)
}

/// How many records before it a record's reports are about.
pub(super) fn reports_reach(record: &RoundRecord) -> usize {
    let reach = |report: &Reported| record.round.saturating_sub(report.round);
    record.found.reports.iter().map(reach).max().unwrap_or(0) as usize
}
