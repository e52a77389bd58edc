//! What a round asks for, begun beside the task that owns it.
//!
//! Invariants: each job answers by a command, whatever becomes of it, or its node stops. What it is not: the
//! work itself (see `jobs`, `records`, `slices` and `inspect`).

use std::sync::Arc;

use protocol::Signed;
use protocol::round::{Assignment, Input, RoundRecord, Slate, Tip};

use super::certificates::ask_some;
use super::driver::Command;
use super::inspect::Inspection;
use super::jobs;
use super::records::Answered;
use super::task::Task;

impl Task {
    pub(super) fn train(&mut self, round: u64, base: Tip) {
        let Some(part) = self.part.clone() else {
            self.doing = "cannot train: the data cannot be read; join again".into();
            self.touch();
            return;
        };
        let (desk, me) = (Arc::clone(&self.desk), self.desk.means.net.key());
        let (cancel, commands) = (self.jobs.next_training(), self.commands.clone());
        self.doing = format!("training round {round}");
        self.touch();
        self.spawn(async move {
            let trained = jobs::train(&desk, &part, me, round, base, cancel.clone()).await;
            if cancel.is_cancelled() {
                return None;
            }
            let doing = match &trained {
                Ok(_) => format!("waiting for the others in round {round}"),
                Err(error) => {
                    tracing::warn!(round, %error, "no update");
                    format!("round {round}: {error}")
                }
            };
            // A closed channel means that the node stops.
            let _ = commands.send(Command::Doing(doing)).await;
            Some(Input::Trained { round, update: trained.ok() })
        });
    }

    /// Looks at another's work, beside the training of the next round; one look at a time.
    pub(super) fn audit(&self, base: Tip, record: Box<RoundRecord>, assignment: Assignment) {
        let Some(part) = self.part.clone() else { return };
        let Ok(turn) = Arc::clone(&self.jobs.inspecting).try_lock_owned() else { return };
        let (desk, round) = (Arc::clone(&self.desk), record.round);
        let held = desk.newest_if(base.model);
        self.spawn(async move {
            let _turn = turn;
            let base = match held {
                Some(base) => base,
                None => Arc::new(desk.weights(base.model).await.ok()?),
            };
            let inspection = Inspection { record, assignment, base };
            let made = inspection.make(&desk, &part).await;
            let made = made.inspect_err(|error| tracing::info!(round, %error, "no report"));
            made.ok().flatten().map(Input::Audited)
        });
    }

    /// Works out slices that a steward asks for, beside the training of this round.
    pub(super) fn slices(&self, base: Tip, slate: Signed<Slate>, slices: Vec<u32>) {
        let desk = Arc::clone(&self.desk);
        self.spawn(async move {
            let round = base.round + 1;
            let made = desk.work_out(&base, &slate, &slices).await;
            made.inspect_err(|error| tracing::info!(round, %error, "no slices")).ok()
        });
    }

    /// Runs a job on a record; what others said otherwise than it is goes first.
    pub(super) fn answer(&self, job: impl Future<Output = Answered> + Send + 'static) {
        let commands = self.commands.clone();
        self.spawn(async move {
            let Answered { answer, contradicted } = job.await;
            if let Some(input) = contradicted {
                // A closed channel means that the node stops.
                let _ = commands.send(Command::Input(Box::new(input))).await;
            }
            Some(answer)
        });
    }

    pub(super) fn catch_up(&mut self, round: u64) {
        if std::mem::replace(&mut self.catching_up.under_way, true) {
            return;
        }
        let (desk, commands) = (Arc::clone(&self.desk), self.commands.clone());
        let turn = self.catching_up.turn;
        self.catching_up.turn += 1;
        self.spawn(async move {
            let certificates = ask_some(&desk, round, turn).await;
            let _ = commands.send(Command::CaughtUp).await;
            (!certificates.is_empty()).then_some(Input::CaughtUp(certificates))
        });
    }
}
