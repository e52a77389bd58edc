//! The checker: sees everything that is written and sent, and holds it against the rules.
//!
//! Invariants: it judges by its own copies, with the product's functions over the library's bytes,
//! never by what a node says of itself. What it is not: able to change anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::round::check::Base;
use protocol::round::{
    Cause, Certificate, Entry, Report, Reported, RoundRecord, RunMessage, Step, Tip, UpdateCommit,
    Wire, commit_id,
};
use protocol::{CommitId, FileHash, Frontier, PublicKey, RoundId, Signed};

use super::bus::Outcome;
use super::counts::Counts;
use super::facts::Facts;
use super::library::Library;
use super::packet::wire;
use super::recompute::find;
use super::report::{Rule, Violation};
use super::twin::{Slot, Twin, slot};

/// Of so many places in journals one is looked at with a twin: it replays signatures, which is most
/// of what a simulated run costs.
const TWINS_IN: usize = 4;

/// Who sends, and what would be left of it after a crash right now.
#[derive(Debug)]
pub(super) struct Sender<'a> {
    pub(super) node: usize,
    pub(super) journal: &'a [Entry],
    /// Its own steady clock.
    pub(super) now_ms: u64,
}

/// Everything seen so far.
#[derive(Debug)]
pub(super) struct Checker {
    pub(super) facts: Arc<Facts>,
    certified: BTreeMap<u64, RoundId>,
    /// Records proposed so far.
    pub(super) proposed: BTreeMap<RoundId, RoundRecord>,
    /// What every record voted for or certified comes to, recomputed from the start of the run.
    pub(super) outcomes: BTreeMap<RoundId, Base>,
    /// Certificates that verified, by hash, with their rounds.
    certificates: BTreeMap<FileHash, u64>,
    /// How far each node has come.
    chains: BTreeMap<usize, u64>,
    /// Hashes of messages that passed every check.
    passed: BTreeSet<(usize, FileHash)>,
    commits: BTreeMap<(PublicKey, u64), CommitId>,
    slots: BTreeMap<Slot, FileHash>,
    /// What the last sender would say after a crash, with its round and the length of its journal.
    twin: Option<((usize, u64, usize), Twin)>,
    pub(super) attempt_max: u64,
    pub(super) counts: Counts,
}

impl Checker {
    pub(super) fn new(facts: Arc<Facts>) -> Self {
        let [weights, outer, frontier] = facts.blobs.as_slice() else {
            unreachable!("facts make three blobs")
        };
        let required = Frontier::from_bytes(frontier).expect("made here");
        let [weights, outer] = [weights, outer].map(|bytes| Arc::new(bytes.clone()));
        let base = Base::new(facts.start(), weights, outer, required).expect("made here");
        Self {
            facts,
            certified: BTreeMap::new(),
            proposed: BTreeMap::new(),
            outcomes: BTreeMap::from([(base.tip.id, base)]),
            certificates: BTreeMap::new(),
            chains: BTreeMap::new(),
            passed: BTreeSet::new(),
            commits: BTreeMap::new(),
            slots: BTreeMap::new(),
            twin: None,
            attempt_max: 0,
            counts: Counts::default(),
        }
    }

    /// The ids of the certified records, in order.
    pub(super) fn chain(&self) -> Vec<RoundId> {
        self.certified.values().copied().collect()
    }

    /// Rounds certified so far.
    pub(super) fn rounds(&self) -> u64 {
        self.certified.len() as u64
    }

    /// A node journals a certificate.
    pub(super) fn certified(&mut self, library: &Library, node: usize, bytes: &[u8]) -> Outcome {
        let hash = FileHash::of(bytes);
        if let Some(round) = self.certificates.get(&hash) {
            return self.follows(node, *round);
        }
        let bad = |error: String| {
            Violation::new(Rule::Opens, format!("n{node} journals a bad certificate: {error}"))
        };
        let certificate =
            Certificate::open(bytes, self.facts.run).map_err(|error| bad(error.to_string()))?;
        let before = self.outcomes.get(&certificate.record.prev);
        let before = before.ok_or_else(|| bad("it follows nothing".into()))?;
        certificate
            .check(self.facts.spec.value(), before.tip.roster.stewards())
            .map_err(|error| bad(error.to_string()))?;
        let record = certificate.record;
        let (round, id) = (record.round, record.id());
        self.certificates.insert(hash, round);
        self.follows(node, round)?;
        match self.certified.insert(round, id) {
            Some(known) if known == id => return Ok(()),
            Some(known) => {
                let what = format!("r{round} is {known:?} and, on n{node}, {id:?}");
                return Err(Violation::new(Rule::OneRecord, what));
            }
            None => self.count_record(library, &record),
        }
        // A steward that starts again may decide by its journal, before it has proposed to anyone.
        self.proposed.insert(id, record.clone());
        let outcome = self.recompute(library, &record)?;
        if !library.reaches(&outcome.required) {
            let what = format!("r{round} binds a ledger that nobody can have");
            return Err(Violation::new(Rule::Consent, what));
        }
        self.outcomes.insert(id, outcome);
        Ok(())
    }

