//! The heads of all repos known: which revision each is at, and where history forked.
//!
//! Invariants: a head is on disk before it is reported as taken; two heads of one number stay both
//! and are shown as a fork. What it is not: the files.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::limits::{HEADS_PER_REPO_MAX, REPOS_MAX};
use protocol::manifest::Head;
use protocol::{OpenError, PublicKey, RevisionId, Signed};

use crate::store::{Store, StoreError};

/// Why a head was not taken, or no repo found.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// It does not open: no honest node sends it.
    #[error("not a repo head: {0}")]
    Open(#[from] OpenError),
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The text names no repo.
    #[error("{0:?} names no model: write OWNER/NAME or OWNER/NAME@REVISION")]
    Text(String),
    /// Nobody we know of has it.
    #[error("no node we know of has shared {0}: `accord models` lists what there is")]
    Unknown(String),
    /// Several owners fit.
    #[error("{0} fits several owners: write more digits of the owner's key")]
    Ambiguous(String),
}

/// One repo's heads by number; two of one number are a fork.
type Numbers = BTreeMap<u64, Vec<Signed<Head>>>;
/// Every repo, by owner and name.
type Repos = BTreeMap<(PublicKey, String), Numbers>;

/// Every repo's heads.
#[derive(Debug)]
pub(crate) struct HeadBook {
    repos: Mutex<Repos>,
    store: Store,
}

/// A head that a text names.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    /// The head.
    pub head: Signed<Head>,
    /// Another head of the same number exists.
    pub forked: bool,
}

impl HeadBook {
    /// Reads the heads from disk.
    pub(crate) fn open(store: Store) -> Result<Self, HeadError> {
        let book = Self { repos: Mutex::default(), store };
        for bytes in book.store.heads()? {
            let head = Signed::<Head>::open(&bytes)?;
            book.insert(&head);
        }
        Ok(book)
    }

    /// Takes a head from outside. Says whether it was news.
    pub(crate) fn take(&self, bytes: &[u8]) -> Result<bool, HeadError> {
        let head = Signed::<Head>::open(bytes)?;
        let new = self.insert(&head);
        if new {
            self.store.keep_head(&head)?;
        }
        Ok(new)
    }

    /// The newest head of every repo, sorted by owner and name, with whether it is forked.
    pub(crate) fn newest(&self) -> Vec<Resolved> {
        self.lock().values().filter_map(newest).collect()
    }

    /// The newest head of a repo.
    pub(crate) fn newest_of(&self, owner: PublicKey, name: &str) -> Option<Resolved> {
        self.lock().get(&(owner, name.to_owned())).and_then(newest)
    }

    /// All heads, as envelopes, in a fixed order.
    pub(crate) fn envelopes(&self) -> Vec<Vec<u8>> {
        let repos = self.lock();
        let heads = repos.values().flat_map(|numbers| numbers.values().flatten());
        heads.map(|head| head.bytes().to_vec()).collect()
    }

    /// How many repos there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// The head that `OWNER/NAME[@REVISION]` names; `me` is the owner `me`.
    pub(crate) fn resolve(&self, text: &str, me: PublicKey) -> Result<Resolved, HeadError> {
        let bad = || HeadError::Text(text.to_owned());
        let (path, revision) = match text.split_once('@') {
            Some((path, revision)) => (path, Some(revision)),
            None => (text, None),
        };
        let (owner, name) = path.split_once('/').ok_or_else(bad)?;
        if name.is_empty() || (owner != "me" && owner.len() < 8) {
            return Err(bad());
        }
        let fits = |key: &PublicKey| {
            if owner == "me" { *key == me } else { key.to_string().starts_with(owner) }
        };
        let repos = self.lock();
        let mut found = repos.iter().filter(|((key, of), _)| of == name && fits(key));
        let (_, numbers) = found.next().ok_or_else(|| HeadError::Unknown(text.to_owned()))?;
        if found.next().is_some() {
            return Err(HeadError::Ambiguous(text.to_owned()));
        }
        match revision {
            None => newest(numbers).ok_or_else(|| HeadError::Unknown(text.to_owned())),
            Some(revision) => {
                at_revision(numbers, revision).ok_or_else(|| HeadError::Unknown(text.to_owned()))
            }
        }
    }

