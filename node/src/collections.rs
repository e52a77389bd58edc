//! Collections: many works under one record, whose list is a blob that nodes pass on.
//!
//! Role: makes a collection of works; and, in the background, brings the lists of those that the
//! ledger names into it, from this node's blobs or from connected peers.
//!
//! Invariants: a list is asked for only up to the length that its record claims and the bounds allow;
//! one that is not its record's is never looked at again; what is fetched is kept, so others can
//! fetch it here. What it is not: quick. Until a list is here, its collection matches nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use consent::Collection;
use futures::StreamExt;
use protocol::limits::{COLLECTION_WORKS_MAX, COLLECTIONS_WORKS_MAX, LISTS_WANTED_MAX};
use protocol::{ContentId, FileHash};
use tokio_util::sync::CancellationToken;

use crate::ledger::LedgerBook;
use crate::net::Net;

/// The bytes of an id in a list.
const ID_BYTES: u64 = 32;
/// How often the ledger is asked for lists that it lacks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How soon a list that nobody gave is asked for again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Lists fetched at once.
const AT_ONCE: usize = 4;
/// Lists that are remembered as waiting; beyond them all are tried anew.
const WAITING_MAX: usize = 64 * LISTS_WANTED_MAX;

/// The collection of these works, and its list: their sorted ids, one after another.
pub(crate) fn collection_of(works: &BTreeSet<ContentId>) -> (Collection, Vec<u8>) {
    let list: Vec<u8> = works.iter().flat_map(|work| *work.as_bytes()).collect();
    let root = protocol::merkle::root(works.iter().map(ContentId::as_bytes));
    (Collection { root, count: works.len() as u64, list: FileHash::of(&list) }, list)
}

/// Brings lists into the ledger until `cancel`.
pub(crate) async fn keep_lists(net: Net, ledger: Arc<LedgerBook>, cancel: CancellationToken) {
    let mut keeper =
        Keeper { net, ledger, refused: BTreeSet::new(), later: BTreeMap::new(), works: 0 };
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = every.tick() => {}
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = keeper.look() => {}
        }
    }
}

struct Keeper {
    net: Net,
    ledger: Arc<LedgerBook>,
    /// Roots of collections whose lists are wrong or too long.
    refused: BTreeSet<FileHash>,
    /// When to ask again for those that nobody gave.
    later: BTreeMap<FileHash, Instant>,
    /// Works in the lists brought so far.
    works: u64,
}

/// What became of a list.
enum Brought {
    Works(Vec<ContentId>),
    Wrong,
    NotThere,
}

impl Keeper {
    async fn look(&mut self) {
        let now = Instant::now();
        self.later.retain(|_, due| *due > now);
        if self.later.len() > WAITING_MAX {
            self.later.clear();
        }
        let (refused, later) = (&self.refused, &self.later);
        let wanted = |it: &Collection| !refused.contains(&it.root) && !later.contains_key(&it.root);
        let missing = self.ledger.lists_missing(wanted, LISTS_WANTED_MAX);
        if missing.is_empty() {
            return;
        }
        let peers: Vec<_> = self.net.peers().await.into_iter().map(|peer| peer.key).collect();
        let net = &self.net;
        let bring = |it: Collection| {
            let peers = &peers;
            async move { (it, bring(net, &it, peers).await) }
        };
        let brought: Vec<_> =
            futures::stream::iter(missing).map(bring).buffer_unordered(AT_ONCE).collect().await;
        for (collection, brought) in brought {
            self.take(&collection, brought);
        }
    }

    fn take(&mut self, collection: &Collection, brought: Brought) {
        let root = collection.root;
        match brought {
            Brought::NotThere => {
                self.later.insert(root, Instant::now() + AGAIN_AFTER);
            }
            Brought::Wrong => {
                self.refused.insert(root);
            }
            Brought::Works(works) if self.works + collection.count > COLLECTIONS_WORKS_MAX => {
                tracing::warn!(%root, works = works.len(), "too many works in collections");
                self.refused.insert(root);
            }
            Brought::Works(works) => {
                match tokio::task::block_in_place(|| self.ledger.add_list(root, &works)) {
                    Ok(()) => self.works += collection.count,
                    Err(error) => {
                        tracing::info!(%root, %error, "a collection's list is not its own");
                        self.refused.insert(root);
                    }
                }
            }
        }
    }
}

async fn bring(net: &Net, it: &Collection, peers: &[protocol::PublicKey]) -> Brought {
    if it.count > COLLECTION_WORKS_MAX {
        return Brought::Wrong;
    }
    let (blobs, bytes) = (net.blobs(), it.count * ID_BYTES);
    if !blobs.has(it.list).await
        && let Err(error) = blobs.fetch(it.list, bytes, peers, None).await
    {
        tracing::debug!(root = %it.root, %error, "a collection's list was not fetched");
        return Brought::NotThere;
    }
    match blobs.read(it.list, bytes).await {
        Ok(list) => match list.as_chunks::<32>() {
            (ids, []) => Brought::Works(ids.iter().map(|id| ContentId::from_bytes(*id)).collect()),
            _ => Brought::Wrong,
        },
        Err(error) => {
            tracing::warn!(root = %it.root, %error, "a collection's list cannot be read");
            Brought::Wrong
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consent::{Identity, Ledger, Statement, Subject, Use, head_at};
    use protocol::SecretKey;

    #[test]
    fn a_collection_is_what_the_ledger_takes_for_one() {
        let works: BTreeSet<ContentId> = (0..5u8).map(|n| ContentId::of(&[n])).collect();
        let (collection, list) = collection_of(&works);
        assert_eq!((collection.count, list.len()), (5, 160));
        let key = |seed| SecretKey::from_seed(&[seed; 32]);
        let me = Identity::new(key(1), key(2), 0);
        let genesis = me.genesis(0).expect("genesis");
        let deny = Statement::deny(&Use::ALL).over_subjects([Subject::Collection(collection)]);
        let record = me.statement(&head_at(&genesis), &deny[0]).expect("signed");
        let mut ledger = Ledger::new();
        for record in [genesis, record] {
            ledger.insert(record, 0).expect("taken");
        }
        let ids: Vec<ContentId> = works.into_iter().collect();
        assert_eq!(ledger.add_list(collection.root, &ids), Ok(()));
    }
}
