//! All runs that this node knows, and the drivers of those it takes part in.
//!
//! Invariants: a run's announcement is on disk before it is reported as known; a run has at most one
//! driver; what this node joined is taken up again after a restart.
//! What it is not: a run's state (see `driver`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::limits::RUNS_MAX;
use protocol::round::{Wire, WireError};
use protocol::run::{RunSpec, run_id};
use protocol::{PublicKey, RunId, SecretKey, Signed};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use trainer::Table;

use super::desk::{Desk, DeskError, Means};
use super::driver::Driver;
use super::jobs::Part;
use super::parts::{self, FOLLOWS_NOTE, INVITATION_NOTE, SHOWS_NOTE};
use super::publish::{PUBLISHED_NOTE, Publisher};
use crate::repo::HeadBook;
use crate::store::StoreError;

/// Why a run could not be found or joined.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No run fits.
    #[error("no run known here is {0:?}: `accord run status` lists the runs")]
    Unknown(String),
    /// The data cannot be trained on.
    #[error(transparent)]
    Table(#[from] trainer::TableError),
    /// The trainer is not invited.
    #[error(
        "this node is not invited to the run: ask a steward, or a trainer of it, for an invitation \
         (`accord run invite {run} {node}` on their node)"
    )]
    NotInvited {
        /// The run.
        run: String,
        /// This node.
        node: PublicKey,
    },
    /// The trainer was removed.
    #[error("the stewards have removed this node from the run")]
    Removed,
    /// The invitation is none, or for somebody else.
    #[error("the invitation is {0}")]
    Invitation(String),
    /// Nobody would take this node's word.
    #[error("this node may invite nobody: only stewards, and trainers past their probation, may")]
    NoVoucher,
    /// Nobody needs inviting.
    #[error("the run is open: whoever wants can join")]
    Open,
    /// It has brought in as many as it may.
    #[error("this node has brought in the {0} trainers that it may")]
    VouchedOut(u32),
    /// Only stewards move.
    #[error("this node is no steward of the run")]
    NoSteward,
    /// What was moved would change nothing, or leave nobody.
    #[error("that does not fit: {0}")]
    Unfit(&'static str),
    /// There is nothing to leave.
    #[error("this node does not train in the run")]
    NotJoined,
    /// The run's task has stopped.
    #[error("the run has {0}")]
    Broken(String),
    /// The run is over.
    #[error("the run is finished: its model is in its creator's repo")]
    Finished,
    /// Something that the run needs is missing.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// Metadata could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
}

