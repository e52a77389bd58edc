//! Requests about runs: create, join, leave, look, audit.
//!
//! Invariants: a run that is looked at is followed from then on. What it is not: how a run goes (see
//! `run`).

use std::path::Path;

use protocol::RunId;
use protocol::round::Wire;
use protocol::run::run_id;
use tokio::sync::mpsc;

use super::{NodeService, existing, failed, misused};
use crate::announce::publish;
use crate::api::dto::{AuditReply, AuditRequest, CreateRequest, JoinRequest, RunView};
use crate::api::{Answer, ProgressSender, pick_run};
use crate::net::Topic;
use crate::run::{self, CreateError, Driver, RunError};

/// Views that wait for a watcher; a slow one skips to the newest.
const WATCH_MAX: usize = 4;

impl NodeService {
    pub(super) async fn create_run(
        &self,
        request: CreateRequest,
        progress: &ProgressSender,
    ) -> Answer<RunView> {
        let owner = self.home.owner().map_err(failed)?;
        let dir = Path::new(&request.dir);
        let (means, heads) = (&self.means, &self.heads);
        let spec = run::create(&request.spec, dir, &owner, means, heads, progress).await.map_err(
            |error| match error {
                CreateError::Spec(_) | CreateError::Rule(_) | CreateError::Key { .. } => {
                    misused(error)
                }
                _ => failed(error),
            },
        )?;
        let run = run_id(&spec);
        let wire = Wire::spec(&spec).to_bytes();
        self.runs.insert(spec).await.map_err(failed)?;
        publish(&self.means.net, Topic::Runs, wire).await;
        self.view(run).await
    }

    pub(super) async fn join_run(&self, text: &str, request: &JoinRequest) -> Answer<RunView> {
        let run = self.pick(text)?;
        let data = existing(&request.data)?;
        let invitation = request.invitation.as_deref();
        self.runs.join(run, data, request.shows, invitation).await.map_err(
            |error| match error {
                RunError::Invitation(_) => misused(error),
                _ => failed(error),
            },
        )?;
        self.view(run).await
    }

    pub(super) async fn leave_run(&self, text: &str) -> Answer<RunView> {
        let run = self.pick(text)?;
        self.runs.leave(run).await.map_err(failed)?;
        self.view(run).await
    }

    pub(super) async fn list_runs(&self) -> Answer<Vec<RunView>> {
        let mut views = Vec::new();
        for (run, spec) in self.runs.all() {
            // Looking at the list follows nothing.
            let view = match self.runs.driver(run) {
                Some(driver) => driver.view().await.map_err(failed)?,
                None => Some(run::announced_view(&spec)),
            };
            views.extend(view);
        }
        Ok(views)
    }

    pub(super) async fn view_run(&self, text: &str) -> Answer<RunView> {
        self.view(self.pick(text)?).await
    }

    pub(super) async fn watch_run(&self, text: &str) -> Answer<mpsc::Receiver<RunView>> {
        let run = self.pick(text)?;
        let driver = self.runs.follow(run).await.map_err(failed)?;
        let (sender, receiver) = mpsc::channel(WATCH_MAX);
        let cancel = self.cancel.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = send_views(driver, sender) => {}
            }
        });
        Ok(receiver)
    }

    pub(super) async fn audit_run(
        &self,
        text: &str,
        request: &AuditRequest,
        progress: &ProgressSender,
    ) -> Answer<AuditReply> {
        let run = self.pick(text)?;
        let driver = self.runs.follow(run).await.map_err(failed)?;
        let known = driver.snapshot().await.map_or(0, |snapshot| snapshot.tip.round);
        let trusted = request.trusted_round.zip(request.trusted_id);
        run::audit(driver.desk(), known, trusted, progress).await.map_err(failed)
    }

    async fn view(&self, run: RunId) -> Answer<RunView> {
        let driver = self.runs.follow(run).await.map_err(failed)?;
        driver.view().await.map_err(failed)?.ok_or_else(|| failed("the node is stopping"))
    }

    pub(super) fn pick(&self, text: &str) -> Answer<RunId> {
        let known = self.runs.all();
        pick_run(known.iter().map(|(run, spec)| (*run, spec.value().name.as_str())), text)
    }
}

/// Sends the view now and after every change, until nobody listens.
async fn send_views(driver: Driver, sender: mpsc::Sender<RunView>) {
    let mut changes = driver.changes();
    loop {
        changes.mark_unchanged();
        let Ok(Some(view)) = driver.view().await else { return };
        if sender.send(view).await.is_err() || changes.changed().await.is_err() {
            return;
        }
    }
}
