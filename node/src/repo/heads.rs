//! The heads of all repos known: which revision each is at, and where history forked.
//!
//! Invariants: a head is on disk before it is known to anyone; two heads of one number stay both and
//! are shown as a fork; what is dropped here is dropped on disk. What it is not: the files.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::limits::{HEADS_MAX, HEADS_PER_REPO_MAX};
use protocol::manifest::Head;
use protocol::{FileHash, OpenError, PublicKey, RevisionId, Signed};

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
#[derive(Debug, Default)]
struct Repos {
    by_name: BTreeMap<(PublicKey, String), Numbers>,
    /// Heads in all of them.
    count: usize,
}

/// A repo's heads once one more is taken, and those that make way for it.
struct Taken {
    numbers: Numbers,
    leaving: Vec<FileHash>,
}

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
        let mut repos = Repos::default();
        for bytes in store.heads()? {
            let head = Signed::<Head>::open(&bytes)?;
            if let Some(taken) = repos.with(&head) {
                repos.put(&head, taken);
            }
        }
        Ok(Self { repos: Mutex::new(repos), store })
    }

    /// Takes a head from outside. Says whether it was news; it is none if there is no room.
    pub(crate) fn take(&self, bytes: &[u8]) -> Result<bool, HeadError> {
        let head = Signed::<Head>::open(bytes)?;
        let mut repos = self.lock();
        if repos.count >= HEADS_MAX {
            return Ok(false);
        }
        self.keep(&mut repos, &head)
    }

    /// Takes a head that was signed here, for which there is always room.
    pub(crate) fn take_own(&self, head: &Signed<Head>) -> Result<bool, HeadError> {
        self.keep(&mut self.lock(), head)
    }

    fn keep(&self, repos: &mut Repos, head: &Signed<Head>) -> Result<bool, HeadError> {
        let Some(taken) = repos.with(head) else { return Ok(false) };
        self.store.keep_head(head, taken.leaving.iter().copied())?;
        repos.put(head, taken);
        Ok(true)
    }

    /// The newest head of every repo, sorted by owner and name, with whether it is forked.
    pub(crate) fn newest(&self) -> Vec<Resolved> {
        self.lock().by_name.values().filter_map(newest).collect()
    }

    /// The newest head of a repo.
    pub(crate) fn newest_of(&self, owner: PublicKey, name: &str) -> Option<Resolved> {
        self.lock().by_name.get(&(owner, name.to_owned())).and_then(newest)
    }

    /// All heads, as envelopes, in a fixed order.
    pub(crate) fn envelopes(&self) -> Vec<Vec<u8>> {
        let repos = self.lock();
        let heads = repos.by_name.values().flat_map(|numbers| numbers.values().flatten());
        heads.map(|head| head.bytes().to_vec()).collect()
    }

    /// How many repos there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().by_name.len()
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
        let mut found = repos.by_name.iter().filter(|((key, of), _)| of == name && fits(key));
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

    fn lock(&self) -> MutexGuard<'_, Repos> {
        // The map only ever gains verified heads, so a panic elsewhere leaves it usable.
        self.repos.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Repos {
    /// The head's repo with it; nothing if it is there already or makes way itself.
    fn with(&self, head: &Signed<Head>) -> Option<Taken> {
        let mut numbers = self.by_name.get(&key(head)).cloned().unwrap_or_default();
        let heads = numbers.entry(head.value().seq).or_default();
        if heads.iter().any(|known| known.id() == head.id()) {
            return None;
        }
        heads.push(head.clone());
        // Two are a fork already; of more, everybody keeps the same two.
        heads.sort_by_key(Signed::id);
        let mut leaving: Vec<FileHash> =
            heads.drain(2.min(heads.len())..).map(|h| h.id()).collect();
        while numbers.values().map(Vec::len).sum::<usize>() > HEADS_PER_REPO_MAX {
            let oldest = numbers.pop_first()?;
            leaving.extend(oldest.1.iter().map(Signed::id));
        }
        (!leaving.contains(&head.id())).then_some(Taken { numbers, leaving })
    }

    fn put(&mut self, head: &Signed<Head>, taken: Taken) {
        self.count = self.count + 1 - taken.leaving.len();
        self.by_name.insert(key(head), taken.numbers);
    }
}

fn key(head: &Signed<Head>) -> (PublicKey, String) {
    (head.value().owner, head.value().name.clone())
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

    #[test]
    fn what_makes_way_leaves_the_disk_too() {
        let dir = tempfile::tempdir().expect("a directory");
        let most = HEADS_PER_REPO_MAX as u64;
        let kept = {
            let store = Store::open(dir.path()).expect("opened");
            let book = HeadBook::open(store.clone()).expect("read");
            for seq in 1..=most + 3 {
                assert!(book.take(head(seq, b"a").bytes()).expect("taken"));
            }
            // Forks without end, each with as good a claim as the other.
            let forks = (0..40u8).map(|n| head(most + 3, &[n]));
            let news = forks.filter(|fork| book.take(fork.bytes()).expect("judged")).count();
            assert!(news < 40, "only the two smallest ids are kept");
            assert!(!book.take(head(1, b"a").bytes()).expect("judged"), "too old");
            assert_eq!(store.heads().expect("read").len(), HEADS_PER_REPO_MAX);
            book.envelopes()
        };
        let book = HeadBook::open(Store::open(dir.path()).expect("opened")).expect("read");
        assert_eq!(book.envelopes(), kept);
        assert!(book.newest()[0].forked);
    }

    #[test]
    fn a_head_that_cannot_be_written_is_not_known() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).expect("opened");
        let book = HeadBook::open(store.clone()).expect("read");
        store.poison();
        assert!(matches!(book.take_own(&head(1, b"a")), Err(HeadError::Store(_))));
        assert_eq!(book.count(), 0, "or the next start would sign another of its number");
    }
}
