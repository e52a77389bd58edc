//! What a task needs of bytes, whole or in part, and what of it a disk lacks.
//!
//! Invariants: asked as often as one likes; what has arrived is not needed any more. What it is not: asking
//! (see `job`).

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use protocol::aggregate::Patches;
use protocol::round::check::check_terms;
use protocol::round::{RejectReason, Rejected, RoundRecord, Tip, UpdateCommit};
use protocol::update::UPDATE_HEAD_BYTES;
use protocol::{CommitId, FileHash, Signed};

use super::bus::Bus;
use super::byzantine::Lie;
use super::job::{Task, envelope_hash, named_commits};
use super::node::Node;
use super::packet::Packet;
use super::scenario::Defect;

/// Something that a task needs and a disk may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// All bytes with this hash.
    Whole(FileHash),
    /// Some of them, from here to there.
    Part(FileHash, u64, u64),
}

/// Some of the bytes with a hash, and how many there are of them altogether.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) of: u64,
    pub(super) bytes: Arc<Vec<u8>>,
}

impl Node {
    /// What the task needs and the disk lacks, as far as can be told yet.
    pub(super) fn missing(&self, task: &Task) -> BTreeSet<Need> {
        let (needed, parts) = self.needed(task);
        let all = needed.into_iter().map(Need::Whole).chain(parts);
        all.filter(|need| !self.has(need)).collect()
    }

    fn needed(&self, task: &Task) -> (Vec<FileHash>, Vec<Need>) {
        let base = task.base();
        let mut needed = vec![base.frontier];
        let mut parts = Vec::new();
        if !matches!(task, Task::Check { .. } | Task::Slices { .. }) {
            needed.push(base.model);
        }
        // Where rounds are cut, trainers need no more of the outer state than their slices.
        let is_steward = self.index < self.facts.scenario.cast.stewards;
        let holds_state = is_steward || self.facts.spec.value().rounds.slices < 2;
        let keeps_state = matches!(task, Task::Keep { .. }) && holds_state;
        if keeps_state || matches!(task, Task::Build { .. } | Task::Verify { .. }) {
            needed.push(base.outer);
        }
        match task {
            Task::Slices { slate, slices, .. } => {
                parts = self.needs_of_slices(base, slate.value().list, slices);
            }
            Task::Check { commit, .. } if self.is_cut(base) => {
                let terms = check_terms(self.facts.spec.value(), base, commit);
                let value = commit.value();
                if terms.is_ok() {
                    needed.push(value.data.frontier);
                    parts.push(Need::Part(value.update, 0, UPDATE_HEAD_BYTES as u64));
                }
            }
            Task::Train { .. } => {}
            Task::Keep { updates, .. } => needed.extend(updates),
            Task::Check { commit, .. } => needed.extend(self.named(base, commit)),
            Task::Build { accepted, lists, cut, .. } => {
                match self.division(base, cut, &lists.changes) {
                    Some(division) => parts = self.needs_of(base, &division, accepted),
                    None => needed.extend(accepted.iter().map(|a| a.update)),
                }
            }
            Task::Audit { assignment, .. } => {
                let control = assignment.control.iter().map(|control| control.update);
                needed.extend(control.chain([assignment.update.update]));
            }
            Task::Verify { record, cut, .. } => {
                let division = self.division(base, cut, &record.parts.changes);
                if let Some(division) = &division {
                    parts = self.needs_of(base, division, &record.accepted);
                }
                let is_cut = division.is_some();
                needed.push(record.frontier);
                needed.extend(record.parts.changes.iter().map(|change| change.proof));
                needed.extend(record.found.reports.iter().map(|report| report.report));
                for commit in named_commits(record) {
                    needed.push(envelope_hash(commit));
                    // Of a duplicate its trainer may never have shown more.
                    let named = self.commit(commit).filter(|_| !is_duplicate(record, commit));
                    let counts = is_cut && record.accepted.iter().any(|a| a.commit == commit);
                    let named = named.into_iter().flat_map(|commit| self.named(base, commit));
                    // Of what counts the parts are enough.
                    needed.extend(named.skip(usize::from(counts)));
                }
            }
        }
        (needed, parts)
    }