    fn count_record(&mut self, library: &Library, record: &RoundRecord) {
        for rejected in &record.rejected {
            self.counts.note(&format!("rejected: {:?}", rejected.reason));
        }
        self.counts.add("report named", record.found.reports.len() as u64);
        self.counts.add("alike", record.found.alike.len() as u64);
        let charged = record.parts.changes.iter().filter(|change| change.cause == Cause::Partial);
        self.counts.add("removed for a false slice", charged.count() as u64);
        for entry in &record.accepted {
            let used = find(library, entry.commit).map(|found| found.commit.value().data.used);
            if used > Some(entry.weight) && self.facts.is_liars(entry.trainer) {
                self.counts.note("weight capped");
            }
        }
    }

    /// A liar says something through its `Round`: nothing that it is held to.
    pub(super) fn hears_liar(&mut self, message: &RunMessage) {
        if let RunMessage::Proposal(proposal) = message {
            let record = &proposal.value().record;
            self.proposed.insert(record.id(), record.clone());
        }
    }

    /// A node's certificates come in order; after a crash it may say the last one again.
    fn follows(&mut self, node: usize, round: u64) -> Outcome {
        let before = self.chains.entry(node).or_insert(0);
        if round > *before + 1 {
            let what = format!("n{node} goes from r{before} to r{round}");
            return Err(Violation::new(Rule::OneRecord, what));
        }
        *before = round.max(*before);
        Ok(())
    }

    /// A node sends a message of the run.
    pub(super) fn sent(
        &mut self,
        library: &Library,
        sender: &Sender<'_>,
        message: &RunMessage,
    ) -> Outcome {
        let bytes = wire(message, self.facts.run).to_bytes();
        let hash = FileHash::of(&bytes);
        if self.passed.contains(&(sender.node, hash)) {
            return Ok(());
        }
        let opened = Wire::from_bytes(&bytes)
            .map_err(|error| error.to_string())
            .and_then(|wire| wire.open().map_err(|e| e.to_string()));
        if opened.as_ref() != Ok(message) {
            let what = format!("n{} says what does not open: {:?}", sender.node, opened.err());
            return Err(Violation::new(Rule::Opens, what));
        }
        match message {
            RunMessage::Presence(word) => {
                let said = |entry: &Entry| match entry {
                    Entry::Participate { said_ms, .. } => *said_ms == word.value().said_ms,
                    _ => false,
                };
                journaled(sender, "its presence", sender.journal.iter().any(said))?;
            }
            RunMessage::Commit(commit) => self.commit_sent(library, sender, commit)?,
            RunMessage::Proposal(_) | RunMessage::Vote(_) => {
                let slot = slot(message).expect("a proposal or a vote has a place");
                // A liar's may be passed on.
                if !self.facts.is_liars(slot.0) {
                    self.vouch(library, sender, message)?;
                }
                self.attempt_max = self.attempt_max.max(slot.2.into());
                self.says_once(sender, slot, hash)?;
                if slot.0 == self.facts.keys[sender.node].public() {
                    self.would_say_again(sender, slot.1, hash)?;
                } else {
                    journaled(sender, "what it passes on", has_heard(sender, message))?;
                }
            }
            RunMessage::Certificate(_) => {}
            RunMessage::Motion(motion) => {
                let entry = Entry::Motion(motion.bytes().to_vec());
                let own = motion.signer() == self.facts.keys[sender.node].public();
                journaled(sender, "its motion", !own || sender.journal.contains(&entry))?;
            }
            RunMessage::Evidence(_, pair) => {
                let entry = Entry::Evidence(pair.to_bytes());
                journaled(sender, "the proof", sender.journal.contains(&entry))?;
            }
            RunMessage::Report(report) => self.report_sent(sender, report)?,
            RunMessage::Slate(_) => {}
            RunMessage::Partial(partial) => self.partial_sent(library, sender, partial)?,
        }
        self.passed.insert((sender.node, hash));
        Ok(())
    }

    /// An honest auditor says what it was to look at, of a round that is certified.
    fn report_sent(&self, sender: &Sender<'_>, report: &Signed<Report>) -> Outcome {
        let audits = self.facts.spec.value().rounds.audits;
        let certified = self.certified.get(&report.value().round);
        let record = certified.and_then(|id| self.proposed.get(id));
        let asked = record.map(|record| Reported::of(report, record, audits));
        match asked {
            Some(Ok(_)) => Ok(()),
            other => {
                let what =
                    format!("n{} reports what it was not to look at: {other:?}", sender.node);
                Err(Violation::new(Rule::Asked, what))
            }
        }
    }

