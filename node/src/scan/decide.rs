//! The second and third pass: how far claims of likeness reach, and what the gate says of each item.
//!
//! Invariants: no record comes in while a batch is decided; that no claim of likeness was found about
//! an item is only used again where the ledger is as it was. What it is not: the answer about one item
//! (see `judge`).

use std::io;
use std::path::PathBuf;

use consent::{Gate, Reach, SetAside};
use protocol::{ContentId, FileHash};
use rayon::prelude::*;

use super::bits::Bits;
use super::item::{Item, Known, State};
use super::judge::{Judge, Verdict};
use super::report::{ItemFormat, Lines, Tally};
use super::spool::{Batch, Frame, Spool};
use super::{Scan, ScanError};
use crate::api::dto::ScanReply;
use crate::clock::now_ms;

/// How often the decisions are made again if records came meanwhile.
const TRIES: usize = 3;
/// The fewest items for which a thread is asked.
const TOGETHER_MIN: usize = 32;
/// How many items the gate looks ahead to at once.
const LOOKED_AHEAD: usize = 32;

/// What the second pass found.
#[derive(Debug, Default)]
struct Weighed {
    aside: SetAside,
    /// The items that some claim of likeness is about.
    alike: Bits,
    /// How many records there were.
    records: usize,
}

/// A part of a batch.
struct Part<'a> {
    frames: &'a [Frame],
    /// The number of the first of them in the batch.
    first: usize,
    /// How many records the ledger has.
    records: usize,
}

/// What was decided on some items.
#[derive(Default)]
struct Told {
    lines: Vec<u8>,
    tally: Tally,
    allowed: Vec<bool>,
}

