//! Metadata on disk: heads, runs and their journals, certificates, peers.
//!
//! Role: typed access over one small key-value trait, so that the engine can be changed in one place.
//!
//! Invariants: a write is durable when its method returns, all of it or nothing; after a write or
//! flush has failed, every later write is refused, because what the disk holds is no longer known.
//! What it is not: verification. What comes out was verified when it went in.

mod engine;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::codec;
use protocol::manifest::Head;
use protocol::round::{Certificate, Entry};
use protocol::{FileHash, PublicKey, RunId, Signed};
use serde::Serialize;
use serde::de::DeserializeOwned;

use engine::{Change, Engine, Sled, Tree};

/// Why metadata could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The engine could not open its files.
    #[error("cannot open the metadata in {0}: {1}")]
    Open(String, String),
    /// A read failed.
    #[error("cannot read metadata: {0}")]
    Read(String),
    /// A write or a flush failed.
    #[error("cannot write metadata: {0}; free some space and start the node again")]
    Write(String),
    /// An earlier write failed.
    #[error("metadata is read-only since a write failed; free some space and start the node again")]
    Poisoned,
    /// What was read is not what was written.
    #[error("metadata under {0} is damaged")]
    Damaged(&'static str),
}

/// A node's metadata; cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    engine: Arc<dyn Engine>,
    poisoned: Arc<AtomicBool>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("poisoned", &self.poisoned).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the metadata in `dir`, made if it is not there.
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { engine: Arc::new(Sled::open(dir)?), poisoned: Arc::default() })
    }

    /// Keeps a repo's head, and forgets those that make way for it.
    pub(crate) fn keep_head(
        &self,
        head: &Signed<Head>,
        leaving: impl IntoIterator<Item = FileHash>,
    ) -> Result<(), StoreError> {
        let key = |id: FileHash| id.as_bytes().to_vec();
        let leave = leaving.into_iter().map(|id| Change::Remove(Tree::Heads, key(id)));
        let put = Change::Put(Tree::Heads, key(head.id()), head.bytes().to_vec());
        self.write(leave.chain([put]).collect())
    }

    /// All heads kept, as envelopes.
    pub(crate) fn heads(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.values(Tree::Heads)
    }

    /// Keeps a run's announcement.
    pub(crate) fn keep_run(&self, run: RunId, spec: &[u8]) -> Result<(), StoreError> {
        self.put(Tree::Runs, run.as_bytes().to_vec(), spec.to_vec())
    }

    /// All announcements of runs.
    pub(crate) fn runs(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.values(Tree::Runs)
    }

    /// Appends entries to a run's journal at position `at` and the following; durable on return.
    /// A certificate among them also goes to the run's certificates.
    pub(crate) fn journal(&self, run: RunId, at: u64, entries: &[Entry]) -> Result<(), StoreError> {
        let mut changes = Vec::with_capacity(entries.len());
        for (entry, at) in entries.iter().zip(at..) {
            changes.push(Change::Put(Tree::Journal, run_key(run, at), codec::encode(entry)));
            if let Entry::Certificate(bytes) = entry {
                let certificate: Certificate =
                    codec::decode(bytes, protocol::limits::CERTIFICATE_BYTES_MAX)
                        .map_err(|_| StoreError::Damaged("certificates"))?;
                let key = run_key(run, certificate.record.round);
                changes.push(Change::Put(Tree::Certificates, key, bytes.clone()));
            }
        }
        self.write(changes)
    }

    /// Forgets a run's journal before position `end`.
    pub(crate) fn forget_journal(&self, run: RunId, end: u64) -> Result<(), StoreError> {
        let old = self.engine.scan(Tree::Journal, run.as_bytes())?;
        let before = run_key(run, end);
        let keys = old.into_iter().map(|(key, _)| key).filter(|key| *key < before);
        self.write(keys.map(|key| Change::Remove(Tree::Journal, key)).collect())
    }

    /// A run's journal with the position of its first entry.
    pub(crate) fn journal_of(&self, run: RunId) -> Result<(u64, Vec<Entry>), StoreError> {
        let pairs = self.engine.scan(Tree::Journal, run.as_bytes())?;
        let damaged = StoreError::Damaged("journal");
        let first = match pairs.first() {
            None => 0,
            Some((key, _)) => round_of(key).ok_or_else(|| damaged.clone())?,
        };
        let entries = pairs
            .iter()
            .map(|(_, value)| codec::decode(value, usize::MAX).map_err(|_| damaged.clone()))
            .collect::<Result<_, _>>()?;
        Ok((first, entries))
    }

    /// A run's certificates from `round` on, at most `count`.
    pub(crate) fn certificates(
        &self,
        run: RunId,
        round: u64,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut found = Vec::new();
        for round in (round..=u64::MAX).take(count) {
            match self.engine.read(Tree::Certificates, &run_key(run, round))? {
                Some(bytes) => found.push(bytes),
                None => break,
            }
        }
        Ok(found)
    }

    /// Keeps what this node noted of a round of a run under a name of ours, as JSON.
    pub(crate) fn keep_note<T: Serialize>(
        &self,
        run: RunId,
        round: u64,
        name: &'static str,
        note: &T,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_vec(note).map_err(|e| StoreError::Write(e.to_string()))?;
        self.put(Tree::Notes, note_key(run, round, name), json)
    }

    /// What this node noted of a round.
    pub(crate) fn note<T: DeserializeOwned>(
        &self,
        run: RunId,
        round: u64,
        name: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let json = self.engine.read(Tree::Notes, &note_key(run, round, name))?;
        json.map(|json| serde_json::from_slice(&json).map_err(|_| StoreError::Damaged("notes")))
            .transpose()
    }

    /// Keeps the data file that this node trains on in a run, or forgets it.
    pub(crate) fn keep_part(&self, run: RunId, data: Option<&str>) -> Result<(), StoreError> {
        let key = run.as_bytes().to_vec();
        let change = match data {
            Some(data) => Change::Put(Tree::Parts, key, data.as_bytes().to_vec()),
            None => Change::Remove(Tree::Parts, key),
        };
        self.write(vec![change])
    }

    /// The data file that this node trains on in a run.
    pub(crate) fn part(&self, run: RunId) -> Result<Option<String>, StoreError> {
        let data = self.engine.read(Tree::Parts, run.as_bytes())?;
        data.map(|data| String::from_utf8(data).map_err(|_| StoreError::Damaged("parts")))
            .transpose()
    }

    /// Keeps where a peer was reached.
    pub(crate) fn keep_peer(
        &self,
        peer: PublicKey,
        addresses: &[String],
    ) -> Result<(), StoreError> {
        self.put(Tree::Peers, peer.as_bytes().to_vec(), codec::encode(&addresses))
    }

    /// Where peers were reached, all addresses.
    pub(crate) fn peers(&self) -> Result<Vec<String>, StoreError> {
        let mut all = Vec::new();
        for value in self.values(Tree::Peers)? {
            let addresses: Vec<String> =
                codec::decode(&value, 1 << 16).map_err(|_| StoreError::Damaged("peers"))?;
            all.extend(addresses);
        }
        Ok(all)
    }

    fn values(&self, tree: Tree) -> Result<Vec<Vec<u8>>, StoreError> {
        Ok(self.engine.scan(tree, &[])?.into_iter().map(|(_, value)| value).collect())
    }

    fn put(&self, tree: Tree, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        self.write(vec![Change::Put(tree, key, value)])
    }

    /// As after a write that failed.
    #[cfg(test)]
    pub(crate) fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(StoreError::Poisoned);
        }
        let done = self.engine.write(changes).and_then(|()| self.engine.flush());
        if done.is_err() {
            self.poisoned.store(true, Ordering::Release);
        }
        done
    }
}

