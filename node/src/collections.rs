//! Collections: many works under one record, whose list is a blob that nodes pass on.
//!
//! Role: makes a collection of works; and, in the background, brings the lists of those that the
//! ledger names into it, from this node's blobs or from connected peers.
//!
//! Invariants: a list is asked for only up to the length that its record claims and the bounds allow;
//! a description that leads to no list, or to another's, keeps none of its collection's others from
//! being followed; what is fetched is kept, so others can fetch it here. What it is not: quick. Until
//! a list is here, its collection matches nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use consent::{Collection, Ledger};
use futures::StreamExt;
use protocol::limits::{COLLECTION_WORKS_MAX, COLLECTIONS_WORKS_MAX, LISTS_WANTED_MAX};
use protocol::{ContentId, FileHash};
use tokio_util::sync::CancellationToken;

use crate::ledger::LedgerBook;
use crate::net::Net;

/// The bytes of an id in a list.
const ID_BYTES: usize = 32;
/// How soon a list that nobody gave is asked for again, the first time.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How often that doubles: up to 80 s.
const DOUBLINGS_MAX: u32 = 4;
/// Lists fetched at once.
const AT_ONCE: usize = 4;

/// The collection of these works, and its list: their sorted ids, one after another.
pub(crate) fn collection_of(works: &BTreeSet<ContentId>) -> (Collection, Vec<u8>) {
    let list: Vec<u8> = works.iter().flat_map(|work| *work.as_bytes()).collect();
    let root = protocol::merkle::root(works.iter().map(ContentId::as_bytes));
    (Collection { root, count: works.len() as u64, list: FileHash::of(&list) }, list)
}

/// Brings lists into the ledger until `cancel`.
pub(crate) async fn keep_lists(net: Net, ledger: Arc<LedgerBook>, cancel: CancellationToken) {
    let mut keeper = Keeper { net, ledger: Arc::clone(&ledger), queue: Queue::default() };
    loop {
        let next = tokio::select! {
            () = cancel.cancelled() => return,
            next = keeper.look() => next,
        };
        let due = async {
            match next {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = cancel.cancelled() => return,
            () = ledger.collection_named() => {}
            () = due => {}
        }
    }
}

struct Keeper {
    net: Net,
    ledger: Arc<LedgerBook>,
    queue: Queue,
}

/// The lists still to be looked for.
#[derive(Debug, Default)]
struct Queue {
    /// How many of the ledger's descriptions of collections were looked at.
    seen: usize,
    /// Those whose list nobody gave, by when they are due again and their number.
    waiting: BTreeMap<(Instant, usize), Wanted>,
}

/// A collection whose list is wanted.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// As a statement describes it; another may describe the same one rightly.
    collection: Collection,
    /// Its number among the descriptions.
    number: usize,
    /// How often nobody gave it.
    tries: u32,
}

/// What became of a list.
enum Brought {
    Works(Vec<ContentId>),
    Wrong,
    NotThere,
}

impl Keeper {
    /// Looks for all lists that are due; says when the next is.
    async fn look(&mut self) -> Option<Instant> {
        loop {
            let (queue, now) = (&mut self.queue, Instant::now());
            let some = self.ledger.with_ledger(|ledger| queue.due(ledger, now));
            if some.is_empty() {
                return self.queue.next();
            }
            let peers: Vec<_> = self.net.peers().await.into_iter().map(|peer| peer.key).collect();
            let net = &self.net;
            let bring = |it: Wanted| {
                let peers = &peers;
                async move { (it, bring(net, &it.collection, peers).await) }
            };
            let some = futures::stream::iter(some).map(bring).buffer_unordered(AT_ONCE);
            let brought: Vec<_> = some.collect().await;
            for (wanted, brought) in brought {
                self.take(wanted, brought);
            }
        }
    }

    fn take(&mut self, wanted: Wanted, brought: Brought) {
        let Collection { root, count, .. } = wanted.collection;
        match brought {
            Brought::NotThere => self.queue.put_off(wanted, Instant::now()),
            // The other descriptions of this root are still looked at.
            Brought::Wrong => {}
            Brought::Works(works) => tokio::task::block_in_place(|| {
                let listed = self.ledger.with_ledger(Ledger::works_listed);
                if listed + works.len() as u64 > COLLECTIONS_WORKS_MAX {
                    tracing::warn!(%root, count, "too many works in collections");
                } else if let Err(error) = self.ledger.add_list(root, &works) {
                    tracing::info!(%root, %error, "a collection's list is not its own");
                }
            }),
        }
    }
}

impl Queue {
    /// Some of those to be looked for now: the new ones first, so that lists that nobody has keep
    /// no other waiting.
    fn due(&mut self, ledger: &Ledger, now: Instant) -> Vec<Wanted> {
        let mut some = Vec::new();
        while some.len() < LISTS_WANTED_MAX {
            let wanted = if let Some(collection) = ledger.collections().get(self.seen) {
                self.seen += 1;
                Wanted { collection: *collection, number: self.seen - 1, tries: 0 }
            } else if let Some(first) = self.waiting.first_entry().filter(|it| it.key().0 <= now) {
                first.remove()
            } else {
                break;
            };
            if !ledger.is_listed(&wanted.collection.root) {
                some.push(wanted);
            }
        }
        some
    }