    /// Whether the task needs a ledger that is further along: to train, and to vote for a record,
    /// which takes care that more than two thirds of the stewards can hand out what it binds.
    pub(super) fn is_behind(&self, task: &Task) -> bool {
        let required = match task {
            Task::Train { base, .. } => &base.frontier,
            Task::Verify { record, .. } if !self.facts.has(Defect::SkipReach) => &record.frontier,
            _ => return false,
        };
        let Some(live) = &self.live else { return false };
        self.frontier(required).is_none_or(|required| !live.ledger.frontier().dominates(&required))
    }

    /// What a commit names that is needed to judge it: nothing if the terms refuse it.
    fn named(&self, base: &Tip, commit: &Signed<UpdateCommit>) -> Vec<FileHash> {
        match check_terms(self.facts.spec.value(), base, commit) {
            Ok(()) => vec![commit.value().update, commit.value().data.frontier],
            Err(_) => Vec::new(),
        }
    }

    /// Whether this is on the disk.
    pub(super) fn has(&self, need: &Need) -> bool {
        match need {
            Need::Whole(hash) => self.disk.blobs.contains_key(hash),
            Need::Part(hash, start, end) => self.part(*hash, *start..*end).is_some(),
        }
    }

    /// Some of the bytes with this hash, if they are here.
    pub(super) fn part(&self, hash: FileHash, range: Range<u64>) -> Option<Part> {
        if let Some(bytes) = self.disk.blobs.get(&hash) {
            let part = bytes.get(range.start as usize..range.end as usize)?.to_vec();
            return Some(Part { of: bytes.len() as u64, bytes: Arc::new(part) });
        }
        self.disk.parts.get(&(hash, range.start, range.end)).cloned()
    }

    /// An update of which these ranges are here.
    pub(super) fn patches(&self, update: FileHash, ranges: &[Range<u64>]) -> Option<Patches> {
        let mut patches = None;
        for range in ranges {
            let part = self.part(update, range.clone())?;
            let whole = patches.get_or_insert_with(|| Patches::of(part.of));
            whole.add(range.start, part.bytes.to_vec());
        }
        patches
    }

    /// Answers who asks for a part of some bytes.
    pub(super) fn answer_part(
        &mut self,
        bus: &mut Bus,
        to: usize,
        asked: FileHash,
        range: Range<u64>,
    ) {
        let Some(mut part) = self.part(asked, range.clone()) else { return };
        if self.lies_now(bus, Lie::Silence, 0.9) {
            return;
        }
        if self.lies_now(bus, Lie::WrongBytes, 0.7) {
            part.bytes = Arc::new(part.bytes.iter().map(|byte| byte ^ 1).collect());
        }
        bus.send(self.index, to, Packet::Part { asked, start: range.start, part });
    }

    /// Takes a part that is one of the whole's.
    pub(super) fn take_part_of(&mut self, bus: &mut Bus, asked: FileHash, start: u64, part: Part) {
        let end = start + part.bytes.len() as u64;
        let whole = bus.library.blob(&asked);
        let holds = whole.is_some_and(|whole| {
            let same = whole.get(start as usize..end as usize);
            whole.len() as u64 == part.of && same == Some(part.bytes.as_slice())
        });
        if !holds {
            bus.counts.note("bytes with another hash");
            return;
        }
        self.disk.parts.insert((asked, start, end), part);
        self.look_at_jobs(bus);
    }
}

fn is_duplicate(record: &RoundRecord, commit: CommitId) -> bool {
    let duplicate = |entry: &Rejected| entry.reason == RejectReason::Duplicate;
    record.rejected.iter().any(|entry| entry.commit == commit && duplicate(entry))
}
