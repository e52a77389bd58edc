//! Requests for proofs that a person keeps.
//!
//! Invariants: a proof is verified before it is given, against a log's key at least. What it is not:
//! the proofs themselves (see `consent::proof`).

use std::path::Path;
use std::time::Duration;

use consent::proof::Proof;
use protocol::{ContentId, RecordId};

use super::{NodeService, existing, failed, misused};
use crate::api::dto::{ProveReply, ProveRequest};
use crate::api::{Answer, ProgressSender};
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
            (None, None, Some(record), None) if content.is_none() => {
                Proof::Record(self.prove_record(record).await?)
            }
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
                    "give --record R; or --absent ID; or --run RUN --round N with --record R, \
                     --file F or both",
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
