//! `opt-out`: works by their exact bytes, by their likeness, and many of them as one collection.
//!
//! Invariants: a file that cannot be read is named in the answer and nothing of it is registered; a
//! collection's list is in the node's blobs before a record names it. What it is not: what a record
//! means (see the `consent` crate).

use std::collections::BTreeSet;

use consent::{Statement, Subject};
use protocol::ContentId;
use protocol::limits::{
    COLLECTION_WORKS_MAX, SCAN_LISTED_MAX, SIMILAR_PER_FEED_MAX, WORKS_NAMED_MAX,
};

use super::consent_calls::{said, uses};
use super::{NodeService, existing, failed, own_failure};
use crate::api::dto::{ConsentReply, ConsentRequest};
use crate::api::{Answer, ProgressSender};
use crate::clock::now_ms;
use crate::collections::collection_of;
use crate::works::Works;

/// What is to be named.
#[derive(Debug, Default)]
struct Named {
    works: BTreeSet<ContentId>,
    /// Of each work that has any.
    likeness: Vec<Vec<Subject>>,
    files: u64,
    dotted: u64,
    unread: Vec<String>,
    unlike: Vec<String>,
}

impl Named {
    fn under(request: &ConsentRequest, progress: &ProgressSender) -> Answer<Self> {
        let mut named = Self::default();
        for path in &request.paths {
            let found = Works::under(existing(path)?, !request.exact, progress).map_err(failed)?;
            named.files += found.files;
            named.dotted += found.dotted;
            named.unread.extend(found.faults);
            named.unlike.extend(found.unlike);
            for work in found.works {
                let likeness = work.likeness.map_or_else(Vec::new, |it| it.subjects());
                if !named.works.insert(work.content) || likeness.is_empty() {
                    continue;
                }
                named.likeness.push(likeness);
            }
        }
        if named.works.is_empty() {
            let why = named.unread.into_iter().next();
            return Err(failed(why.unwrap_or_else(|| "there are no works there".to_owned())));
        }
        if named.works.len() as u64 > COLLECTION_WORKS_MAX {
            let count = named.works.len();
            return Err(failed(format!(
                "{count} works: {COLLECTION_WORKS_MAX} can be named at once; name parts"
            )));
        }
        Ok(named)
    }

    /// Keeps the likenesses that a feed has room for, as more would count nowhere, and tells of the
    /// others.
    fn fit(&mut self, room: u32) {
        let (mut room, before) = (room as usize, self.likeness.len());
        self.likeness.retain(|likeness| match room.checked_sub(likeness.len()) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        });
        let left_out = before - self.likeness.len();
        if left_out > 0 {
            self.unlike.push(format!(
                "{left_out} of the works: a feed has room for {SIMILAR_PER_FEED_MAX} likenesses and no \
                 more; name these with another --identity"
            ));
        }
    }
}

impl NodeService {
    pub(super) async fn register_out(
        &self,
        request: ConsentRequest,
        progress: &ProgressSender,
    ) -> Answer<ConsentReply> {
        let uses = uses(&request.uses)?;
        let mut named = tokio::task::block_in_place(|| Named::under(&request, progress))?;
        let (speaker, made, name) = self.speaker(&request)?;
        let feed = speaker.ring.feed_id();
        named.fit(self.means.ledger.with_ledger(|ledger| ledger.likenesses_left(&feed)));
        self.tell_of_birth(&speaker, progress);
        let many = request.collection || named.files > WORKS_NAMED_MAX as u64;
        let collection = match many.then(|| collection_of(&named.works)) {
            None => None,
            Some((collection, list)) => {
                self.means.net.blobs().add_bytes(list).await.map_err(failed)?;
                Some(collection)
            }
        };
        let deny = Statement::deny(&uses);
        let exact: Vec<Subject> = match collection {
            Some(collection) => vec![Subject::Collection(collection)],
            None => named.works.iter().copied().map(Subject::Content).collect(),
        };
        let mut statements = deny.over_subjects(exact);
        let alike = named.likeness.len() as u64;
        statements.extend(deny.over_subjects(named.likeness.into_iter().flatten()));
        let ledger = &self.means.ledger;
        let records = tokio::task::block_in_place(|| {
            let records = ledger.state(&speaker, &statements, request.behalf, now_ms())?;
            if let Some(collection) = collection {
                let works: Vec<ContentId> = named.works.iter().copied().collect();
                if let Err(error) = ledger.add_list(collection.root, &works) {
                    tracing::warn!(%error, "a collection of our own was not listed");
                }
            }
            Ok(records)
        });
        let records = records.map_err(own_failure)?;
        let mut reply = said(&speaker, name, made);
        reply.works = named.works.len() as u64;
        reply.alike = alike;
        reply.collection = collection.map(|collection| collection.root);
        reply.dotted = named.dotted;
        reply.unread_count = named.unread.len() as u64;
        reply.unread = named.unread.into_iter().take(SCAN_LISTED_MAX).collect();
        reply.unlike = named.unlike.into_iter().take(SCAN_LISTED_MAX).collect();
        Ok(self.told(reply, records).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consent::CodeKind;

    #[test]
    fn what_a_feed_has_no_room_for_is_told() {
        let likeness =
            |count: usize| (0..count).map(|_| Subject::Code(CodeKind::Pdq, [5; 32])).collect();
        let mut named =
            Named { likeness: vec![likeness(2), likeness(3), likeness(1)], ..Named::default() };
        named.fit(6);
        assert_eq!((named.likeness.len(), named.unlike.len()), (3, 0));
        named.fit(4);
        assert_eq!((named.likeness.len(), named.unlike.len()), (2, 1));
        assert!(named.unlike[0].starts_with("1 of the works"), "{:?}", named.unlike);
        named.fit(0);
        assert!(named.likeness.is_empty() && named.unlike[1].starts_with("2 of the works"));
    }
}
