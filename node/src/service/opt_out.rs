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
    likeness: Vec<Subject>,
    /// Works whose likeness is among them.
    alike: u64,
    files: u64,
    dotted: u64,
    unread: Vec<String>,
    unlike: Vec<String>,
}

impl Named {
    fn under(request: &ConsentRequest) -> Answer<Self> {
        let mut named = Self::default();
        for path in &request.paths {
            let found = Works::under(existing(path)?, !request.exact).map_err(failed)?;
            named.files += found.files;
            named.dotted += found.dotted;
            named.unread.extend(found.faults);
            named.unlike.extend(found.unlike);
            for work in found.works {
                let likeness = work.likeness.map_or_else(Vec::new, |it| it.subjects());
                if !named.works.insert(work.content) || likeness.is_empty() {
                    continue;
                }
                // More than a feed may have would count nowhere.
                let room = SIMILAR_PER_FEED_MAX as usize - named.likeness.len();
                if likeness.len() <= room {
                    named.likeness.extend(likeness);
                    named.alike += 1;
                } else {
                    named.unlike.push(format!("{}: too many likenesses in one feed", work.place));
                }
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
}

impl NodeService {
    pub(super) async fn register_out(
        &self,
        request: ConsentRequest,
        progress: &ProgressSender,
    ) -> Answer<ConsentReply> {
        let uses = uses(&request.uses)?;
        let named = tokio::task::block_in_place(|| Named::under(&request))?;
        let (speaker, made, name) = self.speaker(&request)?;
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
        statements.extend(deny.over_subjects(named.likeness));
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
        reply.alike = named.alike;
        reply.collection = collection.map(|collection| collection.root);
        reply.dotted = named.dotted;
        reply.unread_count = named.unread.len() as u64;
        reply.unread = named.unread.into_iter().take(SCAN_LISTED_MAX).collect();
        reply.unlike = named.unlike.into_iter().take(SCAN_LISTED_MAX).collect();
        Ok(self.told(reply, records).await)
    }
}
