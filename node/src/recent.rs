//! Messages of runs that were passed on lately.
//!
//! Invariants: bounded; what is said again is passed on again, but not at a liar's pace.
//! What it is not: a judge of what is in them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::FileHash;
use protocol::limits::MESSAGES_REMEMBERED_MAX;

use crate::clock::steady_ms;

/// How soon the same message of a run is passed on again.
const REPEAT_MS: u64 = 400;

/// Messages passed on lately: what is said again is passed on again, but not at a liar's pace.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<BTreeMap<FileHash, u64>>);

impl Recent {
    /// Whether a message was passed on just now.
    pub(crate) fn has(&self, message: FileHash) -> bool {
        self.lock().get(&message).is_some_and(|passed| steady_ms() < *passed + REPEAT_MS)
    }

    /// Notes that a verified message is passed on.
    pub(crate) fn note(&self, message: FileHash) {
        let now = steady_ms();
        let mut recent = self.lock();
        if recent.len() >= MESSAGES_REMEMBERED_MAX {
            recent.retain(|_, passed| now < *passed + REPEAT_MS);
        }
        if recent.len() < MESSAGES_REMEMBERED_MAX {
            recent.insert(message, now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<FileHash, u64>> {
        // A map of times is whole after a panic elsewhere.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
