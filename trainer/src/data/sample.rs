//! From rows to what may be used of them: the gate's side door does not exist.
//!
//! ```text
//! Rows --admit, one Permit a row--> Admitted --draw, spends the permits--> Draw --> Batch, Ranges
//! ```
//!
//! Invariants: the numbers of a row are private to this file until its permit is spent; a [`Draw`]
//! lives inside one call that trains or evaluates, so no permit outlives its round.
//! What it is not: the gate. The caller passes its answer for each work.
//!
//! There is no way around a permit:
//!
//! ```compile_fail,E0616
//! fn peek(table: &trainer::Table) -> usize {
//!     table.rows.values.len()
//! }
//! ```
//!
//! nor two rounds on one:
//!
//! ```compile_fail,E0382
//! use trainer::{Admitted, Device, Evaluation, ModelConfig, evaluate};
//! fn twice(
//!     config: &ModelConfig,
//!     weights: &protocol::weights::Weights,
//!     admitted: Admitted<consent::permit::Evaluate>,
//! ) {
//!     let _ = evaluate(config, weights, admitted, &Device::cpu());
//!     let _ = evaluate(config, weights, admitted, &Device::cpu());
//! }
//! ```
//!
//! nor training on leave to evaluate:
//!
//! ```compile_fail,E0308
//! use trainer::{Admitted, ModelConfig};
//! fn confuse(admitted: Admitted<consent::permit::Evaluate>) {
//!     let _ = ModelConfig::mlp(admitted, &[32]);
//! }
//! ```

use std::sync::Arc;

use consent::{Denial, Permit, Usage};
use protocol::ContentId;

/// The rows of a table: features and label of each, by its content id.
pub(super) struct Rows {
    names: Arc<Names>,
    works: Vec<ContentId>,
    labels: Vec<u32>,
    values: Vec<f32>,
}

/// What the values of a row mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    /// The label column.
    pub(crate) label: String,
    /// The feature columns, in the order of a row's values.
    pub(crate) columns: Vec<String>,
    /// The classes; a label is an index into them.
    pub(crate) classes: Vec<String>,
}

/// What a gate said to the rows of a table.
#[derive(Debug)]
pub struct Admission<U: Usage> {
    /// The rows it let through.
    pub admitted: Admitted<U>,
    /// Its refusals, one a row, in the table's order.
    pub denials: Vec<Denial>,
}

/// Rows with leave to be used for `U`, once; in the order of their content ids.
pub struct Admitted<U: Usage> {
    rows: Arc<Rows>,
    samples: Vec<Sample<U>>,
}

/// One row with its permit.
struct Sample<U: Usage> {
    row: u32,
    permit: Permit<U>,
}

/// The rows of an [`Admitted`] whose permits were spent.
pub(crate) struct Draw {
    rows: Arc<Rows>,
    picked: Vec<u32>,
}