fn run_key(run: RunId, number: u64) -> Vec<u8> {
    [run.as_bytes().as_slice(), &number.to_be_bytes()].concat()
}

fn note_key(run: RunId, round: u64, name: &'static str) -> Vec<u8> {
    [run_key(run, round).as_slice(), name.as_bytes()].concat()
}

fn round_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*key.get(32..)?.first_chunk::<8>()?))
}

#[cfg(test)]
mod tests {
    use super::engine::Pairs;
    use super::*;

    struct Full;

    impl Engine for Full {
        fn read(&self, _: Tree, _: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(None)
        }
        fn scan(&self, _: Tree, _: &[u8]) -> Result<Pairs, StoreError> {
            Ok(Vec::new())
        }
        fn write(&self, _: Vec<Change>) -> Result<(), StoreError> {
            Ok(())
        }
        fn flush(&self) -> Result<(), StoreError> {
            Err(StoreError::Write("no space left on device".into()))
        }
    }

    #[test]
    fn after_a_failed_flush_nothing_is_written() {
        let store = Store { engine: Arc::new(Full), poisoned: Arc::default() };
        let run = RunId::of(b"run");
        assert!(matches!(store.keep_part(run, Some("x")), Err(StoreError::Write(_))));
        assert!(matches!(store.keep_part(run, Some("x")), Err(StoreError::Poisoned)));
    }

    #[test]
    fn what_was_kept_is_there_after_opening_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let run = RunId::of(b"run");
        let entry = |round| Entry::Step { round, step: protocol::round::Step::Start };
        let long = "x".repeat(1 << 20);
        {
            let store = Store::open(dir.path()).expect("opened");
            store.journal(run, 0, &[entry(1), entry(2)]).expect("kept");
            store.journal(run, 2, &[entry(3)]).expect("kept");
            store.keep_part(run, Some("data.csv")).expect("kept");
            store.forget_journal(run, 1).expect("forgotten");
            store.forget_journal(run, 1).expect("there is nothing to forget");
            // Too long for sled's log: it goes to a file of its own.
            store.keep_note(run, 1, "long", &long).expect("kept");
        }
        let store = Store::open(dir.path()).expect("opened");
        assert_eq!(store.journal_of(run).expect("read"), (1, vec![entry(2), entry(3)]));
        assert_eq!(store.part(run).expect("read").as_deref(), Some("data.csv"));
        assert_eq!(store.note(run, 1, "long").expect("read"), Some(long));
        assert_eq!(store.journal_of(RunId::of(b"other")).expect("read"), (0, vec![]));
    }
}
