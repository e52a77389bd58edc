//! The work itself: training by stand-in, checking, aggregating and recomputing for real.
//!
//! Invariants: works pass the product's gate and come out as permits, which are spent; checks,
//! aggregates and records are the product's own functions.
//! What it is not: learning, unless a stage brings it. A stand-in update is random, and the same for the same
//! round and base.

use std::collections::BTreeMap;
use std::sync::Arc;

use consent::permit::TrainOther;
use consent::{Gate, commit_data};
use protocol::aggregate::{AggregateError, Whole};
use protocol::round::check::{
    Base, Division, Draft, Evidence, Exhibits, Finding, build, check_evidence, check_head,
    check_terms, verify,
};
use protocol::round::{
    Accepted, Assignment, Audited, Change, DataCommit, Holdout, Input, Rejected, Reported,
    RoundRecord, Tip, Trained, UpdateCommit, Verdict, commit_id,
};
use protocol::update::{Update, look, norm_of};
use protocol::weights::Weights;
use protocol::{CommitId, ContentId, FileHash, Frontier, Signed};
use rand::Rng;

use super::bus::{Bus, Outcome};
use super::byzantine::Lie;
use super::job::{Task, named_commits, named_proofs, reports_reach};
use super::node::Node;
use super::report::Violation;
use super::scenario::Defect;
use super::slices::Cut;

/// What a record says beside what counts.
#[derive(Debug, Clone)]
pub(super) struct Lists {
    pub(super) rejected: Vec<Rejected>,
    pub(super) reports: Vec<Reported>,
    pub(super) changes: Vec<Change>,
}

impl Node {
    /// Works a task out and hands the round the answer.
    pub(super) fn work(&mut self, bus: &mut Bus, task: Task) -> Outcome {
        let input = match task {
            Task::Train { round, base } => {
                let update = self.train(bus, round, &base);
                Input::Trained { round, update }
            }
            Task::Check { commit, base } => {
                let verdict = self.check(&commit, &base);
                bus.note(self.index, &format!("finds {} {verdict:?}", commit.id().short()));
                Input::Checked { commit: commit_id(&commit), base: base.id, verdict }
            }
            Task::Slices { base, slate, slices } => {
                return self.work_on_slices(bus, &base, &slate, &slices);
            }
            Task::Build { base, accepted, lists, cut, .. } => {
                self.build(bus, &base, &accepted, lists, &cut)?
            }
            Task::Audit { record, assignment, .. } => {
                Input::Audited(self.audit(bus, &record, &assignment))
            }
            Task::Verify { record, base, cut } => {
                let holds = self.verify(bus, &record, &base, &cut)?;
                if holds == Some(false) && cut.spot.is_some() && !cut.distrusts {
                    // Before it refuses a record it takes nobody's word.
                    bus.counts.note("record worked out alone");
                    let cut = Cut { distrusts: true, ..cut };
                    return self.begin(bus, Task::Verify { record, base, cut });
                }
                let id = record.id();
                bus.note(self.index, &format!("recomputes {}: {holds:?}", id.short()));
                Input::Verified { record: id, holds }
            }
            Task::Keep { .. } => return Ok(()),
        };
        self.input(bus, input)
    }

    /// Says that bytes could not be had.
    pub(super) fn give_up(&mut self, bus: &mut Bus, task: Task) -> Outcome {
        if let Some(alone) = self.go_on_alone(&task) {
            bus.counts.note("slices that nobody gives");
            return self.begin(bus, alone);
        }
        let input = match task {
            Task::Train { round, .. } => Input::Trained { round, update: None },
            Task::Check { commit, base } => {
                let (commit, verdict) = (commit_id(&commit), Verdict::Unavailable);
                Input::Checked { commit, base: base.id, verdict }
            }
            Task::Build { round, base, accepted, cut, .. } => {
                let unfit = self.unfit_of(&base, &accepted, &cut);
                let unfit = unfit.into_iter().map(|commit| (commit, None)).collect();
                Input::Built { round, record: None, unfit }
            }
            Task::Verify { record, .. } => Input::Verified { record: record.id(), holds: None },
            Task::Keep { .. } | Task::Audit { .. } | Task::Slices { .. } => return Ok(()),
        };
        bus.note(self.index, &format!("gives up {input:?}"));
        self.input(bus, input)
    }

    /// The frontier with this hash, if its bytes are here.
    pub(super) fn frontier(&self, hash: &FileHash) -> Option<Frontier> {
        Frontier::from_bytes(self.disk.blobs.get(hash)?).ok()
    }

    fn base(&self, tip: &Tip) -> Option<Base> {
        let weights = self.disk.blobs.get(&tip.model)?.clone();
        let state = self.disk.blobs.get(&tip.outer)?.clone();
        Base::new(tip.clone(), weights, state, self.frontier(&tip.frontier)?).ok()
    }

