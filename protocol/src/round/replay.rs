//! A node that starts again from its journal.
//!
//! Invariants: entries are applied without effects, which happened, or happen again by saying things again; a
//! certificate in the journal is verified again. What it is not: reading the journal.

use super::change::Motion;
use super::commit::UpdateCommit;
use super::effect::Entry;
use super::equivocation::Equivocation;
use super::machine::Round;
use super::record::Certificate;
use super::tip::Tip;
use crate::envelope::Signed;
use crate::key::SecretKey;
use crate::run::RunSpec;

/// What of a journal a restart needs: the tip in the place of all that led to it, and what is not said
/// and done with yet. `tip` is the one that the newest certificate in the journal makes.
pub fn compacted(entries: &[Entry], tip: &Tip) -> Vec<Entry> {
    let is_certificate = |entry: &Entry| matches!(entry, Entry::Certificate(_));
    let Some(newest) = entries.iter().rposition(is_certificate) else { return entries.to_vec() };
    let (old, new) = entries.split_at(newest);
    let word = old.iter().rfind(|entry| matches!(entry, Entry::Participate { .. }));
    let is_open = |entry: &&Entry| matches!(entry, Entry::Motion(_) | Entry::Evidence(_));
    let commit = old.iter().rfind(|entry| matches!(entry, Entry::Commit(_)));
    // A commit is taken again if it fits: it is one of the round before, which may still count.
    let tip = Entry::Tip(Box::new(tip.clone()));
    let kept = word.into_iter().chain(old.iter().filter(is_open)).cloned();
    kept.chain([tip]).chain(commit.cloned()).chain(new.iter().cloned()).collect()
}

impl Round {
    /// A node that starts again from its journal.
    pub fn restore(
        spec: Signed<RunSpec>,
        key: SecretKey,
        entries: impl IntoIterator<Item = Entry>,
        now_ms: u64,
    ) -> Self {
        let mut round = Self::new(spec, key, now_ms);
        for entry in entries {
            round.replay(entry, now_ms);
        }
        round
    }

    fn replay(&mut self, entry: Entry, now_ms: u64) {
        match entry {
            Entry::Participate { joined, said_ms } => {
                self.say(joined, said_ms);
            }
            Entry::Commit(bytes) => {
                let Ok(commit) = Signed::<UpdateCommit>::open(&bytes) else { return };
                if commit.value().base == self.tip.id {
                    self.part.commit = Some(commit);
                } else if self.tip.takes_late(&commit) {
                    self.part.late = Some(commit);
                }
            }
            Entry::Step { round, step } => {
                if let Some(bench) = self.bench.as_mut().filter(|_| round == self.tip.round + 1) {
                    bench.replay(now_ms, &step);
                }
            }
            Entry::Tip(tip) => {
                self.tip = *tip;
                self.open(now_ms);
            }
            Entry::Certificate(bytes) => {
                let Ok(certificate) = Certificate::open(&bytes, self.run) else { return };
                if let Some(tip) = self.follows(&certificate) {
                    self.move_to(now_ms, certificate, tip);
                } else if certificate.record.id() == self.tip.id {
                    if self.bench.is_some() {
                        self.docket.certified(certificate.record.clone());
                    }
                    self.newest = Some(certificate);
                }
            }
            Entry::Motion(bytes) => {
                if let Ok(motion) = Signed::<Motion>::open(&bytes) {
                    self.docket.moved(&self.tip.roster, &motion);
                }
            }
            Entry::Evidence(bytes) => {
                if let Ok((of, pair)) = Equivocation::open(&bytes, self.run) {
                    self.docket.charge(&self.tip.roster, of, pair);
                }
            }
        }
    }
}
