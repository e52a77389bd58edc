//! The rows of a CSV or TSV file.
//!
//! Invariants: those that the trainer reads, with the same ids. What it is not: forgiving. After the
//! first record that is none, nothing tells where the next begins, so the rest of the file is left.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use trainer::data::{Records, TableError};

use super::row::{Names, Values};
use super::{Body, Raw};

/// An open CSV or TSV file.
#[derive(Debug)]
pub(crate) struct Delimited {
    records: Records,
    names: Arc<Names>,
    header: Range<u64>,
    number: u64,
}

impl Delimited {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let records = Records::open(path).map_err(|error| fault(&error))?;
        let names = Names::new(records.header().to_vec()).map_err(|error| error.to_string())?;
        let header = records.span();
        Ok(Self { records, names: Arc::new(names), header, number: 0 })
    }

    pub(super) fn columns(&self) -> &[String] {
        self.names.columns()
    }

    pub(super) fn header(&self) -> Range<u64> {
        self.header.clone()
    }

    pub(super) fn next_row(&mut self) -> Result<Option<Raw>, String> {
        if !self.records.advance().map_err(|error| fault(&error))? {
            return Ok(None);
        }
        self.number += 1;
        let mut values = Values::default();
        self.records.texts().for_each(|text| values.push_text(text));
        let body = Body::Values(Arc::clone(&self.names), values);
        Ok(Some(Raw { number: self.number, span: self.records.span(), body }))
    }
}

/// The fault without the path, which the caller names.
fn fault(error: &TableError) -> String {
    error.fault.to_string()
}
