//! Requests about who has which part in a run, and about its log.
//!
//! Invariants: what is answered is durable; only stewards move, and only those whose word counts invite.
//! What it is not: how a run goes (see `run`).

use std::path::Path;

use protocol::PublicKey;
use protocol::round::What;

use super::{NodeService, failed, misused};
use crate::api::dto::{ChangeName, MotionView, RunAct, RunActReply, RunActRequest};
use crate::api::{Answer, ProgressSender};
use crate::run::{self, RunError};

impl NodeService {
    pub(super) async fn act_on_run(
        &self,
        request: RunActRequest,
        progress: &ProgressSender,
    ) -> Answer<RunActReply> {
        let run = self.pick(&request.run)?;
        match request.act {
            RunAct::Follow => {
                let driver = self.runs.keep_following(run).await.map_err(failed)?;
                let name = driver.desk().spec.value().name.clone();
                Ok(RunActReply::Followed { run, name })
            }
            RunAct::Invite { trainer } => {
                let invitation = self.runs.invite(run, trainer).await.map_err(refused)?;
                Ok(RunActReply::Invitation { run, trainer, invitation })
            }
            RunAct::Motion { change, node } => {
                let driver = self.runs.moves(run, what(change, node)).await.map_err(refused)?;
                let members = driver.members().await.map_err(failed)?;
                let motions = members.map(|members| members.motions).unwrap_or_default();
                let is_this = |motion: &MotionView| (motion.change, motion.node) == (change, node);
                let motion = motions.into_iter().find(is_this);
                motion.map(RunActReply::Motion).ok_or_else(|| failed("the node is stopping"))
            }
            RunAct::Members => {
                let driver = self.runs.follow(run).await.map_err(failed)?;
                let members = driver.members().await.map_err(failed)?;
                members.map(RunActReply::Members).ok_or_else(|| failed("the node is stopping"))
            }
            RunAct::Log { from } => {
                let driver = self.runs.follow(run).await.map_err(failed)?;
                Ok(RunActReply::Log(driver.log(from).await.map_err(failed)?))
            }
            RunAct::Export { out, updates } => {
                let driver = self.runs.follow(run).await.map_err(failed)?;
                let desk = driver.desk();
                let done = run::export(desk, Path::new(&out), updates, progress).await;
                let run::Exported { rounds, files, bytes } = done.map_err(failed)?;
                Ok(RunActReply::Exported { out, rounds, files, bytes })
            }
        }
    }
}

fn what(change: ChangeName, node: PublicKey) -> What {
    match change {
        ChangeName::Appoint => What::Appoint(node),
        ChangeName::Dismiss => What::Dismiss(node),
        ChangeName::Remove => What::Remove(node),
        ChangeName::Readmit => What::Readmit(node),
    }
}

/// What was asked of a node that may not, or would change nothing, was asked wrongly.
fn refused(error: RunError) -> crate::api::dto::Failure {
    match error {
        RunError::Open | RunError::Unfit(_) => misused(error),
        _ => failed(error),
    }
}
