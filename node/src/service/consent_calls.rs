//! Requests about consent: check, and what the others have in common.
//!
//! Invariants: records are on this node's disk before they are gossiped and before the answer.
//! What it is not: what a record means (see the `consent` crate).

use std::path::Path;

use consent::{Policy, Silence, Use, Work};
use protocol::RecordId;

use super::id_calls::access;
use super::{NodeService, existing, failed, identity_failure, misused};
use crate::announce::announce_record;
use crate::api::dto::{CheckReply, CheckRequest, ConsentReply, ConsentRequest, Refusal};
use crate::api::{Answer, ProgressSender};
use crate::home::ME;
use crate::identity::Speaker;
use crate::works::Works;

pub(super) const DAY_MS: u64 = 24 * 3_600_000;
/// Refusals that an answer lists; all are counted.
const REFUSALS_MAX: usize = 1_000;

impl NodeService {
    /// The identity that speaks, made if there is none, and whether it was.
    pub(super) fn speaker(&self, request: &ConsentRequest) -> Answer<(Speaker, bool, String)> {
        let name = request.identity.as_deref().unwrap_or(ME);
        let access = access(&request.keys);
        let identities = self.home.identities();
        let opened = tokio::task::block_in_place(|| identities.open_or_create(name, &access));
        let (speaker, made) = opened.map_err(identity_failure)?;
        Ok((speaker, made, name.to_owned()))
    }

    /// Says so if what comes next begins a feed, which takes a while.
    pub(super) fn tell_of_birth(&self, speaker: &Speaker, progress: &ProgressSender) {
        if !self.means.ledger.has_feed(&speaker.ring.feed_id()) {
            progress.begin("beginning a feed: about a second of work");
        }
    }

    /// Gossips new records, and names them in the answer.
    pub(super) async fn told(
        &self,
        reply: ConsentReply,
        records: Vec<(RecordId, Vec<u8>)>,
    ) -> ConsentReply {
        let net = &self.means.net;
        for (_, envelope) in &records {
            announce_record(net, envelope).await;
        }
        let records = records.into_iter().map(|(id, _)| id).collect();
        ConsentReply { records, peers: net.peers().await.len(), ..reply }
    }

    pub(super) fn check_works(
        &self,
        request: &CheckRequest,
        progress: &ProgressSender,
    ) -> Answer<CheckReply> {
        let about: Use = request.use_name.parse().map_err(misused)?;
        let default = silence(&request.default)?;
        let policy = Policy { default, cooling_ms: 0, ..Policy::default() };
        let path: &Path = existing(&request.path)?;
        tokio::task::block_in_place(|| {
            let mut found = Works::under(path, true, progress).map_err(failed)?;
            // What cannot be told is not told to be free.
            found.faults.append(&mut found.unlike);
            let (places, works) = asked(found.whole().map_err(failed)?);
            let total = works.len() as u64;
            let (_, reply) = self.means.ledger.with_gate(&policy, |gate| {
                let aside = gate.set_aside(&works, about);
                let mut reply =
                    CheckReply { works: total, allowed: 0, refused: 0, refusals: Vec::new() };
                for (at, (work, place)) in works.iter().zip(places).enumerate() {
                    match gate.check(work, about, &aside) {
                        Ok(()) => reply.allowed += 1,
                        Err(denial) => {
                            reply.refused += 1;
                            if reply.refusals.len() < REFUSALS_MAX {
                                reply.refusals.push(Refusal {
                                    place,
                                    content: work.content,
                                    reason: denial.in_words(),
                                    records: denial.records,
                                });
                            }
                        }
                    }
                    if at % 10_000 == 9_999 {
                        progress.send("checking", at as u64 + 1, Some(total), "works");
                    }
                }
                reply
            });
            Ok(reply)
        })
    }
}

/// Works as a gate is asked about them, and where each is.
fn asked(works: Vec<crate::works::Work>) -> (Vec<String>, Vec<Work>) {
    let asked = works.into_iter().map(|work| {
        let marks = work.likeness.map(|likeness| Box::new(likeness.marks()));
        (work.place, Work { content: work.content, marks })
    });
    asked.unzip()
}

/// The beginning of an answer.
pub(super) fn said(speaker: &Speaker, name: String, made: bool) -> ConsentReply {
    ConsentReply {
        identity: speaker.author(),
        made: made.then(|| speaker.path()),
        name,
        works: 0,
        alike: 0,
        collection: None,
        dotted: 0,
        unread: Vec::new(),
        unread_count: 0,
        unlike: Vec::new(),
        records: Vec::new(),
        peers: 0,
    }
}

/// The uses named, or all that train.
pub(super) fn uses(names: &[String]) -> Answer<Vec<Use>> {
    if names.is_empty() {
        return Ok(vec![Use::TrainGenerative, Use::TrainOther]);
    }
    names.iter().map(|name| name.parse().map_err(misused)).collect()
}

pub(super) fn silence(text: &str) -> Answer<Silence> {
    match text {
        "opt-in" => Ok(Silence::OptIn),
        "opt-out" => Ok(Silence::OptOut),
        _ => Err(misused(format!("--default is {text:?}: opt-in or opt-out"))),
    }
}
