//! The key-value engine under the metadata: a small trait, and sled behind it.
//!
//! Invariants: a write is applied whole or not at all; what was written before a flush survives a
//! power cut once it has returned. What it is not: typed, or the judge of what a failure means.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sled::Transactional;
use sled::transaction::TransactionError;

use super::StoreError;

/// A group of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tree {
    Heads,
    Runs,
    Journal,
    Certificates,
    Notes,
    Peers,
    Parts,
}

impl Tree {
    const fn name(self) -> &'static str {
        match self {
            Self::Heads => "heads",
            Self::Runs => "runs",
            Self::Journal => "journal",
            Self::Certificates => "certificates",
            Self::Notes => "notes",
            Self::Peers => "peers",
            Self::Parts => "parts",
        }
    }
}

/// One change of a batch.
pub(super) enum Change {
    Put(Tree, Vec<u8>, Vec<u8>),
    Remove(Tree, Vec<u8>),
}

/// What the store wants of a key-value engine.
pub(super) trait Engine: Send + Sync {
    fn read(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// All pairs whose key begins with `prefix`, in key order.
    fn scan(&self, tree: Tree, prefix: &[u8]) -> Result<Pairs, StoreError>;
    /// Applies the changes, all or none. No key is named twice.
    fn write(&self, changes: Vec<Change>) -> Result<(), StoreError>;
    /// Makes everything written durable.
    fn flush(&self) -> Result<(), StoreError>;
}

pub(super) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// sled, made to flush through to the disk.
pub(super) struct Sled {
    db: sled::Db,
    /// sled's log once more, see `sync`.
    log: File,
    /// Where sled puts long values.
    values: PathBuf,
    /// Those of its files that were flushed.
    synced: Mutex<BTreeSet<OsString>>,
}

impl Sled {
    /// Opens the database in `dir`, made if it is not there.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let failed = |reason: String| StoreError::Open(dir.display().to_string(), reason);
        let db = sled::Config::new()
            .path(dir)
            .cache_capacity(64 << 20)
            .flush_every_ms(None)
            .open()
            .map_err(|e| failed(e.to_string()))?;
        let log = File::open(dir.join("db")).map_err(|e| failed(e.to_string()))?;
        let sled = Self { db, log, values: dir.join("blobs"), synced: Mutex::default() };
        // The names of its files must outlive a power cut, too.
        crate::home::sync_dir(dir).map_err(|e| failed(e.to_string()))?;
        Ok(sled)
    }

    fn tree(&self, tree: Tree) -> Result<sled::Tree, sled::Error> {
        self.db.open_tree(tree.name())
    }

    /// Flushes to the disk what sled has flushed to the system. On Linux it hands its log over with
    /// `sync_file_range`, which flushes neither the file's length nor the disk's own cache, and values
    /// that are too long for the log it leaves to the system everywhere.
    fn sync(&self) -> io::Result<()> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        let mut there = BTreeSet::new();
        for entry in fs::read_dir(&self.values)? {
            let entry = entry?;
            if !synced.contains(&entry.file_name()) {
                match File::open(entry.path()) {
                    Ok(file) => file.sync_data()?,
                    // sled has dropped it meanwhile.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    Err(e) => return Err(e),
                }
            }
            there.insert(entry.file_name());
        }
        if !there.is_subset(&synced) {
            crate::home::sync_dir(&self.values)?;
        }
        *synced = there;
        if cfg!(target_os = "linux") { self.log.sync_data() } else { Ok(()) }
    }
}

impl Engine for Sled {
    fn read(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let read = |e: sled::Error| StoreError::Read(e.to_string());
        Ok(self.tree(tree).map_err(read)?.get(key).map_err(read)?.map(|value| value.to_vec()))
    }

    fn scan(&self, tree: Tree, prefix: &[u8]) -> Result<Pairs, StoreError> {
        let read = |e: sled::Error| StoreError::Read(e.to_string());
        self.tree(tree)
            .map_err(read)?
            .scan_prefix(prefix)
            .map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(read))
            .collect()
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let write = |e: sled::Error| StoreError::Write(e.to_string());
        let mut batches = BTreeMap::<Tree, sled::Batch>::new();
        for change in changes {
            match change {
                Change::Put(tree, key, value) => {
                    batches.entry(tree).or_default().insert(key, value);
                }
                Change::Remove(tree, key) => batches.entry(tree).or_default().remove(key),
            }
        }
        let trees: Vec<sled::Tree> =
            batches.keys().map(|tree| self.tree(*tree)).collect::<Result<_, _>>().map_err(write)?;
        if let ([tree], Some((_, batch))) = (trees.as_slice(), batches.first_key_value()) {
            return tree.apply_batch(batch.clone()).map_err(write);
        }
        if trees.is_empty() {
            return Ok(());
        }
        let done = trees.as_slice().transaction(|trees| {
            for (tree, batch) in trees.iter().zip(batches.values()) {
                tree.apply_batch(batch)?;
            }
            Ok(())
        });
        done.map_err(|error: TransactionError<()>| match error {
            TransactionError::Storage(error) => write(error),
            TransactionError::Abort(()) => StoreError::Write("nothing aborts this".into()),
        })
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(|e| StoreError::Write(e.to_string()))?;
        self.sync().map_err(|e| StoreError::Write(e.to_string()))
    }
}