impl Rows {
    /// `values` holds one number a feature column for each work.
    pub(super) fn new(
        names: Names,
        works: Vec<ContentId>,
        labels: Vec<u32>,
        values: Vec<f32>,
    ) -> Self {
        assert_eq!(works.len(), labels.len(), "one label a row");
        assert_eq!(works.len() * names.columns.len(), values.len(), "one value a row and column");
        Self { names: Arc::new(names), works, labels, values }
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn work(&self, row: u32) -> ContentId {
        self.works[row as usize]
    }

    pub(super) fn label(&self, row: u32) -> u32 {
        self.labels[row as usize]
    }

    /// Asks `decide` about each of these rows.
    ///
    /// # Panics
    /// If a permit is for another work than the one asked about.
    pub(super) fn admit<U: Usage>(
        self: &Arc<Self>,
        rows: &[u32],
        mut decide: impl FnMut(ContentId) -> Result<Permit<U>, Denial>,
    ) -> Admission<U> {
        let (mut samples, mut denials) = (Vec::with_capacity(rows.len()), Vec::new());
        for &row in rows {
            match decide(self.work(row)) {
                Ok(permit) => {
                    assert_eq!(permit.work(), self.work(row), "a permit is for the work it names");
                    samples.push(Sample { row, permit });
                }
                Err(denial) => denials.push(denial),
            }
        }
        samples.sort_by_key(|sample| sample.permit.work());
        Admission { admitted: Admitted { rows: Arc::clone(self), samples }, denials }
    }
}

impl<U: Usage> Admitted<U> {
    /// The works, sorted; a row that is in the table twice is here twice.
    pub fn works(&self) -> impl ExactSizeIterator<Item = ContentId> {
        self.samples.iter().map(|sample| sample.permit.work())
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether every row was refused.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    pub(crate) fn names(&self) -> &Names {
        &self.rows.names
    }

    /// Spends the permits.
    pub(crate) fn draw(self) -> Draw {
        let picked = self.samples.into_iter().map(|sample| {
            sample.permit.spend();
            sample.row
        });
        Draw { picked: picked.collect(), rows: self.rows }
    }
}

impl<U: Usage> std::fmt::Debug for Admitted<U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Admitted({} rows for {})", self.samples.len(), U::USE)
    }
}

impl Draw {
    /// How many samples.
    pub(crate) fn len(&self) -> usize {
        self.picked.len()
    }

    /// The features of sample `at`, one a column.
    pub(crate) fn features(&self, at: usize) -> &[f32] {
        let (row, width) = (self.picked[at] as usize, self.rows.names.columns.len());
        &self.rows.values[row * width..][..width]
    }

    /// The class of sample `at`.
    pub(crate) fn class(&self, at: usize) -> u32 {
        self.rows.label(self.picked[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consent::permit::TrainOther;
    use consent::{Gate, Ledger, Policy, Silence};

    fn rows() -> Arc<Rows> {
        let names = Names {
            label: "label".into(),
            columns: vec!["x".into()],
            classes: vec!["a".into(), "b".into()],
        };
        let works = [b"0", b"1", b"2"].map(|bytes| ContentId::of(bytes)).to_vec();
        Arc::new(Rows::new(names, works, vec![0, 1, 0], vec![1.0, 2.0, 3.0]))
    }

    #[test]
    fn only_what_the_gate_let_through_is_drawn() {
        let (ledger, policy) =
            (Ledger::new(), Policy { default: Silence::OptOut, ..Policy::default() });
        let (open, closed) = (Policy::default(), rows().work(1));
        let gate = Gate::new(&ledger, &policy, 0);
        let shut = Gate::new(&ledger, &open, 0);
        let admission = rows().admit::<TrainOther>(&[0, 1, 2], |work| {
            if work == closed { shut.decide(work) } else { gate.decide(work) }
        });
        assert_eq!(admission.denials.iter().map(|d| d.work).collect::<Vec<_>>(), [closed]);
        assert!(admission.admitted.works().is_sorted());
        let draw = admission.admitted.draw();
        let mut seen: Vec<_> =
            (0..draw.len()).map(|at| (draw.features(at)[0], draw.class(at))).collect();
        seen.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert_eq!(seen, [(1.0, 0), (3.0, 0)]);
    }

    #[test]
    #[should_panic(expected = "a permit is for the work it names")]
    fn a_permit_for_another_work_is_no_leave() {
        let (ledger, policy) =
            (Ledger::new(), Policy { default: Silence::OptOut, ..Policy::default() });
        let gate = Gate::new(&ledger, &policy, 0);
        rows().admit::<TrainOther>(&[0], |_| gate.decide(ContentId::of(b"another")));
    }

    #[test]
    fn rows_can_be_trained_on_in_another_thread() {
        fn is_send<T: Send>() {}
        is_send::<Admitted<TrainOther>>();
        is_send::<Arc<Rows>>();
    }
}