    fn evidence(&self, tip: &Tip, commit: Signed<UpdateCommit>) -> Option<Evidence> {
        if check_terms(self.facts.spec.value(), tip, &commit).is_err() {
            // Refused without looking further; nobody may ever serve what it names.
            return Some(Evidence::refused(commit));
        }
        let update = self.disk.blobs.get(&commit.value().update)?.clone();
        let frontier = self.disk.blobs.get(&commit.value().data.frontier)?.to_vec();
        Some(Evidence { commit, update, frontier })
    }

    fn train(&mut self, bus: &mut Bus, round: u64, base: &Tip) -> Option<Trained> {
        let (data, used) = self.gate(bus)?;
        bus.library.used(data.used_root, used);
        let update = match &self.facts.stage {
            Some(stage) => {
                let weights = Weights::from_bytes(self.disk.blobs.get(&base.model)?).ok()?;
                (stage.training)(self.index, round, &weights)
            }
            None => self.stand_in(round, base),
        };
        if self.liar.is_some() {
            return Some(self.train_as_liar(bus, base, data, update));
        }
        let form = self.facts.spec.value().update_form();
        let looked = look(&form, self.key.public(), &update).ok()?;
        let trained = Trained {
            update: looked.hash,
            update_bytes: update.len() as u64,
            norm: norm_of(looked.norm_squared.ok()?),
            data,
            trace: None,
        };
        let hash = self.keep(bus, update);
        bus.traffic.is_update(hash);
        Some(trained)
    }

    /// An update by stand-in.
    fn stand_in(&self, round: u64, base: &Tip) -> Vec<u8> {
        let label = format!("delta {} {round} {}", self.index, base.id);
        let mut rng = self.facts.seed.child(&label).rng();
        let size = rng.random_range(0.01f32..1.2);
        let form = self.facts.spec.value().update_form();
        let delta: Vec<f32> = (0..form.parameters).map(|_| rng.random_range(-size..size)).collect();
        let mut residual = vec![0.0; form.parameters];
        let update = Update::make(&form, self.key.public(), &delta, &mut residual);
        update.bytes().to_vec()
    }

    /// Asks the gate for every work; nothing admitted is no data.
    fn gate(&mut self, bus: &mut Bus) -> Option<(DataCommit, Vec<ContentId>)> {
        let day_ms = self.day_ms(bus);
        let held = self.facts.held[self.index].iter().copied();
        let live = self.live.as_ref()?;
        let gate = Gate::new(&live.ledger, &self.facts.policy, day_ms);
        let (permits, denials) = gate.decide_many::<TrainOther>(held.clone());
        let mut used: Vec<ContentId> = permits.into_iter().map(|permit| permit.spend()).collect();
        if self.facts.has(Defect::SkipGate) {
            used = held.collect();
        }
        let data = commit_data(&used, &denials, gate.frontier(), &self.facts.policy);
        let frontier = live.ledger.frontier().to_bytes();
        bus.counts.add("refused work", denials.len() as u64);
        bus.note(self.index, &format!("trains on {} works, {} refused", data.used, data.excluded));
        self.keep(bus, frontier);
        (data.used > 0).then_some((data, used))
    }

    fn check(&self, commit: &Signed<UpdateCommit>, base: &Tip) -> Verdict {
        if self.facts.has(Defect::SkipCheck) {
            return Verdict::Good;
        }
        let required = self.frontier(&base.frontier);
        let evidence = match self.is_cut(base) {
            true => self.evidence_in_parts(base, commit.clone(), &Division::working(&[]), &[]),
            false => self.evidence(base, commit.clone()),
        };
        let Some((evidence, required)) = evidence.zip(required) else {
            return Verdict::Unavailable;
        };
        let look = if self.is_cut(base) { check_head } else { check_evidence };
        match look(self.facts.spec.value(), base, &required, &evidence) {
            Ok(Finding::Counts) => Verdict::Good,
            Ok(Finding::Rejected(reason)) => Verdict::Bad(reason),
            Ok(Finding::Missing) | Err(_) => Verdict::Unavailable,
        }
    }

    /// What a look at another's update finds: by stand-in, a loss that fell or rose.
    fn audit(&mut self, bus: &mut Bus, record: &RoundRecord, of: &Assignment) -> Audited {
        let seed = self.facts.seed.child(&format!("audit {} {}", self.index, record.id()));
        bus.counts.note("audit");
        let holdout = Holdout {
            samples_root: FileHash::of(b"samples"),
            samples: 10,
            before_micro: 100_000,
            after_micro: seed.rng().random_range(90_000..110_000),
            control_micro: of.control.as_ref().map(|_| 101_500),
        };
        Audited {
            round: record.round,
            record: record.id(),
            commit: of.update.commit,
            holdout: Some(holdout),
            retraining: None,
        }
    }

