//! Telling the network what this node has.
//!
//! Invariants: only what is durable is announced. What it is not: a guarantee that anyone hears; who
//! was away asks when it comes back (see `inbox`).

use consent::Record;
use protocol::manifest::Head;
use protocol::{FileHash, Signed};

use crate::ledger::goes_first;
use crate::net::{Net, Topic};
use crate::repo::HeadBook;

/// Gossips a repo head and names this node as a provider of its revision.
pub(crate) async fn announce_head(net: &Net, head: &Signed<Head>) {
    publish(net, Topic::Heads, head.bytes().to_vec()).await;
    net.provide(FileHash::from(head.value().revision)).await;
}

/// Names this node as a provider of every repo's newest revision that it holds.
pub(crate) async fn provide_heads(net: &Net, heads: &HeadBook) {
    for resolved in heads.newest() {
        let revision = FileHash::from(resolved.head.value().revision);
        if net.blobs().has(revision).await {
            net.provide(revision).await;
        }
    }
}

/// Gossips a consent record on the topic for its kind.
pub(crate) async fn announce_record(net: &Net, envelope: &[u8]) {
    let opened = tokio::task::block_in_place(|| Signed::<Record>::open(envelope));
    let payload = opened.ok().and_then(|record| record.value().payload().ok());
    let is_first = payload.as_ref().is_some_and(goes_first);
    let topic = if is_first { Topic::Consent } else { Topic::ConsentRest };
    publish(net, topic, envelope.to_vec()).await;
}

/// Gossips bytes; a failure only means that others ask for them later.
pub(crate) async fn publish(net: &Net, topic: Topic, bytes: Vec<u8>) {
    if let Err(error) = net.publish(topic, bytes).await {
        tracing::debug!(%error, "not gossiped");
    }
}