impl Scan<'_> {
    /// Decides on all items, until no record comes in between.
    pub(super) fn decide(&self, spool: &mut Spool) -> Result<(ScanReply, Bits), ScanError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let before = self.state();
            let weighed = self.weigh(spool)?;
            let (mut reply, allowed) = self.judge(spool, &weighed)?;
            reply.moved = before != self.state();
            if reply.moved && tries < TRIES {
                continue;
            }
            let (frontier, missing) = before;
            (reply.frontier, reply.lists_missing) = (Some(frontier), missing);
            reply.set_aside = weighed.aside.records().copied().collect();
            return Ok((reply, allowed));
        }
    }

    /// What the ledger has: its frontier, and of how many collections it lacks the list.
    fn state(&self) -> (FileHash, u64) {
        self.ledger.with_ledger(|ledger| {
            (ledger.frontier_id(), ledger.collections_missing().count() as u64)
        })
    }

    /// Counts how far each claim of likeness reaches.
    fn weigh(&self, spool: &mut Spool) -> Result<Weighed, ScanError> {
        let likeness = &self.order.policy.likeness;
        let (mut reach, total) = (Reach::default(), spool.len());
        let mut weighed = Weighed { records: self.ledger.count(), ..Weighed::default() };
        let (mut reading, mut done) = (spool.read().map_err(ScanError::Spool)?, 0);
        loop {
            let batch = reading.batch().map_err(ScanError::Spool)?;
            if batch.frames.is_empty() {
                weighed.aside = reach.beyond(likeness);
                return Ok(weighed);
            }
            self.go_on()?;
            done += batch.frames.len() as u64;
            if !batch.frames.iter().any(|frame| frame.alike) {
                batch.frames.iter().for_each(|_| weighed.alike.push(false));
                continue;
            }
            for told in self.asked(batch, |gate, part| self.weigh_some(gate, batch, part.frames)) {
                let (some, alike) = told.map_err(ScanError::Spool)?;
                reach.merge(some, likeness);
                alike.into_iter().for_each(|alike| weighed.alike.push(alike));
            }
            self.progress.send("comparing", done, Some(total), "items");
        }
    }

    fn weigh_some(
        &self,
        gate: &Gate<'_>,
        batch: Batch<'_>,
        frames: &[Frame],
    ) -> io::Result<(Reach, Vec<bool>)> {
        let (mut reach, mut found) = (Reach::default(), vec![false; frames.len()]);
        for (frame, found) in frames.iter().zip(&mut found).filter(|(frame, _)| frame.alike) {
            let State::Read(works, _) = batch.item(*frame)?.state else { continue };
            let alike = works.iter().filter(|known| known.is_alike());
            let works: Vec<_> = alike.map(|known: &Known| known.work(true)).collect();
            *found = gate.count_reach(&works, self.order.about, &mut reach);
        }
        Ok((reach, found))
    }

    /// Decides on every item.
    fn judge(&self, spool: &mut Spool, weighed: &Weighed) -> Result<(ScanReply, Bits), ScanError> {
        let open = |(path, format): &(PathBuf, ItemFormat)| {
            Lines::create(path, *format).map_err(|error| ScanError::Write(path.clone(), error))
        };
        let mut lines = self.order.items.as_ref().map(open).transpose()?;
        let format = lines.as_ref().map(Lines::format);
        let (mut tally, mut allowed) = (Tally::default(), Bits::default());
        let total = spool.len();
        let (mut reading, mut done) = (spool.read().map_err(ScanError::Spool)?, 0);
        let failed = |error| match &self.order.items {
            Some((path, _)) => ScanError::Write(path.clone(), error),
            None => ScanError::Spool(error),
        };
        loop {
            let batch = reading.batch().map_err(ScanError::Spool)?;
            if batch.frames.is_empty() {
                break;
            }
            self.go_on()?;
            let first = done;
            done += batch.frames.len() as u64;
            let parts = self.asked(batch, |gate, part| {
                let alike = (part.records == weighed.records).then_some(&weighed.alike);
                let judge = Judge {
                    gate,
                    about: self.order.about,
                    default: self.order.policy.default,
                    aside: &weighed.aside,
                    files: &self.files.found,
                };
                judge_some(&judge, batch, part.frames, format, |at| {
                    alike.is_none_or(|alike| alike.has(first + (part.first + at) as u64))
                })
            });
            for told in parts {
                let told = told.map_err(ScanError::Spool)?;
                if let Some(lines) = &mut lines {
                    lines.add(&told.lines).map_err(failed)?;
                }
                tally.merge(told.tally);
                told.allowed.into_iter().for_each(|is| allowed.push(is));
            }
            self.progress.send("deciding", done, Some(total), "items");
        }
        if let Some(lines) = lines {
            lines.finish().map_err(failed)?;
        }
        Ok((tally.reply(), allowed))
    }

    /// Asks gates about a batch, one gate and one part of it for each thread, while no record comes
    /// into the ledger.
    fn asked<T: Send>(
        &self,
        batch: Batch<'_>,
        ask: impl Fn(&Gate<'_>, &Part<'_>) -> T + Sync,
    ) -> Vec<T> {
        let policy = &self.order.policy;
        let size = batch.frames.len().div_ceil(self.pool.current_num_threads()).max(TOGETHER_MIN);
        self.ledger.with_ledger(|ledger| {
            let (now_ms, records) = (now_ms(), ledger.len());
            self.pool.install(|| {
                let parts = batch.frames.par_chunks(size).enumerate();
                let asked = parts.map(|(number, frames)| {
                    let part = Part { frames, first: number * size, records };
                    ask(&Gate::new(ledger, policy, now_ms), &part)
                });
                asked.collect()
            })
        })
    }
}

/// Decides on some items of a batch; `alike` says of each whether claims of likeness are looked for.
fn judge_some(
    judge: &Judge<'_>,
    batch: Batch<'_>,
    frames: &[Frame],
    format: Option<ItemFormat>,
    alike: impl Fn(usize) -> bool,
) -> io::Result<Told> {
    let mut told = Told::default();
    for some in frames.chunks(LOOKED_AHEAD) {
        let items: Vec<Item> =
            some.iter().map(|frame| batch.item(*frame)).collect::<io::Result<_>>()?;
        let works: Vec<ContentId> = items.iter().flat_map(Item::contents).collect();
        judge.gate.look_ahead(&works);
        for item in &items {
            let answer = judge.about(item, alike(told.allowed.len()));
            told.allowed.push(answer.verdict == Verdict::Allowed);
            if let Some(format) = format {
                Lines::line(&judge.shown(item, &answer), format, &mut told.lines);
            }
            told.tally.add(&answer, item.licence.as_deref(), || judge.shown(item, &answer));
        }
    }
    Ok(told)
}