    fn insert(&self, head: &Signed<Head>) -> bool {
        let key = (head.value().owner, head.value().name.clone());
        let mut repos = self.lock();
        if repos.len() >= REPOS_MAX && !repos.contains_key(&key) {
            return false;
        }
        let numbers = repos.entry(key).or_default();
        let heads = numbers.entry(head.value().seq).or_default();
        if heads.iter().any(|known| known.id() == head.id()) {
            return false;
        }
        heads.push(head.clone());
        // Two are a fork already; of more, everybody keeps the same two.
        heads.sort_by_key(Signed::id);
        heads.truncate(2);
        while numbers.len() > HEADS_PER_REPO_MAX {
            numbers.pop_first();
        }
        let kept = numbers.get(&head.value().seq);
        kept.is_some_and(|heads| heads.iter().any(|known| known.id() == head.id()))
    }

    fn lock(&self) -> MutexGuard<'_, Repos> {
        // The map only ever gains verified heads, so a panic elsewhere leaves it usable.
        self.repos.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn newest(numbers: &Numbers) -> Option<Resolved> {
    let (_, heads) = numbers.last_key_value()?;
    Some(Resolved { head: heads.first()?.clone(), forked: heads.len() > 1 })
}

fn at_revision(numbers: &Numbers, text: &str) -> Option<Resolved> {
    let by_number: Option<u64> = text.parse().ok().filter(|_| text.len() < 8);
    let fits = |head: &Signed<Head>| {
        let revision: RevisionId = head.value().revision;
        by_number == Some(head.value().seq)
            || (text.len() >= 8 && revision.to_string().starts_with(text))
    };
    numbers.values().rev().find_map(|heads| {
        let head = heads.iter().find(|head| fits(head))?;
        Some(Resolved { head: head.clone(), forked: heads.len() > 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::SecretKey;

    fn head(seq: u64, what: &[u8]) -> Signed<Head> {
        let key = SecretKey::from_seed(&[3; 32]);
        let value = Head {
            owner: key.public(),
            name: "digits".into(),
            seq,
            revision: RevisionId::of(what),
            manifest_bytes: 1,
            parents: vec![],
        };
        Signed::sign(value, &key)
    }

    #[test]
    fn the_newest_head_wins_and_a_fork_shows() {
        let dir = tempfile::tempdir().expect("a directory");
        let owner = head(1, b"a").signer();
        {
            let book = HeadBook::open(Store::open(dir.path()).expect("opened")).expect("read");
            assert!(book.take(head(1, b"a").bytes()).expect("taken"));
            assert!(book.take(head(2, b"b").bytes()).expect("taken"));
            assert!(!book.take(head(1, b"a").bytes()).expect("known"), "a replay is no news");
            assert!(book.take(b"garbage").is_err());
        }
        let book = HeadBook::open(Store::open(dir.path()).expect("opened")).expect("read");
        let found = book.resolve("me/digits", owner).expect("found");
        assert_eq!((found.head.value().seq, found.forked), (2, false));
        let old = format!("{}/digits@1", &owner.to_string()[..12]);
        assert_eq!(book.resolve(&old, owner).expect("found").head, head(1, b"a"));
        book.take(head(2, b"c").bytes()).expect("taken");
        assert!(book.resolve("me/digits", owner).expect("found").forked);
        let said = book.resolve("me/nothing", owner).expect_err("unknown").to_string();
        assert!(said.contains("no node we know of"), "{said}");
        assert!(matches!(book.resolve("digits", owner), Err(HeadError::Text(_))));
    }
}
