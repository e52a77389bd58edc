//! The work itself: training by stand-in, checking, aggregating and recomputing for real.
//!
//! Invariants: works pass the product's gate and come out as permits, which are spent; checks,
//! aggregates and records are the product's own functions.
//! What it is not: learning, unless a stage brings it. A stand-in update is random, and the same for the same
//! round and base.

use std::collections::BTreeMap;

use consent::permit::TrainOther;
use consent::{Gate, commit_data};
use protocol::aggregate::Whole;
use protocol::round::check::{
    Base, Counted, Draft, Evidence, Exhibits, Finding, build, check_evidence, check_terms, verify,
};
use protocol::round::{
    Accepted, Assignment, Audited, Change, DataCommit, Holdout, Input, Rejected, Reported,
    RoundRecord, Tip, Trained, UpdateCommit, Verdict, commit_id,
};
use protocol::update::{Update, look};
use protocol::weights::Weights;
use protocol::{CommitId, ContentId, FileHash, Frontier, Signed};
use rand::Rng;

use super::bus::{Bus, Outcome};
use super::byzantine::Lie;
use super::facts::PARAMETERS;
use super::job::{Task, named_commits, named_proofs, reports_reach};
use super::node::Node;
use super::scenario::Defect;

/// What a record says beside what counts.
struct Lists {
    rejected: Vec<Rejected>,
    reports: Vec<Reported>,
    changes: Vec<Change>,
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
            Task::Build { round, base, accepted, rejected, reports, changes } => {
                let lists = Lists { rejected, reports, changes };
                let record = self.build(bus, &base, &accepted, lists).map(Box::new);
                Input::Built { round, record }
            }
            Task::Audit { record, assignment, .. } => {
                Input::Audited(self.audit(bus, &record, &assignment))
            }
            Task::Verify { record, base } => {
                let holds = self.verify(bus, &record, &base);
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
        let input = match task {
            Task::Train { round, .. } => Input::Trained { round, update: None },
            Task::Check { commit, base } => {
                let (commit, verdict) = (commit_id(&commit), Verdict::Unavailable);
                Input::Checked { commit, base: base.id, verdict }
            }
            Task::Build { round, .. } => Input::Built { round, record: None },
            Task::Verify { record, .. } => Input::Verified { record: record.id(), holds: None },
            Task::Keep { .. } | Task::Audit { .. } => return Ok(()),
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
        let trained = Trained {
            update: FileHash::of(&update),
            update_bytes: update.len() as u64,
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
        let delta: Vec<f32> = (0..PARAMETERS).map(|_| rng.random_range(-size..size)).collect();
        let form = self.facts.spec.value().update_form();
        let update = Update::make(&form, self.key.public(), &delta, &mut [0.0; PARAMETERS]);
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
        let evidence = self.evidence(base, commit.clone());
        let Some((evidence, required)) = evidence.zip(required) else {
            return Verdict::Unavailable;
        };
        match check_evidence(self.facts.spec.value(), base, &required, &evidence) {
            Ok(Finding::Counts(_)) => Verdict::Good,
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
            before_micro: 1_000,
            after_micro: seed.rng().random_range(900..1_100),
            control_micro: of.control.as_ref().map(|_| 1_010),
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
    ) -> Option<RoundRecord> {
        let base = self.base(tip)?;
        let form = self.facts.spec.value().update_form();
        let counted: Option<Vec<Counted>> = accepted
            .iter()
            .map(|entry| {
                let update = self.disk.blobs.get(&entry.update)?.clone();
                let looked = look(&form, entry.trainer, &*update).ok()?;
                Some(Counted {
                    entry: entry.clone(),
                    norm_squared: looked.norm_squared.ok()?,
                    update,
                })
            })
            .collect();
        let accepted = counted?;
        // The ledger may lack what the round before has bound; the next round must not.
        let known = self.live.as_ref()?.ledger.frontier().merge(&base.required);
        let bound = self.bind_as_liar(bus, known);
        let frontier = self.keep(bus, bound.to_bytes());
        let (run, spec) = (self.facts.run, self.facts.spec.value());
        let room = base.room(spec);
        let outputs = room.outputs();
        let Lists { rejected, reports, changes } = lists;
        let draft = Draft { accepted, rejected, reports, changes, frontier };
        let built = build(run, spec, &base, draft, &outputs, 1);
        let mut record = built.ok()?;
        self.keep_outcome(bus, room);
        if self.facts.has(Defect::TrustRecords) {
            record.model_out = base.tip.model;
        }
        self.falsify(bus, &mut record);
        Some(record)
    }

    fn verify(&mut self, bus: &mut Bus, record: &RoundRecord, tip: &Tip) -> Option<bool> {
        if self.facts.has(Defect::TrustRecords) || self.lies_now(bus, Lie::Yes, 0.8) {
            return Some(true);
        }
        if self.lies_now(bus, Lie::No, 0.8) {
            return Some(false);
        }
        let base = self.base(tip)?;
        let bound = self.frontier(&record.frontier)?;
        let commits: BTreeMap<CommitId, Evidence> = named_commits(record)
            .filter_map(|id| {
                let commit = self.commit(id)?.clone();
                Some((
                    id,
                    self.evidence(tip, commit.clone()).unwrap_or_else(|| Evidence::refused(commit)),
                ))
            })
            .collect();
        let proofs = named_proofs(record)
            .filter_map(|hash| Some((hash, self.disk.blobs.get(&hash)?.to_vec())))
            .collect();
        let ancestors = self.disk.certificates.range(..record.round).rev();
        let ancestors = ancestors.map(|(_, certificate)| certificate.record.clone());
        let ancestors = ancestors.take(reports_reach(record)).collect();
        let exhibits = Exhibits { commits, proofs, ancestors, bound };
        let (run, spec) = (self.facts.run, self.facts.spec.value());
        let room = base.room(spec);
        match verify(run, spec, &base, record, &exhibits, &room.outputs(), 1) {
            Ok(()) => {
                self.keep_outcome(bus, room);
                Some(true)
            }
            Err(error) if error.is_missing() => None,
            Err(error) => {
                bus.note(self.index, &format!("refuses {}: {error}", record.id().short()));
                bus.counts.note("record refused");
                Some(false)
            }
        }
    }

    fn keep_outcome(&mut self, bus: &mut Bus, room: Whole) {
        for tape in [room.weights, room.state, room.step] {
            self.keep(bus, tape.into_bytes());
        }
    }
}
