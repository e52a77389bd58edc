//! Nodes that lie, with their own true keys.
//!
//! A liar runs the same `Round` as everyone, so that it is believed; what it says, answers, trains and
//! builds is bent on the way out. Whatever it makes up goes out as bytes, which honest nodes open as
//! they would any.
//!
//! Invariants: a liar signs with its own key only (unless a planted mistake says that nobody looks);
//! what it made up is known to the checker, which holds liars to no rule.
//! What it is not: everything a liar could do. It draws from what has hurt such systems before.

use std::sync::Arc;

use protocol::round::{
    Certificate, Outcome as TraceOutcome, Report, Retraining, RunMessage, UpdateCommit, Vote,
};
use protocol::{CommitId, FileHash, RoundId, Signed};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::bus::Bus;
use super::node::Node;
use super::packet::{Packet, wire};

/// A way to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// It is two nodes, each shown to half of the others.
    TwoFaces,
    /// It says things to a few only.
    Withhold,
    /// It answers nobody.
    Silence,
    /// It says old messages again, its own and others'.
    Replay,
    /// It says things in the name of others, and what is no message at all.
    Forge,
    /// It answers with other bytes than were asked for.
    WrongBytes,
    /// It hands out certificates with too few votes, the same vote twice, or another record.
    FalseCertificates,
    /// A steward votes for two things in one place, and for things to come.
    DoubleVotes,
    /// A steward proposes records with something in them that is not so.
    WrongRecords,
    /// A steward binds a ledger with records that were never made.
    UnknownLedger,
    /// A steward finds every record good.
    Yes,
    /// A steward finds every record bad.
    No,
    /// A trainer commits to two updates.
    TwoCommits,
    /// A trainer decided by an old ledger.
    StaleFrontier,
    /// A trainer's ledger is no ledger.
    BadFrontier,
    /// A trainer started from something else than the others.
    OtherBase,
    /// A trainer decided by another policy.
    OtherPolicy,
    /// A trainer hands in somebody else's update.
    Copies,
    /// A trainer says that it used very many samples.
    Weight,
    /// A trainer's update is too long or too short, or said to be.
    Size,
    /// A trainer's update holds what is no number, or is too large a vector.
    Values,
    /// A trainer does not serve its update.
    NoBytes,
    /// A trainer says that its update has another norm.
    Norm,
    /// An auditor reports on what it was not to look at.
    FalseReports,
    /// Where rounds come in slices, one of three says that its slices come to something else.
    FalseSlices,
    /// There, a steward says so of what three have said, and asks for what nobody counts.
    FalseAlarms,
}

impl Lie {
    /// Every lie but those about slices.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::OF_ALL.into_iter().chain(Self::OF_STEWARDS).chain(Self::OF_TRAINERS)
    }

    /// What anyone can lie about.
    pub(super) const OF_ALL: [Self; 7] = [
        Self::TwoFaces,
        Self::Withhold,
        Self::Silence,
        Self::Replay,
        Self::Forge,
        Self::WrongBytes,
        Self::FalseCertificates,
    ];
    /// What only stewards can.
    pub(super) const OF_STEWARDS: [Self; 5] =
        [Self::DoubleVotes, Self::WrongRecords, Self::UnknownLedger, Self::Yes, Self::No];
    /// What only trainers can.
    pub(super) const OF_TRAINERS: [Self; 12] = [
        Self::TwoCommits,
        Self::StaleFrontier,
        Self::BadFrontier,
        Self::OtherBase,
        Self::OtherPolicy,
        Self::Copies,
        Self::Weight,
        Self::Size,
        Self::Values,
        Self::NoBytes,
        Self::Norm,
        Self::FalseReports,
    ];
    /// What only those can who work out slices, and stewards who take them.
    pub const OF_SLICES: [Self; 2] = [Self::FalseSlices, Self::FalseAlarms];
}

/// A certificate that is none.
fn falsified(certificate: &Certificate, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut false_one = certificate.clone();
    match rng.random_range(0..4) {
        0 => false_one.precommits.truncate(1),
        1 => false_one.record.model_out = FileHash::of(b"another model"),
        2 => {
            let first = false_one.precommits[0].clone();
            false_one.precommits.truncate(1);
            while false_one.precommits.len() < certificate.precommits.len().max(2) {
                false_one.precommits.push(first.clone());
            }
        }
        _ => {
            let mut bytes = false_one.to_bytes();
            let at = rng.random_range(0..bytes.len());
            bytes[at] ^= 1;
            return bytes;
        }
    }
    false_one.to_bytes()
}