/// The runs.
#[derive(Debug)]
pub(crate) struct RunBook {
    pub(super) means: Means,
    pub(super) key: SecretKey,
    publisher: Publisher,
    specs: Mutex<BTreeMap<RunId, Signed<RunSpec>>>,
    drivers: Mutex<BTreeMap<RunId, Driver>>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl RunBook {
    /// Reads the runs from disk and takes up those that this node takes part in.
    pub(crate) async fn open(
        means: Means,
        key: SecretKey,
        owner: SecretKey,
        heads: Arc<HeadBook>,
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) -> Result<Self, RunError> {
        let mut specs = BTreeMap::new();
        for bytes in means.store.runs()? {
            let spec = Signed::<RunSpec>::open(&bytes).map_err(|_| StoreError::Damaged("runs"))?;
            specs.insert(run_id(&spec), spec);
        }
        let book = Self {
            means,
            key,
            publisher: Publisher { heads, owner },
            specs: Mutex::new(specs),
            drivers: Mutex::default(),
            tasks,
            cancel,
        };
        for (run, spec) in book.all() {
            if book.takes_part(run, &spec)?
                && let Err(error) = book.take_up(run).await
            {
                tracing::error!(run = %run.short(), %error, "a run cannot be taken up");
            }
        }
        Ok(book)
    }

    /// Whether this node has something to do in a run: to certify it, to train in it, or to publish
    /// what comes of it.
    fn takes_part(&self, run: RunId, spec: &Signed<RunSpec>) -> Result<bool, StoreError> {
        let store = &self.means.store;
        let publishes = || -> Result<bool, StoreError> {
            let published: Option<String> = store.note(run, 0, PUBLISHED_NOTE)?;
            Ok(spec.signer() == self.publisher.owner.public() && published.is_none())
        };
        let is_steward = spec.value().stewards.contains(&self.key.public());
        let follows = store.note::<bool>(run, 0, FOLLOWS_NOTE)?.unwrap_or(false);
        Ok(is_steward || follows || store.part(run)?.is_some() || publishes()?)
    }

    /// Takes a run's announcement. Says whether it was news.
    pub(crate) async fn take(&self, wire: &Wire) -> Result<bool, TakeRunError> {
        let spec = wire.open_spec()?;
        self.insert(spec).await.map_err(TakeRunError::Run)
    }

    /// Takes a run's announcement, verified.
    pub(crate) async fn insert(&self, spec: Signed<RunSpec>) -> Result<bool, RunError> {
        let run = run_id(&spec);
        {
            let specs = self.specs();
            if specs.contains_key(&run) || specs.len() >= RUNS_MAX {
                return Ok(false);
            }
        }
        // A run whose terms cannot be read is of no use to anyone.
        Desk::new(self.means.clone(), spec.clone())?;
        self.means.store.keep_run(run, spec.bytes())?;
        let takes_part = self.takes_part(run, &spec)?;
        self.specs().insert(run, spec);
        if takes_part {
            self.take_up(run).await?;
        }
        Ok(true)
    }

    /// All runs, by id.
    pub(crate) fn all(&self) -> Vec<(RunId, Signed<RunSpec>)> {
        self.specs().iter().map(|(run, spec)| (*run, spec.clone())).collect()
    }

    /// How many runs are known.
    pub(crate) fn count(&self) -> usize {
        self.specs().len()
    }

    /// A run's specification.
    pub(crate) fn spec(&self, run: RunId) -> Option<Signed<RunSpec>> {
        self.specs().get(&run).cloned()
    }

    /// The driver of a run, if this node follows it.
    pub(crate) fn driver(&self, run: RunId) -> Option<Driver> {
        self.drivers().get(&run).cloned()
    }

    /// The driver of a run, started if there is none.
    pub(crate) async fn follow(&self, run: RunId) -> Result<Driver, RunError> {
        match self.driver(run) {
            Some(driver) => Ok(driver),
            None => self.take_up(run).await,
        }
    }

    /// Follows a run from now on, also after a restart: to be a steward of it, once appointed.
    pub(crate) async fn keep_following(&self, run: RunId) -> Result<Driver, RunError> {
        let driver = self.follow(run).await?;
        self.means.store.keep_note(run, 0, FOLLOWS_NOTE, &true)?;
        Ok(driver)
    }

    /// Trains in a run on the table at `data` from now on, also after a restart.
    pub(crate) async fn join(
        &self,
        run: RunId,
        data: &Path,
        shows: bool,
        invitation: Option<&str>,
    ) -> Result<Driver, RunError> {
        let driver = self.follow(run).await?;
        let snapshot = driver.snapshot().await.ok_or(RunError::Stopped)?;
        if snapshot.finished {
            return Err(RunError::Finished);
        }
        let desk = driver.desk();
        if let Some(text) = invitation {
            let envelope = parts::read_invitation(text, run, self.key.public())?;
            self.means.store.keep_note(run, 0, INVITATION_NOTE, &hex::encode(envelope))?;
        }
        let invitation = self.invitation(run)?;
        self.check_welcome(desk, &snapshot.tip.roster, invitation.is_some())?;
        let part = open_part(desk, data, shows, invitation).await?;
        self.means.store.keep_note(run, 0, SHOWS_NOTE, &shows)?;
        self.means.store.keep_part(run, Some(&data.display().to_string()))?;
        participate(&driver, Some(part)).await?;
        Ok(driver)
    }

    /// Trains in a run no longer.
    pub(crate) async fn leave(&self, run: RunId) -> Result<Driver, RunError> {
        let driver = self.follow(run).await?;
        let snapshot = driver.snapshot().await.ok_or(RunError::Stopped)?;
        if !snapshot.trainer && self.means.store.part(run)?.is_none() {
            return Err(RunError::NotJoined);
        }
        self.means.store.keep_part(run, None)?;
        participate(&driver, None).await?;
        Ok(driver)
    }

    async fn take_up(&self, run: RunId) -> Result<Driver, RunError> {
        let spec = self.spec(run).ok_or_else(|| RunError::Unknown(run.to_string()))?;
        let desk = Arc::new(Desk::new(self.means.clone(), spec)?);
        let mut part = None;
        if let Some(data) = self.means.store.part(run)? {
            let shows = self.means.store.note(run, 0, SHOWS_NOTE)?.unwrap_or(false);
            match open_part(&desk, Path::new(&data), shows, self.invitation(run)?).await {
                Ok(opened) => part = Some(opened),
                Err(error) => {
                    tracing::error!(run = %run.short(), %error, "cannot train: join again");
                }
            }
        }
        let mut drivers = self.drivers();
        if let Some(driver) = drivers.get(&run) {
            return Ok(driver.clone());
        }
        let driver = Driver::start(
            desk,
            self.key.clone(),
            part,
            self.publisher.clone(),
            &self.tasks,
            self.cancel.child_token(),
        )?;
        drivers.insert(run, driver.clone());
        Ok(driver)
    }

    fn specs(&self) -> MutexGuard<'_, BTreeMap<RunId, Signed<RunSpec>>> {
        // Maps that only gain whole entries stay usable after a panic elsewhere.
        self.specs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drivers(&self) -> MutexGuard<'_, BTreeMap<RunId, Driver>> {
        self.drivers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an announcement was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeRunError {
    /// It does not open: no honest node sends it.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// It could not be kept or taken up.
    #[error(transparent)]
    Run(RunError),
}

async fn participate(driver: &Driver, part: Option<Arc<Part>>) -> Result<(), RunError> {
    let said = driver.participate(part).await.ok_or(RunError::Stopped)?;
    said.map_err(RunError::Broken)
}

async fn open_part(
    desk: &Desk,
    data: &Path,
    shows: bool,
    invitation: Option<Vec<u8>>,
) -> Result<Arc<Part>, RunError> {
    let config = desk.config().await?;
    let data = data.to_owned();
    let table = tokio::task::block_in_place(|| Table::open(&data, &config.table_options()))?;
    Ok(Arc::new(Part::new(table, shows.then_some(data), invitation)))
}
