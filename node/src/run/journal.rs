//! A run's journal on disk.
//!
//! Invariants: entries are durable, in order, when `save` returns; what a restart does not need is
//! dropped now and then, after what replaces it is durable. What it is not: the chain of
//! certificates, which is kept beside it.

use protocol::RunId;
use protocol::round::{Entry, Tip, compacted};

use crate::store::{Store, StoreError};

/// Entries after which what a restart does not need is dropped.
const ENTRIES_MAX: u64 = 4_096;

#[derive(Debug)]
pub(super) struct Journal {
    store: Store,
    run: RunId,
    /// The first position and the one after the last.
    start: u64,
    end: u64,
    unsaved: Vec<Entry>,
    /// A round was certified since this was compacted.
    certified: bool,
}

impl Journal {
    /// The journal and what is in it.
    pub(super) fn open(store: Store, run: RunId) -> Result<(Self, Vec<Entry>), StoreError> {
        let (start, entries) = store.journal_of(run)?;
        let end = start + entries.len() as u64;
        Ok((Self { store, run, start, end, unsaved: Vec::new(), certified: false }, entries))
    }

    /// Adds an entry, to be saved.
    pub(super) fn append(&mut self, entry: Entry) {
        self.unsaved.push(entry);
    }

    /// Makes everything added durable.
    pub(super) fn save(&mut self) -> Result<(), StoreError> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        let entries = std::mem::take(&mut self.unsaved);
        tokio::task::block_in_place(|| self.store.journal(self.run, self.end, &entries))?;
        self.end += entries.len() as u64;
        self.certified |= entries.iter().any(|entry| matches!(entry, Entry::Certificate(_)));
        Ok(())
    }

    /// Drops what a restart does not need, if that is much and a round was certified since. Everything is
    /// saved, and `tip` is what it leads to.
    pub(super) fn settle(&mut self, tip: &Tip) -> Result<(), StoreError> {
        let long = self.end - self.start >= ENTRIES_MAX;
        if long && std::mem::take(&mut self.certified) {
            return tokio::task::block_in_place(|| self.compact(tip));
        }
        Ok(())
    }

    fn compact(&mut self, tip: &Tip) -> Result<(), StoreError> {
        let (_, entries) = self.store.journal_of(self.run)?;
        let kept = compacted(&entries, tip);
        self.start = self.end;
        self.store.journal(self.run, self.start, &kept)?;
        self.store.forget_journal(self.run, self.start)?;
        self.end += kept.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::round::Step;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_saved_is_there_again_and_what_was_not_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).expect("opened");
        let run = RunId::of(b"run");
        let entry = |round| Entry::Step { round, step: Step::Start };
        let (mut journal, entries) = Journal::open(store.clone(), run).expect("opened");
        assert!(entries.is_empty());
        journal.append(entry(1));
        journal.append(entry(2));
        journal.save().expect("saved");
        journal.append(entry(3));
        let (_, entries) = Journal::open(store, run).expect("opened");
        assert_eq!(entries, [entry(1), entry(2)]);
    }
}
