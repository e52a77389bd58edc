//! Requests for proofs that a person keeps.
//!
//! Invariants: a proof is verified before it is given, against a log's key at least. What it is not:
//! the proofs themselves (see `consent::proof`).

use std::path::Path;
use std::time::Duration;

use consent::proof::{MemberProof, Proof};
use consent::{Payload, Subject};
use protocol::{ContentId, RecordId};

use super::{NodeService, existing, failed, misused};
use crate::api::dto::{ProveReply, ProveRequest};
use crate::api::{Answer, ProgressSender};
use crate::collections::list_of;
use crate::log::{LogBook, LogDirError};
use crate::run::prove_round;
use crate::works::Works;

/// How long a new record may take to come under a checkpoint.
const LOG_WAIT: Duration = Duration::from_secs(20);

impl NodeService {
    pub(super) async fn make_proof(&self, request: ProveRequest) -> Answer<ProveReply> {
        let record: Option<RecordId> = parsed("--record", request.record.as_deref())?;
        let absent: Option<ContentId> = parsed("--absent", request.absent.as_deref())?;
        let content = self.meant(&request)?;
        let proof = match (request.run.as_deref(), request.round, record, absent) {
            (Some(run), Some(round), record, None) if record.is_some() || content.is_some() => {
                let driver = self.runs.follow(self.pick(run)?).await.map_err(failed)?;
                prove_round(driver.desk(), round, record, content).await.map_err(failed)?
            }
            (None, None, Some(record), None) => match content {
                None => Proof::Record(self.prove_record(record).await?),
                Some(content) => Proof::Member(self.prove_member(record, content).await?),
            },
            (None, None, None, absent) if absent.is_some() != content.is_some() => {
                let content = absent.or(content).ok_or_else(|| misused("no work is named"))?;
                let log = self.log()?;
                let all = (self.means.ledger.count() as u64).saturating_sub(1);
                log.shows(all, LOG_WAIT).await;
                let proof = tokio::task::block_in_place(|| log.prove_absence(content));
                Proof::Absent(proof.map_err(failed)?)
            }
            _ => {
                return Err(misused(
                    "give --record R, with --file F for a work of its collection; or --absent ID or \
                     --file F; or --run RUN --round N with --record R, --file F or both",
                ));
            }
        };
        Ok(ProveReply { proof: hex::encode(proof.to_bytes()) })
    }

    async fn prove_record(&self, id: RecordId) -> Answer<consent::proof::RecordProof> {
        let found = tokio::task::block_in_place(|| self.means.ledger.record(&id));
        let (held, envelope) = found
            .map_err(failed)?
            .ok_or_else(|| failed(format!("no record {id} is known here")))?;
        let (log, index) = (self.log()?, u64::from(held.slot));
        log.shows(index, LOG_WAIT).await;
        tokio::task::block_in_place(|| log.prove_record(id, index, &envelope)).map_err(failed)
    }

    /// The proof that a work is in a collection that a record names.
    async fn prove_member(&self, id: RecordId, content: ContentId) -> Answer<MemberProof> {
        let ledger = &self.means.ledger;
        let found = tokio::task::block_in_place(|| ledger.record(&id)).map_err(failed)?;
        let listed = tokio::task::block_in_place(|| ledger.listed(&id)).map_err(failed)?;
        let (Some((_, envelope)), Some(listed)) = (found, listed) else {
            return Err(failed(format!("no record {id} is known here")));
        };
        let subjects = match listed.payload {
            Payload::Statement(statement) => statement.subjects,
            _ => Vec::new(),
        };
        let (mut named, mut away) = (0, 0);
        for subject in subjects {
            let Subject::Collection(collection) = subject else { continue };
            named += 1;
            let Some(works) = list_of(&self.means.net, &collection).await else {
                away += 1;
                continue;
            };
            let prove = || MemberProof::prove(&envelope, &collection, &works, content);
            if let Some(proof) = tokio::task::block_in_place(prove) {
                return Ok(proof);
            }
        }
        Err(failed(match (named, away) {
            (0, _) => format!("record {id} names no collection"),
            (_, 0) => format!("{content} is not in the collection that record {id} names"),
            _ => format!("the list of the collection that record {id} names is not here yet"),
        }))
    }

    fn log(&self) -> Answer<&LogBook> {
        self.log
            .as_deref()
            .ok_or_else(|| failed(format!("{}, then start the node again", LogDirError::Missing)))
    }

    /// The work that a request means by its path and row.
    fn meant(&self, request: &ProveRequest) -> Answer<Option<ContentId>> {
        let Some(path) = request.path.as_deref() else { return Ok(None) };
        let path: &Path = existing(path)?;
        let works = tokio::task::block_in_place(|| {
            Works::under(path, false, &ProgressSender::none()).and_then(Works::whole)
        });
        let works = works.map_err(failed)?;
        let at = match (request.row, works.len()) {
            (None, 1) => 0,
            (None, count) => {
                let said = format!("{} has {count} works: choose one with --row", path.display());
                return Err(misused(said));
            }
            (Some(row), _) => (row as usize).wrapping_sub(1),
        };
        let work = works.get(at).ok_or_else(|| {
            misused(format!("--row counts from 1 to {} in {}", works.len(), path.display()))
        })?;
        Ok(Some(work.content))
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    flag: &str,
    text: Option<&str>,
) -> Answer<Option<T>> {
    text.map(|text| text.parse().map_err(|e| misused(format!("{flag}: {e}")))).transpose()
}