    fn build(
        &mut self,
        bus: &mut Bus,
        tip: &Tip,
        accepted: &[Accepted],
        lists: Lists,
        cut: &Cut,
    ) -> Result<Input, Violation> {
        let round = tip.round + 1;
        let failed = Input::Built { round, record: None, unfit: Vec::new() };
        let Some(base) = self.base(tip) else { return Ok(failed) };
        let division = self.division(tip, cut, &lists.changes);
        let Some(counted) = self.to_be_counted(tip, division.as_ref(), accepted) else {
            return Ok(failed);
        };
        let Lists { rejected, reports, mut changes } = lists;
        let mut made = None;
        if let Some(division) = division {
            let Ok((slices, truths)) = self.put_together(&division, &base, &counted) else {
                return Ok(failed);
            };
            if let Some(unfit) = Self::unfit(&counted, &slices, round) {
                bus.counts.note("unfit by its slices");
                return Ok(unfit);
            }
            self.charge(bus, tip, cut, &truths, &mut changes);
            self.contradict(bus, tip, accepted, cut, truths.into_values())?;
            bus.counts.note("built of slices");
            made = Some(Arc::new(slices));
        }
        // The ledger may lack what the round before has bound; the next round must not.
        let Some(live) = &self.live else { return Ok(failed) };
        let known = live.ledger.frontier().merge(&base.required);
        let bound = self.bind_as_liar(bus, known);
        let frontier = self.keep(bus, bound.to_bytes());
        let facts = self.facts.clone();
        let (run, spec) = (facts.run, facts.spec.value());
        let room = base.room(spec);
        let draft = Draft { accepted: counted, rejected, reports, changes, frontier, made };
        let Ok(mut record) = build(run, spec, &base, draft, &room.outputs(), 1) else {
            return Ok(failed);
        };
        self.keep_outcome(bus, room);
        if self.facts.has(Defect::TrustRecords) {
            record.model_out = base.tip.model;
        }
        self.falsify(bus, &mut record);
        Ok(Input::Built { round, record: Some(Box::new(record)), unfit: Vec::new() })
    }

    /// Whether a record holds, or nothing if bytes are missing.
    fn verify(
        &mut self,
        bus: &mut Bus,
        record: &RoundRecord,
        tip: &Tip,
        cut: &Cut,
    ) -> Result<Option<bool>, Violation> {
        if self.facts.has(Defect::TrustRecords) || self.lies_now(bus, Lie::Yes, 0.8) {
            return Ok(Some(true));
        }
        if self.lies_now(bus, Lie::No, 0.8) {
            return Ok(Some(false));
        }
        let division = self.division(tip, cut, &record.parts.changes);
        let Some((base, mut exhibits)) = self.exhibits(record, tip, division.as_ref()) else {
            return Ok(None);
        };
        if let Some(division) = division {
            let Some(counted) = self.counted(tip, &division, &record.accepted) else {
                return Ok(None);
            };
            match self.put_together(&division, &base, &counted) {
                Ok((made, truths)) => {
                    self.contradict(bus, tip, &record.accepted, cut, truths.values().copied())?;
                    (exhibits.made, exhibits.truths) = (Some(Arc::new(made)), truths);
                }
                Err(AggregateError::Tape(_)) => return Ok(None),
                Err(_) => return Ok(Some(false)),
            }
        }
        let facts = self.facts.clone();
        let (run, spec) = (facts.run, facts.spec.value());
        let room = base.room(spec);
        match verify(run, spec, &base, record, &exhibits, &room.outputs(), 1) {
            Ok(()) => {
                self.keep_outcome(bus, room);
                Ok(Some(true))
            }
            // What is not known of a false partial is worked out.
            Err(error) if error.is_missing() => Ok(Some(false).filter(|_| cut.spot.is_some())),
            Err(error) => {
                bus.note(self.index, &format!("refuses {}: {error}", record.id().short()));
                bus.counts.note("record refused");
                Ok(Some(false))
            }
        }
    }

    /// What there is to judge a record by.
    fn exhibits(
        &self,
        record: &RoundRecord,
        tip: &Tip,
        division: Option<&Division>,
    ) -> Option<(Base, Exhibits)> {
        let base = self.base(tip)?;
        let bound = self.frontier(&record.frontier)?;
        let counts = |id: &CommitId| record.accepted.iter().any(|entry| entry.commit == *id);
        let commits: BTreeMap<CommitId, Evidence> = named_commits(record)
            .filter_map(|id| {
                let commit = self.commit(id)?.clone();
                let evidence = match division.filter(|_| counts(&id)) {
                    Some(division) => {
                        self.evidence_in_parts(tip, commit.clone(), division, &record.accepted)
                    }
                    None => self.evidence(tip, commit.clone()),
                };
                Some((id, evidence.unwrap_or_else(|| Evidence::refused(commit))))
            })
            .collect();
        let proofs = named_proofs(record)
            .filter_map(|hash| Some((hash, self.disk.blobs.get(&hash)?.to_vec())))
            .collect();
        let ancestors = self.disk.certificates.range(..record.round).rev();
        let ancestors = ancestors.map(|(_, certificate)| certificate.record.clone());
        let ancestors = ancestors.take(reports_reach(record)).collect();
        let exhibits = Exhibits { commits, proofs, ancestors, bound, ..Exhibits::default() };
        Some((base, exhibits))
    }

    fn keep_outcome(&mut self, bus: &mut Bus, room: Whole) {
        for tape in [room.weights, room.state, room.step] {
            self.keep(bus, tape.into_bytes());
        }
    }
}