    fn commit_sent(
        &mut self,
        library: &Library,
        sender: &Sender<'_>,
        commit: &Signed<UpdateCommit>,
    ) -> Outcome {
        let (round, id) = (commit.value().round, commit_id(commit));
        let first = *self.commits.entry((commit.signer(), round)).or_insert(id);
        if first != id {
            let what = format!("n{} commits to {first:?} and {id:?} in r{round}", sender.node);
            return Err(Violation::new(Rule::SignedOnce, what));
        }
        let entry = Entry::Commit(commit.bytes().to_vec());
        journaled(sender, "its commit", sender.journal.contains(&entry))?;
        let known = library.frontier(&commit.value().data.frontier);
        let known =
            known.ok_or_else(|| Violation::new(Rule::Consent, "a frontier without bytes"))?;
        match library.misused(commit, &known) {
            None => Ok(()),
            Some(work) => {
                let what = format!("n{} uses {work:?}, which it knows is refused", sender.node);
                Err(Violation::new(Rule::Consent, what))
            }
        }
    }

    fn says_once(&mut self, sender: &Sender<'_>, slot: Slot, hash: FileHash) -> Outcome {
        // What liars said in one place may be passed on as both.
        let honest = !self.facts.is_liars(slot.0);
        if !honest || *self.slots.entry(slot).or_insert(hash) == hash {
            return Ok(());
        }
        let (_, round, attempt, phase) = slot;
        let what = format!("n{} says two things in r{round} a{attempt} {phase:?}", sender.node);
        Err(Violation::new(Rule::SignedOnce, what))
    }

    /// A proposal, or a vote for one: the record must hold, whether or not it is certified later.
    fn vouch(&mut self, library: &Library, sender: &Sender<'_>, message: &RunMessage) -> Outcome {
        let id = match message {
            RunMessage::Proposal(proposal) => {
                let record = &proposal.value().record;
                self.proposed.insert(record.id(), record.clone());
                record.id()
            }
            RunMessage::Vote(vote) => match vote.value().record {
                Some(id) => id,
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        let Some(record) = self.proposed.get(&id) else {
            let what = format!("n{} votes for a record that nobody proposed", sender.node);
            return Err(Violation::new(Rule::Recomputes, what));
        };
        if !self.outcomes.contains_key(&id) {
            let outcome = self.recompute(library, record)?;
            self.outcomes.insert(id, outcome);
        }
        Ok(())
    }

    /// Whether the sender, crashing now, would say the same again when it starts.
    fn would_say_again(&mut self, sender: &Sender<'_>, round: u64, hash: FileHash) -> Outcome {
        // Where journals are cut in place, their lengths come again.
        let place = (sender.node, round, sender.journal.len());
        if !(sender.node + sender.journal.len()).is_multiple_of(TWINS_IN) {
            return Ok(());
        }
        if self.twin.as_ref().is_none_or(|(at, _)| *at != place) {
            let twin = Twin::of(&self.facts, sender, self.newest(sender));
            for (slot, said) in &twin.slots {
                if self.slots.get(slot).is_some_and(|known| known != said) {
                    let what = format!("n{} would contradict itself after a crash", sender.node);
                    return Err(Violation::new(Rule::SignedOnce, what));
                }
            }
            self.twin = Some((place, twin));
        }
        let again = self.twin.as_ref().is_some_and(|(_, twin)| twin.covers(round, hash));
        journaled(sender, "what made it speak", again)
    }

    /// The tip that a certified record makes.
    pub(super) fn tip(&self, record: &RoundId) -> Option<&Tip> {
        self.outcomes.get(record).map(|base| &base.tip)
    }

    /// The tip that the newest certificate in the sender's journal makes.
    fn newest(&self, sender: &Sender<'_>) -> Option<&Tip> {
        let bytes = sender.journal.iter().rev().find_map(|entry| match entry {
            Entry::Certificate(bytes) => Some(bytes),
            _ => None,
        })?;
        let round = self.certificates.get(&FileHash::of(bytes))?;
        Some(&self.outcomes.get(self.certified.get(round)?)?.tip)
    }
}

/// Whether a vote of somebody else is in the sender's journal.
fn has_heard(sender: &Sender<'_>, message: &RunMessage) -> bool {
    let RunMessage::Vote(vote) = message else { return false };
    let heard = Step::Vote { bytes: vote.bytes().to_vec() };
    sender.journal.iter().any(|entry| matches!(entry, Entry::Step { step, .. } if *step == heard))
}

fn journaled(sender: &Sender<'_>, what: &str, holds: bool) -> Outcome {
    if holds {
        return Ok(());
    }
    let what = format!("n{} speaks before {what} is durable", sender.node);
    Err(Violation::new(Rule::DurableFirst, what))
}
