//! A run's models on this node: had, stepped from one round to the next, kept.
//!
//! Invariants: a base is complete, and its bytes have the roots that the tip names; one base and one model,
//! the newest asked for, stay in memory. What it is not: an aggregate (see `jobs`).

use std::sync::{Arc, PoisonError};

use protocol::FileHash;
use protocol::aggregate::{Source, apply_step, hash_of};
use protocol::round::check::Base;
use protocol::round::{RoundRecord, Tip};
use protocol::weights::{Weights, WeightsError};

use super::desk::{Desk, DeskError, bad};
use super::tape::{Tape, Tapes};

/// Records that are remembered as made here; a round has few.
const MADE_MAX: usize = 256;

impl Desk {
    /// Everything that the round after `tip` starts from.
    pub(crate) async fn base(&self, tip: &Tip) -> Result<Arc<Base>, DeskError> {
        let cached = self.base.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(base) = cached.filter(|base| base.tip == *tip) {
            return Ok(base);
        }
        self.keep_model(tip).await?;
        let weights_bytes = self.spec.value().model.weights_bytes;
        let weights = self.source("the model", tip.model, weights_bytes, &[]).await?;
        let state: Arc<dyn Source> = if tip.outer == FileHash::of(b"") {
            Arc::new(Vec::new())
        } else {
            let most = self.spec.value().plan([0; 32]).state().bytes();
            self.source("the outer state", tip.outer, most, &[]).await?
        };
        let required = self.frontier(tip.frontier, &[]).await?;
        if tip.round == 0 {
            // What a creator names need not be a model; what stewards certified is one.
            self.weights(tip.model).await?;
        }
        let made_here = self.made.lock().unwrap_or_else(PoisonError::into_inner).contains(&tip.id);
        let from_elsewhere =
            [("the model", &weights, tip.model), ("the outer state", &state, tip.outer)];
        for (what, source, root) in from_elsewhere.into_iter().filter(|_| !made_here) {
            let found = tokio::task::block_in_place(|| hash_of(&**source));
            if found.map_err(DeskError::Tape)? != root {
                return Err(bad(what, "its bytes on this disk are damaged"));
            }
        }
        let base = Base::new(tip.clone(), weights, state, required).map_err(DeskError::Tape)?;
        let base = Arc::new(base);
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&base));
        Ok(base)
    }

    /// The model at `tip`, by the step from the one before it if that is known here: a step costs a part
    /// of what the model does.
    pub(crate) async fn weights_at(&self, tip: &Tip) -> Result<Arc<Weights>, DeskError> {
        // One at a time: who comes second finds what the first has made.
        let mut newest = self.newest.lock().await;
        if let Some((_, weights)) = newest.as_ref().filter(|(root, _)| *root == tip.model) {
            return Ok(Arc::clone(weights));
        }
        let before = newest.clone();
        let weights = match self.stepped(tip, before).await? {
            Some(weights) => weights,
            None => Arc::new(self.weights(tip.model).await?),
        };
        *newest = Some((tip.model, Arc::clone(&weights)));
        Ok(weights)
    }

    /// The model with this root, if it is the one that was asked for last.
    pub(super) fn newest_if(&self, root: FileHash) -> Option<Arc<Weights>> {
        let newest = self.newest.try_lock().ok()?;
        newest.as_ref().filter(|(of, _)| *of == root).map(|(_, weights)| Arc::clone(weights))
    }

    /// The model at `tip` by its step; nothing if it is here already, has none, or the one before it is not
    /// known.
    async fn stepped(
        &self,
        tip: &Tip,
        before: Option<(FileHash, Arc<Weights>)>,
    ) -> Result<Option<Arc<Weights>>, DeskError> {
        let blobs = self.means.net.blobs();
        let form = self.spec.value().plan([0; 32]).step_form();
        let (Some((from, step)), Some(form)) = (tip.step, form) else { return Ok(None) };
        let before = match before.filter(|(root, _)| *root == from) {
            Some((_, weights)) => weights,
            None if blobs.has(tip.model).await || !blobs.has(from).await => return Ok(None),
            None => Arc::new(self.weights(from).await?),
        };
        let step = self.bytes("a step", step, form.step_bytes(), &[]).await?;
        let after = tokio::task::block_in_place(|| {
            apply_step(&form, &before, &step).map(|after| (after.root(), after))
        });
        let (root, after) = after.map_err(|e| bad("a step", e))?;
        if root != tip.model {
            return Err(bad("a step", "it does not lead to the certified model"));
        }
        Ok(Some(Arc::new(after)))
    }

    /// Keeps what somebody needs who starts from `tip` instead of the first round.
    pub(crate) async fn keep_tip(&self, tip: &Tip) -> Result<(), DeskError> {
        self.keep(tip.roster.to_bytes()).await?;
        self.keep_model(tip).await
    }

    /// Keeps the model at `tip` as a blob, to be served, and to go on from after a restart.
    pub(crate) async fn keep_model(&self, tip: &Tip) -> Result<(), DeskError> {
        if self.means.net.blobs().has(tip.model).await {
            return Ok(());
        }
        let weights = self.weights_at(tip).await?;
        // Without a step it was fetched, and is here now.
        if !self.means.net.blobs().has(tip.model).await {
            self.keep(tokio::task::block_in_place(|| weights.to_bytes())).await?;
        }
        Ok(())
    }

    /// The weights with this root.
    pub(crate) async fn weights(&self, root: FileHash) -> Result<Weights, DeskError> {
        let model = &self.spec.value().model;
        let bytes = self.bytes("the model", root, model.weights_bytes, &[]).await?;
        let weights = Weights::from_bytes(&bytes).map_err(|e: WeightsError| bad("the model", e))?;
        if weights.parameters() as u64 == model.parameters {
            Ok(weights)
        } else {
            Err(bad("the model", "it has another number of parameters than the run"))
        }
    }

    /// Room for what the round after `base` comes to.
    pub(super) fn tapes(&self, base: &Base) -> Result<Tapes, DeskError> {
        let dir = self.means.net.blobs().directory();
        let plan = self.spec.value().plan([0; 32]);
        Tapes::new(&plan, base.weights.bytes(), dir)
            .map_err(|e| DeskError::Data(format!("no room for a round's model: {e}")))
    }

    /// Stores a round's results, to be served.
    pub(super) async fn keep_tapes(
        &self,
        record: &RoundRecord,
        tapes: Tapes,
    ) -> Result<(), DeskError> {
        let blobs = self.means.net.blobs();
        let step = record.step.unwrap_or_else(|| FileHash::of(b""));
        let roots = [record.model_out, record.outer_out, step];
        for (tape, root) in [tapes.weights, tapes.state, tapes.step].into_iter().zip(roots) {
            match tape {
                Tape::Memory(memory) => drop(blobs.add_bytes(memory.into_bytes()).await?),
                Tape::File { file, .. } => blobs.adopt(file, root).await?,
            }
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() == MADE_MAX {
            made.clear();
        }
        made.insert(record.id());
        Ok(())
    }
}