    /// When the next is due that nobody gave.
    fn next(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((due, _), _)| *due)
    }

    /// Lets one that nobody gave wait, twice as long each time.
    fn put_off(&mut self, wanted: Wanted, now: Instant) {
        let wait = AGAIN_AFTER * 2_u32.pow(wanted.tries.min(DOUBLINGS_MAX));
        let again = Wanted { tries: wanted.tries + 1, ..wanted };
        self.waiting.insert((now + wait, wanted.number), again);
    }
}

/// The list of a collection, if it is among this node's blobs and of the length that it should have.
pub(crate) async fn list_of(net: &Net, collection: &Collection) -> Option<Vec<[u8; ID_BYTES]>> {
    let bytes = collection.count.checked_mul(ID_BYTES as u64)?;
    if collection.count > COLLECTION_WORKS_MAX || !net.blobs().has(collection.list).await {
        return None;
    }
    let list = net.blobs().read(collection.list, bytes).await.ok()?;
    let (ids, rest) = list.as_chunks();
    rest.is_empty().then(|| ids.to_vec())
}

async fn bring(net: &Net, it: &Collection, peers: &[protocol::PublicKey]) -> Brought {
    if it.count > COLLECTION_WORKS_MAX {
        return Brought::Wrong;
    }
    let (blobs, bytes) = (net.blobs(), it.count * ID_BYTES as u64);
    if !blobs.has(it.list).await
        && let Err(error) = blobs.fetch(it.list, bytes, peers, None).await
    {
        tracing::debug!(root = %it.root, %error, "a collection's list was not fetched");
        return Brought::NotThere;
    }
    match blobs.read(it.list, bytes).await {
        Ok(list) => match list.as_chunks::<ID_BYTES>() {
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
    use consent::{Identity, Statement, Subject, Use, head_at};
    use protocol::SecretKey;

    /// A ledger in which these collections are named, in this order.
    fn naming(collections: &[Collection]) -> Ledger {
        let key = |seed| SecretKey::from_seed(&[seed; 32]);
        let me = Identity::new(key(1), key(2), 0);
        let genesis = me.genesis(0).expect("genesis");
        let deny = Statement::deny(&Use::ALL);
        let over = |it: &Collection| deny.over_subjects([Subject::Collection(*it)]);
        let statements: Vec<Statement> = collections.iter().flat_map(over).collect();
        let mut records = me.statements(&head_at(&genesis), &statements).expect("signed");
        records.insert(0, genesis);
        let mut ledger = Ledger::new();
        for record in records {
            ledger.insert(record, 0).expect("taken");
        }
        ledger
    }

    #[test]
    fn a_collection_is_what_the_ledger_takes_for_one() {
        let works: BTreeSet<ContentId> = (0..5u8).map(|n| ContentId::of(&[n])).collect();
        let (collection, list) = collection_of(&works);
        assert_eq!((collection.count, list.len()), (5, 160));
        let mut ledger = naming(&[collection]);
        let ids: Vec<ContentId> = works.into_iter().collect();
        assert_eq!(ledger.add_list(collection.root, &ids), Ok(()));
    }

    #[test]
    fn a_wrong_description_keeps_no_other_from_being_followed() {
        let works: BTreeSet<ContentId> = (0..5u8).map(|n| ContentId::of(&[n])).collect();
        let (right, _) = collection_of(&works);
        let wrong = Collection { list: FileHash::of(b"another list"), ..right };
        let mut ledger = naming(&[wrong, right]);
        let (mut queue, now) = (Queue::default(), Instant::now());
        let due = queue.due(&ledger, now);
        assert_eq!(due.iter().map(|it| it.collection).collect::<Vec<_>>(), [wrong, right]);

        // Nobody gave either: both are asked for again, later each time.
        due.into_iter().for_each(|it| queue.put_off(it, now));
        assert!(queue.due(&ledger, now + AGAIN_AFTER / 2).is_empty());
        let due = queue.due(&ledger, now + AGAIN_AFTER);
        assert_eq!(due.len(), 2);
        due.into_iter().for_each(|it| queue.put_off(it, now));
        assert_eq!(queue.next(), Some(now + 2 * AGAIN_AFTER));

        // Once the list is here, no description of its collection is followed.
        let ids: Vec<ContentId> = works.into_iter().collect();
        ledger.add_list(right.root, &ids).expect("its list");
        assert!(queue.due(&ledger, now + 2 * AGAIN_AFTER).is_empty());
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn new_collections_come_before_those_that_nobody_gives() {
        let named: Vec<Collection> = (0..=LISTS_WANTED_MAX as u64 + 1)
            .map(|n| Collection {
                root: FileHash::of(&n.to_le_bytes()),
                count: 1,
                list: FileHash::of(b""),
            })
            .collect();
        let ledger = naming(&named);
        let (mut queue, now) = (Queue::default(), Instant::now());
        let first = queue.due(&ledger, now);
        assert_eq!(first.len(), LISTS_WANTED_MAX);
        first.into_iter().for_each(|it| queue.put_off(it, now));
        let second = queue.due(&ledger, now + AGAIN_AFTER);
        assert_eq!(second[..2].iter().map(|it| it.number).collect::<Vec<_>>(), [64, 65]);
        assert_eq!(second.len(), LISTS_WANTED_MAX);
    }
}
