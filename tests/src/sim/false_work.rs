//! The false work of liars: updates that must not count, records that do not hold.
//!
//! Invariants: what is trained and built falsely is known to the library, so that the checker can look
//! it up, though its maker may never serve it. What it is not: what liars say (see `byzantine`).

use std::sync::Arc;

use protocol::round::{
    Alike, DataCommit, RejectReason, Rejected, Reported, RoundRecord, Tip, Trained,
};
use protocol::update::{Update, look, norm_of};
use protocol::{CommitId, FeedHead, FeedId, FileHash, Frontier, RecordId};

use super::bus::Bus;
use super::byzantine::Lie;
use super::node::Node;

/// The norm above which no run takes an update is a hundred; the largest change here is above it.
const HUGE: f32 = 100.0;

impl Node {
    /// What a liar hands in for the update that it made.
    pub(super) fn train_as_liar(
        &mut self,
        bus: &mut Bus,
        base: &Tip,
        data: DataCommit,
        update: Vec<u8>,
    ) -> Trained {
        if self.lies(Lie::TwoCommits) {
            let other = self.another_update(0.5);
            let (hash, bytes) = (FileHash::of(&other), other.len() as u64);
            self.keep(bus, other);
            if let Some(liar) = &mut self.liar {
                liar.second = Some((hash, bytes));
            }
        }
        let data = self.false_data(bus, data);
        let (update, claimed) = self.false_update(bus, update);
        let form = self.facts.spec.value().update_form();
        let norm = look(&form, self.key.public(), &update).ok();
        let norm = norm.and_then(|looked| looked.norm_squared.ok()).map_or(1, norm_of);
        let norm = norm + u64::from(self.lies_now(bus, Lie::Norm, 0.7));
        let trained = Trained {
            update: FileHash::of(&update),
            update_bytes: claimed,
            norm,
            data: data.clone(),
            trace: None,
        };
        if self.lies_now(bus, Lie::NoBytes, 0.7) {
            bus.keep(&Arc::new(update));
        } else {
            self.keep(bus, update);
        }
        let copied = self.liar.as_ref().and_then(|liar| liar.overheard(&self.key, base.id));
        match copied {
            Some(theirs) if self.lies_now(bus, Lie::Copies, 0.8) => {
                // Whoever wants to has the bytes: updates are served to all who ask.
                if let Some(bytes) = bus.library.blob(&theirs.update) {
                    self.disk.blobs.insert(theirs.update, bytes.clone());
                }
                Trained {
                    update: theirs.update,
                    update_bytes: theirs.update_bytes,
                    norm: theirs.norm,
                    data,
                    trace: None,
                }
            }
            _ => trained,
        }
    }

    fn false_data(&mut self, bus: &mut Bus, mut data: DataCommit) -> DataCommit {
        if self.lies_now(bus, Lie::OtherPolicy, 0.7) {
            data.policy = FileHash::of(b"another");
        }
        if self.lies_now(bus, Lie::StaleFrontier, 0.8) {
            data.frontier = Frontier::default().id();
        }
        if self.lies_now(bus, Lie::BadFrontier, 0.7) {
            data.frontier = self.keep(bus, b"no frontier".to_vec());
        }
        if self.lies_now(bus, Lie::Weight, 0.8) {
            data.used = u64::MAX - u64::from(self.draw(1_000));
        }
        data
    }

    /// The bytes, and how many it says they are.
    fn false_update(&mut self, bus: &mut Bus, mut update: Vec<u8>) -> (Vec<u8>, u64) {
        let honest = update.len() as u64;
        if self.lies_now(bus, Lie::Values, 0.8) {
            match self.draw(2) {
                // Exponents and values beyond all bounds, its own key aside.
                0 => update[32..].fill(0xff),
                _ => update = self.another_update(HUGE),
            }
        }
        if self.lies_now(bus, Lie::Size, 0.8) {
            let kind = self.draw(4);
            let length = if kind < 2 { update.len() * 2 } else { update.len() / 2 };
            update.resize(length, 1);
            // It says so, or it does not.
            let claimed = if kind.is_multiple_of(2) { length as u64 } else { honest };
            return (update, claimed);
        }
        let length = update.len() as u64;
        (update, length)
    }

    fn another_update(&mut self, size: f32) -> Vec<u8> {
        let form = self.facts.spec.value().update_form();
        let delta: Vec<f32> = (0..form.parameters)
            .map(|_| size * (self.draw(2_001) as f32 / 1_000.0 - 1.0))
            .collect();
        let key = self.key.public();
        Update::make(&form, key, &delta, &mut vec![0.0; form.parameters]).bytes().to_vec()
    }

    /// What a liar binds: a ledger with records that were never made.
    pub(super) fn bind_as_liar(&mut self, bus: &mut Bus, frontier: Frontier) -> Frontier {
        if !self.lies_now(bus, Lie::UnknownLedger, 0.7) {
            return frontier;
        }
        let feed = FeedId { author: self.key.public(), feed: 0 };
        frontier.merge(&Frontier::new([FeedHead { feed, seq: 9, head: RecordId::of(b"none") }]))
    }

    /// Puts something into a record that is not so.
    pub(super) fn falsify(&mut self, bus: &mut Bus, record: &mut RoundRecord) {
        if !self.lies_now(bus, Lie::WrongRecords, 0.8) {
            return;
        }
        let another = FileHash::of(b"another");
        match self.draw(14) {
            0 => record.model_out = another,
            1 => record.outer_out = another,
            2 => record.step = record.step.is_none().then_some(another),
            3 => record.model_in = another,
            4 => record.accepted[0].weight += 1,
            5 => record.accepted.truncate(record.accepted.len() - 1),
            6 => record.accepted.push(record.accepted[0].clone()),
            7 => record.accepted[0].commit = CommitId::of(b"none"),
            8 => {
                let [one, other] = [b"one", b"two"].map(|bytes| CommitId::of(bytes));
                record.found.alike.push(Alike { one, other, cosine_milli: 999 });
            }
            9 => record.found.reports.clear(),
            10 => {
                record.found.reports.extend(record.found.reports.first().map(|report| Reported {
                    passed: report.passed.map(|passed| !passed),
                    ..*report
                }))
            }
            11 => record.found.reports.push(Reported {
                round: record.round.saturating_sub(1),
                auditor: self.key.public(),
                trainer: record.accepted[0].trainer,
                report: another,
                passed: Some(false),
                matched: None,
            }),
            12 => {
                // Somebody's good update is said to be bad.
                let victim = record.accepted.remove(0);
                let (commit, trainer) = (victim.commit, victim.trainer);
                let reason = RejectReason::Norm;
                record.rejected.push(Rejected { commit, trainer, reason });
                record.rejected.sort();
            }
            _ => {
                record.rejected.pop();
                record.frontier = another;
            }
        }
    }
}