impl Node {
    /// Whether it lies in this way.
    pub(super) fn lies(&self, lie: Lie) -> bool {
        self.liar.as_ref().is_some_and(|liar| liar.lies.contains(&lie))
    }

    /// By this chance, whether it lies in this way now, which is counted.
    pub(super) fn lies_now(&mut self, bus: &mut Bus, lie: Lie, chance: f64) -> bool {
        let Some(liar) = self.liar.as_mut().filter(|liar| liar.lies.contains(&lie)) else {
            return false;
        };
        let now = liar.chance(chance);
        if now {
            bus.counts.note(&format!("lie: {lie:?}"));
        }
        now
    }

    /// A liar's number out of this range.
    pub(super) fn draw(&mut self, below: u32) -> u32 {
        self.liar.as_mut().map_or(0, |liar| liar.rng.random_range(0..below))
    }

    /// What a liar does when it is to say something.
    pub(super) fn speak_as_liar(&mut self, bus: &mut Bus, message: RunMessage) {
        bus.checker.hears_liar(&message);
        if let Some(liar) = &mut self.liar {
            liar.hear(&message);
        }
        if self.lies(Lie::TwoFaces) {
            bus.counts.note("lie: TwoFaces");
        }
        match &message {
            _ if self.lies_now(bus, Lie::Withhold, 0.6) => {
                let packet = Packet::Run(Arc::new(message));
                self.send_to_some(bus, &packet, 0.3);
            }
            RunMessage::Vote(vote) if self.lies_now(bus, Lie::DoubleVotes, 0.7) => {
                self.vote_twice(bus, vote.clone());
            }
            RunMessage::Commit(commit) if self.lies_now(bus, Lie::OtherBase, 0.8) => {
                let base = RoundId::of(b"another base");
                let value = UpdateCommit { base, ..commit.value().clone() };
                let other = Signed::sign(value, &self.key);
                self.keep(bus, other.bytes().to_vec());
                let packet = self.made_up(&RunMessage::Commit(other));
                bus.broadcast(self.index, &packet);
            }
            RunMessage::Report(report) if self.lies_now(bus, Lie::FalseReports, 0.8) => {
                self.report_falsely(bus, report.clone());
            }
            RunMessage::Commit(commit) if self.lies(Lie::TwoCommits) => {
                self.commit_twice(bus, commit.clone());
            }
            _ => bus.broadcast(self.index, &Packet::Run(Arc::new(message))),
        }
        if self.lies_now(bus, Lie::Replay, 0.5) {
            self.say_again(bus);
        }
        if self.lies_now(bus, Lie::Forge, 0.3) {
            self.forge_message(bus);
        }
        if self.lies_now(bus, Lie::FalseCertificates, 0.2) {
            self.hand_out_false_certificates(bus, None);
        }
    }

    fn send_to_some(&mut self, bus: &mut Bus, packet: &Packet, chance: f64) {
        for to in 0..self.facts.liars.known() {
            let sends = self.liar.as_mut().is_some_and(|liar| liar.chance(chance));
            if sends && to != self.index {
                bus.send(self.index, to, packet.clone());
            }
        }
    }

    fn vote_twice(&mut self, bus: &mut Bus, vote: Signed<Vote>) {
        let Some(liar) = &mut self.liar else { return };
        let other = Signed::sign(liar.other_vote(vote.value()), &self.key);
        let one = Packet::Run(Arc::new(RunMessage::Vote(vote)));
        let two = self.made_up(&RunMessage::Vote(other));
        self.send_either(bus, &one, &two);
    }

    /// To each the one, the other, or both in some order.
    fn send_either(&mut self, bus: &mut Bus, one: &Packet, two: &Packet) {
        for to in 0..self.facts.liars.known() {
            if to == self.facts.liars.identity(self.index) {
                continue;
            }
            let packets: &[&Packet] = match self.draw(4) {
                0 => &[one],
                1 => &[two],
                2 => &[one, two],
                _ => &[two, one],
            };
            for packet in packets {
                bus.send(self.index, to, (*packet).clone());
            }
        }
    }

