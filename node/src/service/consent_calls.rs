//! Requests about consent: opt out, opt in, check.
//!
//! Invariants: records are on this node's disk before they are gossiped and before the answer.
//! What it is not: what a record means (see the `consent` crate).

use std::collections::BTreeSet;
use std::path::Path;

use consent::{Policy, Silence, Use};
use protocol::ContentId;
use protocol::limits::OPT_IN_DAYS_MAX;

use super::{NodeService, existing, failed, misused};
use crate::announce::publish;
use crate::api::dto::{CheckReply, CheckRequest, ConsentReply, ConsentRequest, Refusal};
use crate::api::{Answer, ProgressSender};
use crate::clock::now_ms;
use crate::home::{HomeError, ME};
use crate::net::Topic;
use crate::works::works_under;

/// How long an opt-in holds if nothing is said.
const OPT_IN_DAYS: u64 = 365;
const DAY_MS: u64 = 24 * 3_600_000;
/// Refusals that an answer lists; all are counted.
const REFUSALS_MAX: usize = 1_000;

impl NodeService {
    pub(super) async fn register(
        &self,
        request: ConsentRequest,
        allow: bool,
    ) -> Answer<ConsentReply> {
        let uses = uses(&request.uses)?;
        let days = request.days.unwrap_or(OPT_IN_DAYS);
        if days == 0 || days > OPT_IN_DAYS_MAX {
            return Err(misused(format!("--days is {days}: 1 to {OPT_IN_DAYS_MAX} are allowed")));
        }
        let mut works: BTreeSet<ContentId> = BTreeSet::new();
        for path in &request.paths {
            let path = existing(path)?;
            let found = tokio::task::block_in_place(|| works_under(path)).map_err(failed)?;
            works.extend(found.into_iter().map(|work| work.content));
        }
        let name = request.identity.as_deref().unwrap_or(ME);
        let (identity, made) = self.home.identity(name).map_err(|error| match error {
            HomeError::Name(_) => misused(error),
            _ => failed(error),
        })?;
        let ledger = &self.means.ledger;
        let records = tokio::task::block_in_place(|| {
            if allow {
                ledger.opt_in(&identity, &works, &uses, now_ms() + days * DAY_MS)
            } else {
                ledger.opt_out(&identity, works.iter().copied(), &uses)
            }
        })
        .map_err(failed)?;
        let net = &self.means.net;
        for (_, envelope) in &records {
            publish(net, Topic::Consent, envelope.clone()).await;
        }
        Ok(ConsentReply {
            identity: identity.author(),
            name: name.to_owned(),
            made: made.then(|| self.home.identity_path(name).display().to_string()),
            works: works.len() as u64,
            records: records.into_iter().map(|(id, _)| id).collect(),
            peers: net.peers().await.len(),
        })
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
            let works = works_under(path).map_err(failed)?;
            let total = works.len() as u64;
            let (_, reply) = self.means.ledger.with_gate(&policy, |gate| {
                let mut reply =
                    CheckReply { works: total, allowed: 0, refused: 0, refusals: Vec::new() };
                for (at, work) in works.into_iter().enumerate() {
                    match gate.check(work.content, about) {
                        Ok(()) => reply.allowed += 1,
                        Err(denial) => {
                            reply.refused += 1;
                            if reply.refusals.len() < REFUSALS_MAX {
                                reply.refusals.push(Refusal {
                                    place: work.place,
                                    content: work.content,
                                    reason: denial.reason.to_string(),
                                    records: denial.records,
                                });
                            }
                        }
                    }
                    if at % 10_000 == 0 {
                        progress.send("checking", at as u64, Some(total), "works");
                    }
                }
                reply
            });
            Ok(reply)
        })
    }
}

/// The uses named, or all that train.
fn uses(names: &[String]) -> Answer<Vec<Use>> {
    if names.is_empty() {
        return Ok(vec![Use::TrainGenerative, Use::TrainOther]);
    }
    names.iter().map(|name| name.parse().map_err(misused)).collect()
}

fn silence(text: &str) -> Answer<Silence> {
    match text {
        "opt-in" => Ok(Silence::OptIn),
        "opt-out" => Ok(Silence::OptOut),
        _ => Err(misused(format!("--default is {text:?}: opt-in or opt-out"))),
    }
}
