//! Rounds in slices: what a node needs of updates and states for them, and the work on them.
//!
//! Invariants: which slices, what they come to and who is charged are the product's own functions; a part of
//! bytes is taken only if it is one of the whole's, as a hash tree would show.
//! What it is not: a tree of hashes. The library, which knows all bytes, stands for it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use protocol::aggregate::{AggregateError, Made, Patches};
use protocol::round::check::{
    Base, Counted, Division, Evidence, charges, check_terms, compared_in_update, unfit, work_out,
};
use protocol::round::{
    Accepted, Cause, Change, Committee, Input, Partial, RoundRecord, RunMessage, Slate, Sliced,
    Tip, UpdateCommit, keepers, slate_list,
};
use protocol::{CommitId, FileHash, Signed};

use super::bus::{Bus, Outcome};
use super::byzantine::Lie;
use super::job::Task;
use super::needs::Need;
use super::node::Node;
use super::packet::Packet;

/// A steward's task on slices: what others said, its own draw, and whether it takes nobody's word.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    pub(super) partials: Vec<Signed<Partial>>,
    pub(super) spot: Option<u32>,
    pub(super) distrusts: bool,
}

impl Cut {
    pub(super) fn new(partials: Vec<Signed<Partial>>, spot: Option<u32>) -> Self {
        Self { partials, spot, distrusts: false }
    }
}

impl Node {
    /// Whether the round after this tip comes in slices.
    pub(super) fn is_cut(&self, tip: &Tip) -> bool {
        self.committee(tip).is_some()
    }