    fn commit_twice(&mut self, bus: &mut Bus, commit: Signed<UpdateCommit>) {
        let one = Packet::Run(Arc::new(RunMessage::Commit(commit.clone())));
        let Some((update, update_bytes)) = self.liar.as_ref().and_then(|liar| liar.second) else {
            bus.broadcast(self.index, &one);
            return;
        };
        bus.counts.note("lie: TwoCommits");
        let other = UpdateCommit { update, update_bytes, ..commit.value().clone() };
        let other = Signed::sign(other, &self.key);
        // It need not hand out what it signed; the checker must be able to look it up.
        if self.facts.seed.child(&format!("serves {}", other.id())).rng().random_bool(0.5) {
            self.keep(bus, other.bytes().to_vec());
        } else {
            bus.keep(&Arc::new(other.bytes().to_vec()));
        }
        let two = self.made_up(&RunMessage::Commit(other));
        self.send_either(bus, &one, &two);
    }

    fn report_falsely(&mut self, bus: &mut Bus, report: Signed<Report>) {
        let mut other = report.value().clone();
        match self.draw(4) {
            0 => other.commit = CommitId::of(b"another"),
            1 => other.record = RoundId::of(b"another"),
            2 => other.round += 1,
            _ => {
                let (segments, segment, outcome) = (64, self.draw(64), TraceOutcome::Withheld);
                other.retraining = Some(Retraining { segments, segment, outcome });
            }
        }
        let other = Signed::sign(other, &self.key);
        let packets =
            [self.made_up(&RunMessage::Report(other)), self.made_up(&RunMessage::Report(report))];
        for packet in packets {
            bus.broadcast(self.index, &packet);
        }
    }

    fn say_again(&mut self, bus: &mut Bus) {
        let Some(liar) = &mut self.liar else { return };
        for _ in 0..3 {
            let at = liar.rng.random_range(0..liar.heard.len());
            let to = liar.rng.random_range(0..self.facts.liars.known());
            if to != self.facts.liars.identity(self.index) {
                let old = Packet::Run(Arc::new(liar.heard[at].clone()));
                bus.send(self.index, to, old);
            }
        }
    }

    /// Something with a broken signature; where nobody looks at those, a vote of somebody else.
    fn forge_message(&mut self, bus: &mut Bus) {
        let stewards = self.facts.scenario.cast.stewards;
        let Some(liar) = &mut self.liar else { return };
        if let Some(bytes) = liar.forged_vote(&self.facts, stewards) {
            let packet = Packet::Wire(Arc::new(bytes));
            self.send_to_some(bus, &packet, 0.5);
            return;
        }
        let at = liar.rng.random_range(0..liar.heard.len());
        let mut bytes = wire(&liar.heard[at], self.facts.run).to_bytes();
        let at = liar.rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << liar.rng.random_range(0..8);
        self.send_to_some(bus, &Packet::Wire(Arc::new(bytes)), 0.5);
    }

    /// Answers who asks for certificates from a round on, or nobody, with what are none.
    pub(super) fn hand_out_false_certificates(
        &mut self,
        bus: &mut Bus,
        asks: Option<(usize, u64)>,
    ) {
        let wanted = asks.and_then(|(_, round)| self.disk.certificates.get(&round)).cloned();
        let own = self.key.clone();
        let Some(liar) = &mut self.liar else { return };
        let stewards = &self.facts.spec.value().stewards;
        let forged = || liar.forged_certificate(&own, stewards).map(Arc::new);
        let Some(certificate) = wanted.or_else(forged) else { return };
        let bytes = falsified(&certificate, &mut liar.rng);
        let somebody = liar.rng.random_range(0..self.facts.liars.known());
        let to = asks.map_or(somebody, |(to, _)| to);
        if to != self.facts.liars.identity(self.index) {
            bus.send(self.index, to, Packet::Claims(Arc::new(vec![bytes])));
        }
    }

    /// What a liar made up, as bytes that others must open.
    fn made_up(&self, message: &RunMessage) -> Packet {
        Packet::Wire(Arc::new(wire(message, self.facts.run).to_bytes()))
    }
}