    /// The committee of the round after this tip: asked for often, and drawn once where that is the newest.
    fn committee(&self, tip: &Tip) -> Option<Cow<'_, Committee>> {
        match self.live.as_ref().filter(|live| live.round.tip().id == tip.id) {
            Some(live) => live.round.committee().map(Cow::Borrowed),
            None => Committee::of(self.facts.spec.value(), tip).map(Cow::Owned),
        }
    }

    /// The updates of a round of which this node is a keeper, if it trains in a run whose rounds are cut.
    pub(super) fn updates_kept(&self, record: &RoundRecord) -> Vec<FileHash> {
        if self.facts.spec.value().rounds.slices < 2 || self.facts.held[self.index].is_empty() {
            return Vec::new();
        }
        let (me, id) = (self.key.public(), record.id());
        let mine =
            record.accepted.iter().filter(|entry| keepers(record, id, entry.commit).contains(&me));
        mine.map(|entry| entry.update).collect()
    }

    /// How this node divides the work on a round; nothing if that is not cut.
    pub(super) fn division(&self, tip: &Tip, cut: &Cut, changes: &[Change]) -> Option<Division> {
        let spec = self.facts.spec.value();
        let charged: Vec<Signed<Partial>> = changes
            .iter()
            .filter(|change| change.cause == Cause::Partial)
            .filter_map(|change| Signed::open(self.disk.blobs.get(&change.proof)?).ok())
            .collect();
        let committee = self.committee(tip)?;
        if cut.distrusts {
            return Some(Division::distrustful(spec));
        }
        Some(Division::of(&committee, &cut.partials, cut.spot, &charged))
    }

    /// What a division needs: of the updates that count, and of others' slices.
    pub(super) fn needs_of(
        &self,
        tip: &Tip,
        division: &Division,
        accepted: &[Accepted],
    ) -> Vec<Need> {
        let mut needs = Vec::new();
        for range in self.ranges(tip, division, accepted) {
            let part = |entry: &Accepted| Need::Part(entry.update, range.start, range.end);
            needs.extend(accepted.iter().map(part));
        }
        for said in division.taken.values() {
            needs.extend([said.norms, said.step, said.state].map(Need::Whole));
        }
        needs
    }

    /// What one of three needs: the list, and once it is here its slices of updates and state.
    pub(super) fn needs_of_slices(&self, base: &Tip, list: FileHash, slices: &[u32]) -> Vec<Need> {
        let mut needs = vec![Need::Whole(list)];
        let Some(accepted) = self.list(&list) else { return needs };
        let division = Division::working(slices);
        for range in division.in_update(self.facts.spec.value()) {
            let part = |entry: &Accepted| Need::Part(entry.update, range.start, range.end);
            needs.extend(accepted.iter().map(part));
        }
        if base.outer != FileHash::of(b"") {
            let ranges = division.in_state(self.facts.spec.value()).into_iter();
            needs.extend(ranges.map(|range| Need::Part(base.outer, range.start, range.end)));
        }
        needs
    }

    /// What a slate's list says, once it was read.
    pub(super) fn list(&self, list: &FileHash) -> Option<&Vec<Accepted>> {
        self.live.as_ref()?.jobs.lists.get(list)
    }

    pub(super) fn ranges(
        &self,
        tip: &Tip,
        division: &Division,
        accepted: &[Accepted],
    ) -> Vec<Range<u64>> {
        let spec = self.facts.spec.value();
        let mut ranges = division.in_update(spec);
        ranges.extend(compared_in_update(spec, tip, accepted));
        ranges
    }

    /// What counts, with the parts that a division looks at.
    pub(super) fn counted(
        &self,
        tip: &Tip,
        division: &Division,
        accepted: &[Accepted],
    ) -> Option<Vec<Counted>> {
        let ranges = self.ranges(tip, division, accepted);
        let counted = accepted.iter().map(|entry| {
            let update = Arc::new(self.patches(entry.update, &ranges)?);
            Some(Counted { entry: entry.clone(), update })
        });
        counted.collect()
    }

    /// Works out slices for a steward's slate, and says what they come to.
    pub(super) fn work_on_slices(
        &mut self,
        bus: &mut Bus,
        base: &Tip,
        slate: &Signed<Slate>,
        slices: &[u32],
    ) -> Outcome {
        let list = slate.value().list;
        let Some(said) = self.slices(bus, base, list, slices) else {
            bus.counts.note("slate that cannot be worked on");
            return Ok(());
        };
        bus.counts.note("slices worked out");
        let said = self.false_slices(bus, said);
        self.input(bus, Input::Sliced { base: base.id, slate: list, slices: said })
    }

    fn slices(
        &mut self,
        bus: &mut Bus,
        base: &Tip,
        list: FileHash,
        slices: &[u32],
    ) -> Option<Vec<Sliced>> {
        let (facts, division) = (self.facts.clone(), Division::working(slices));
        let (spec, accepted) = (facts.spec.value(), self.list(&list)?.clone());
        let ranges = division.in_update(spec);
        let counted: Option<Vec<Counted>> = accepted
            .into_iter()
            .map(|entry| {
                let update = Arc::new(self.patches(entry.update, &ranges)?);
                Some(Counted { entry, update })
            })
            .collect();
        let counted = counted?;
        let state = match base.outer == FileHash::of(b"") {
            true => Patches::of(0),
            false => self.patches(base.outer, &division.in_state(spec))?,
        };
        let made = slices.iter().map(|slice| work_out(spec, base, &state, &counted, *slice, 1));
        let made: Vec<_> = made.collect::<Result<_, _>>().ok()?;
        let said = made.into_iter().map(|made| {
            let said = Sliced::of(&made);
            for bytes in [made.norms, made.step, made.state] {
                let hash = self.keep(bus, bytes);
                bus.traffic.is_update(hash);
            }
            said
        });
        Some(said.collect())
    }

    fn false_slices(&mut self, bus: &mut Bus, mut said: Vec<Sliced>) -> Vec<Sliced> {
        if self.lies_now(bus, Lie::FalseSlices, 0.7) {
            let at = self.draw(said.len() as u32) as usize;
            // Bytes that it serves, or that nobody has.
            let another = match self.draw(2) {
                0 => self.keep(bus, vec![7; 100]),
                _ => FileHash::of(b"another slice"),
            };
            match self.draw(3) {
                0 => said[at].norms = another,
                1 => said[at].step = another,
                _ => said[at].state = another,
            }
        }
        said
    }

    /// A steward cries wolf: it says that slices come to something else, or asks for what nobody counts.
    pub(super) fn cry_wolf(&mut self, bus: &mut Bus, record: &RoundRecord, base: &Tip) -> Outcome {
        if !self.is_cut(base) || !self.lies_now(bus, Lie::FalseAlarms, 0.7) {
            return Ok(());
        }
        let another = FileHash::of(b"another slice");
        let slices = self.facts.spec.value().rounds.slices;
        let slice = self.draw(slices);
        let said = Sliced { slice, norms: another, step: another, state: another };
        let slate = FileHash::of(&slate_list(&record.accepted));
        self.input(bus, Input::Sliced { base: base.id, slate, slices: vec![said] })?;
        let (run, round, list) = (self.facts.run, record.round, FileHash::of(b"no list"));
        let slate = Signed::sign(Slate { run, round, base: base.id, list }, &self.key);
        let message = RunMessage::Slate(slate);
        bus.broadcast(self.index, &Packet::Run(Arc::new(message)));
        Ok(())
    }

    /// What this node's own work shows that others have said otherwise.
    pub(super) fn contradict(
        &mut self,
        bus: &mut Bus,
        base: &Tip,
        accepted: &[Accepted],
        cut: &Cut,
        truths: impl IntoIterator<Item = Sliced>,
    ) -> Outcome {
        let is_denied = |truth: &Sliced| {
            let said = cut.partials.iter().filter_map(|partial| partial.value().of(truth.slice));
            said.into_iter().any(|said| said != truth)
        };
        let slices: Vec<Sliced> = truths.into_iter().filter(is_denied).collect();
        if slices.is_empty() {
            return Ok(());
        }
        bus.counts.note("false slice found");
        let slate = FileHash::of(&slate_list(accepted));
        self.input(bus, Input::Sliced { base: base.id, slate, slices })
    }

    /// Charges those who said what is not so; the envelopes that show it are kept.
    pub(super) fn charge(
        &mut self,
        bus: &mut Bus,
        tip: &Tip,
        cut: &Cut,
        truths: &BTreeMap<u32, Sliced>,
        changes: &mut Vec<Change>,
    ) {
        let facts = self.facts.clone();
        for (change, proof) in charges(facts.spec.value(), tip, changes, &cut.partials, truths) {
            bus.counts.note("charged with a false slice");
            self.keep(bus, proof);
            changes.push(change);
        }
        changes.sort();
    }

    /// Who surely had what a round in slices needs: an update its trainer, a slice whoever worked it out.
    pub(super) fn owner(&self, need: &Need, accepted: &[Accepted], cut: &Cut) -> Option<usize> {
        let key = match need {
            Need::Part(update, ..) => {
                accepted.iter().find(|entry| entry.update == *update).map(|entry| entry.trainer)
            }
            Need::Whole(hash) => {
                let names = |said: &Sliced| [said.norms, said.step, said.state].contains(hash);
                let said = cut.partials.iter();
                said.filter(|partial| partial.value().slices.iter().any(names))
                    .map(|partial| partial.signer())
                    .next()
            }
        };
        self.facts.node_of(key?)
    }

    /// Commits of which something is missing that a division needs.
    pub(super) fn withheld(
        &self,
        tip: &Tip,
        division: &Division,
        accepted: &[Accepted],
    ) -> Vec<CommitId> {
        let ranges = self.ranges(tip, division, accepted);
        let lacks = |entry: &&Accepted| self.patches(entry.update, &ranges).is_none();
        accepted.iter().filter(lacks).map(|entry| entry.commit).collect()
    }

    /// Whether a slice that was to be taken is not here.
    pub(super) fn lacks_taken(&self, division: &Division) -> bool {
        let hashes: BTreeSet<FileHash> =
            division.taken.values().flat_map(|said| [said.norms, said.step, said.state]).collect();
        hashes.iter().any(|hash| !self.disk.blobs.contains_key(hash))
    }

    /// What is wrong with updates that all slices together have been looked at for, as an answer.
    pub(super) fn unfit(accepted: &[Counted], made: &[Made], round: u64) -> Option<Input> {
        let unfit = unfit(accepted, made);
        let unfit: Vec<_> =
            unfit.into_iter().map(|(commit, reason)| (commit, Some(reason))).collect();
        (!unfit.is_empty()).then_some(Input::Built { round, record: None, unfit })
    }

    /// What a job on slices does instead of giving up, if it can do something.
    pub(super) fn go_on_alone(&mut self, task: &Task) -> Option<Task> {
        let (base, cut, changes) = match task {
            Task::Build { base, cut, lists, .. } => (base, cut, &lists.changes),
            Task::Verify { base, cut, record } => (base, cut, &record.parts.changes),
            _ => return None,
        };
        let division = self.division(base, cut, changes).filter(|_| !cut.distrusts)?;
        if !self.lacks_taken(&division) {
            return None;
        }
        let mut alone = task.clone();
        if let Task::Build { cut, .. } | Task::Verify { cut, .. } = &mut alone {
            cut.distrusts = true;
        }
        Some(alone)
    }

    /// The commits whose bytes a build could not have.
    pub(super) fn unfit_of(&self, base: &Tip, accepted: &[Accepted], cut: &Cut) -> Vec<CommitId> {
        let division = self.division(base, cut, &[]);
        division.map_or(Vec::new(), |division| self.withheld(base, &division, accepted))
    }

    /// The same of what counts, of which only these parts are looked at.
    pub(super) fn evidence_in_parts(
        &self,
        tip: &Tip,
        commit: Signed<UpdateCommit>,
        division: &Division,
        accepted: &[Accepted],
    ) -> Option<Evidence> {
        if check_terms(self.facts.spec.value(), tip, &commit).is_err() {
            return Some(Evidence::refused(commit));
        }
        let ranges = self.ranges(tip, division, accepted);
        let update = Arc::new(self.patches(commit.value().update, &ranges)?);
        let frontier = self.disk.blobs.get(&commit.value().data.frontier)?.to_vec();
        Some(Evidence { commit, update, frontier })
    }

    /// What counts, with the bytes that are looked at here.
    pub(super) fn to_be_counted(
        &self,
        tip: &Tip,
        division: Option<&Division>,
        accepted: &[Accepted],
    ) -> Option<Vec<Counted>> {
        if let Some(division) = division {
            return self.counted(tip, division, accepted);
        }
        let whole = accepted.iter().map(|entry| {
            let update = self.disk.blobs.get(&entry.update)?.clone();
            Some(Counted { entry: entry.clone(), update })
        });
        whole.collect()
    }

    pub(super) fn put_together(
        &self,
        division: &Division,
        base: &Base,
        counted: &[Counted],
    ) -> Result<(Vec<Made>, BTreeMap<u32, Sliced>), AggregateError> {
        let bytes = |hash| self.disk.blobs.get(&hash).map(|bytes| bytes.to_vec());
        let spec = self.facts.spec.value();
        division.put_together(spec, &base.tip, &*base.state, counted, bytes, 1)
    }
}
