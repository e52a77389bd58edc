//! A table: a CSV or TSV file of numbers with one label column.
//!
//! Invariants: each row has its content id over *all* columns of the file, whatever of them a
//! model uses; every number is finite; classes are sorted, or the model's own.
//! What it is not: a way to its numbers; those come only out of what a gate admitted.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use consent::{Denial, Permit, Usage};
use protocol::ContentId;
use protocol::limits::{CLASSES_MAX, TABLE_NUMBERS_MAX, TABLE_ROWS_MAX};

use super::error::{Quoted, TableError, TableFault, listed};
use super::records::Records;
use super::sample::{Admission, Names, Rows};

/// How to read a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableOptions {
    /// The column that holds the label.
    pub label: String,
    /// The feature columns, in a model's order; other columns only count for content ids.
    /// None: all but the label, sorted by name.
    pub columns: Option<Vec<String>>,
    /// The classes, in a model's order. None: the labels there are, sorted, as numbers if they all
    /// are.
    pub classes: Option<Vec<String>>,
}

/// The rows of a file, or some of them.
#[derive(Clone)]
pub struct Table {
    rows: Arc<Rows>,
    picked: Vec<u32>,
}

impl TableOptions {
    /// With this label column; all other columns are features.
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), columns: None, classes: None }
    }
}

impl Table {
    /// Reads the whole file.
    pub fn open(path: &Path, options: &TableOptions) -> Result<Self, TableError> {
        let mut records = Records::open(path)?;
        let columns = feature_columns(&records, options)?;
        let label = column_at(&records, &options.label, "the label")?;
        let places = columns
            .iter()
            .map(|name| column_at(&records, name, "a feature of the model"))
            .collect::<Result<Vec<_>, _>>()?;
        let mut classes = Classes::new(options.classes.as_deref());
        let (mut works, mut labels, mut values) = (Vec::new(), Vec::new(), Vec::new());
        while records.advance()? {
            if works.len() == TABLE_ROWS_MAX || values.len() > TABLE_NUMBERS_MAX - places.len() {
                return Err(records.fault(TableFault::TooManyRows));
            }
            for (&place, name) in places.iter().zip(&columns) {
                values.push(number(&records, place, name)?);
            }
            labels.push(classes.index(&records, &records.values()[label], &options.label)?);
            works.push(records.content()?);
        }
        if works.is_empty() {
            return Err(records.fault(TableFault::NoRows));
        }
        let classes = classes.sorted(&mut labels);
        let names = Names { label: options.label.clone(), columns, classes };
        let picked = (0..works.len() as u32).collect();
        Ok(Self { rows: Arc::new(Rows::new(names, works, labels, values)), picked })
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.picked.len()
    }

    /// Whether no row was picked; a file without rows is an error.
    pub fn is_empty(&self) -> bool {
        self.picked.is_empty()
    }

    /// The feature columns, in the order of a row's values.
    pub fn columns(&self) -> &[String] {
        &self.rows.names().columns
    }

    /// The classes.
    pub fn classes(&self) -> &[String] {
        &self.rows.names().classes
    }

    /// The works, one a row, in the file's order.
    pub fn works(&self) -> impl ExactSizeIterator<Item = ContentId> {
        self.picked.iter().map(|&row| self.rows.work(row))
    }

    /// Each row's label as an index into the classes: for splitting, see [`super::split`].
    pub fn labels(&self) -> Vec<usize> {
        self.picked.iter().map(|&row| self.rows.label(row) as usize).collect()
    }

    /// These rows, counted from 0; the numbers are shared, not copied.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn part(&self, rows: &[usize]) -> Self {
        let picked = rows.iter().map(|&row| self.picked[row]).collect();
        Self { rows: Arc::clone(&self.rows), picked }
    }

    /// Asks a gate about each row, for one use. What it lets through can be used once; the next
    /// round asks again.
    ///
    /// # Panics
    /// If a permit is for another work than the one asked about.
    pub fn admit<U: Usage>(
        &self,
        decide: impl FnMut(ContentId) -> Result<Permit<U>, Denial>,
    ) -> Admission<U> {
        self.rows.admit(&self.picked, decide)
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({} rows of {} columns)", self.len(), self.columns().len())
    }
}

fn feature_columns(records: &Records, options: &TableOptions) -> Result<Vec<String>, TableError> {
    let columns = options.columns.clone().unwrap_or_else(|| {
        let mut columns: Vec<String> =
            records.header().iter().filter(|name| **name != options.label).cloned().collect();
        columns.sort();
        columns
    });
    if let Some(at) = records.header().iter().position(String::is_empty)
        && columns.iter().any(String::is_empty)
    {
        return Err(records.fault(TableFault::UnnamedColumn { at: at + 1 }));
    }
    if columns.is_empty() {
        return Err(records.fault(TableFault::NoFeatures { label: options.label.clone() }));
    }
    Ok(columns)
}

fn column_at(records: &Records, name: &str, role: &'static str) -> Result<usize, TableError> {
    let header = records.header();
    header
        .iter()
        .position(|column| column == name)
        .ok_or_else(|| records.fault(TableFault::missing_column(name, role, header)))
}

fn number(records: &Records, place: usize, column: &str) -> Result<f32, TableError> {
    let text = &records.values()[place];
    let number = text.trim().parse::<f32>();
    if let Ok(number) = number
        && number.is_finite()
    {
        return Ok(number);
    }
    let (line, column, value) = (records.line(), column.to_owned(), Quoted::new(text));
    Err(records.fault(match number {
        Ok(_) => TableFault::NotFinite { line, column, value },
        Err(_) => TableFault::NotANumber { line, column, value },
    }))
}

/// The classes met so far, or those given.
struct Classes {
    names: Vec<String>,
    places: HashMap<String, u32>,
    given: bool,
}

impl Classes {
    fn new(given: Option<&[String]>) -> Self {
        let names = given.unwrap_or_default().to_vec();
        let places = names.iter().cloned().zip(0..).collect();
        Self { names, places, given: given.is_some() }
    }

    fn index(&mut self, records: &Records, text: &str, column: &str) -> Result<u32, TableError> {
        if let Some(&index) = self.places.get(text) {
            return Ok(index);
        }
        let fits = !text.trim().is_empty() && !self.given && self.names.len() < CLASSES_MAX;
        if !fits {
            let (line, column) = (records.line(), column.to_owned());
            return Err(records.fault(if text.trim().is_empty() {
                TableFault::EmptyLabel { line, column }
            } else if self.given {
                let (value, classes) = (Quoted::new(text), listed(&self.names));
                TableFault::UnknownClass { line, column, value, classes }
            } else {
                TableFault::TooManyClasses { column, max: CLASSES_MAX }
            }));
        }
        let index = self.names.len() as u32;
        self.names.push(text.into());
        self.places.insert(text.into(), index);
        Ok(index)
    }

    /// The classes in their final order; `labels` are changed to it.
    fn sorted(self, labels: &mut [u32]) -> Vec<String> {
        if self.given {
            return self.names;
        }
        let numbers: Option<Vec<f64>> =
            self.names.iter().map(|name| name.trim().parse().ok()).collect();
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        order.sort_by(|&a, &b| {
            let by_number = numbers.as_ref().map(|numbers| numbers[a].total_cmp(&numbers[b]));
            let by_text = self.names[a].cmp(&self.names[b]);
            by_number.map_or(by_text, |ordering| ordering.then(by_text))
        });
        let mut places = vec![0; order.len()];
        for (place, &from) in (0..).zip(&order) {
            places[from] = place;
        }
        for label in labels {
            *label = places[*label as usize];
        }
        order.into_iter().map(|from| self.names[from].clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::works;

    fn open(text: &str, options: &TableOptions) -> Result<Table, TableError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("t.csv");
        std::fs::write(&path, text).expect("writable");
        let table = Table::open(&path, options);
        if let Ok(table) = &table {
            assert!(table.works().eq(works(&path).expect("works")), "one id a row everywhere");
        }
        table
    }

    fn message(text: &str) -> String {
        let error = open(text, &TableOptions::new("label")).expect_err("not a table");
        error.fault.to_string()
    }

    #[test]
    fn the_order_of_columns_does_not_matter() {
        let options = TableOptions::new("label");
        let a = open("b,label,a\n1,x,2\n3,y,4\n", &options).expect("a table");
        let b = open("a,b,label\n2,1,x\n4,3,y\n", &options).expect("a table");
        assert_eq!(a.columns(), ["a", "b"]);
        assert_eq!(b.columns(), a.columns());
        assert!(a.works().eq(b.works()));
        assert_eq!(a.rows.names(), b.rows.names());
    }

    #[test]
    fn classes_are_sorted_as_numbers_if_they_are() {
        let options = TableOptions::new("label");
        let table = open("a,label\n1,10\n2,9\n3,2\n4,10\n", &options).expect("a table");
        assert_eq!(table.classes(), ["2", "9", "10"]);
        assert_eq!(table.labels(), [2, 1, 0, 2]);
        let table = open("a,label\n1,10\n2,9\n3,b\n", &options).expect("a table");
        assert_eq!(table.classes(), ["10", "9", "b"]);
        assert_eq!(table.part(&[2, 0]).labels(), [2, 0]);
    }

    #[test]
    fn a_models_columns_and_classes_decide() {
        let mut options = TableOptions::new("label");
        options.columns = Some(vec!["b".into(), "a".into()]);
        options.classes = Some(vec!["y".into(), "x".into()]);
        let table = open("a,author,b,label\n1,Ann,2,x\n", &options).expect("a table");
        assert_eq!(table.columns(), ["b", "a"]);
        assert_eq!(table.labels(), [1]);
        let error = open("a,b,label\n1,2,x\n1,2,z\n", &options).expect_err("no class");
        assert_eq!(
            error.fault.to_string(),
            "line 3, column \"label\": \"z\" is none of the model's classes \"y\", \"x\""
        );
        let error = open("a,label\n1,x\n", &options).expect_err("no column");
        assert!(error.fault.to_string().contains("\"b\" (a feature of the model)"), "{error}");
    }

    #[test]
    fn each_fault_has_one_clear_line() {
        assert!(message("a,Label\n1,2\n").ends_with("did you mean \"Label\"?"));
        assert_eq!(
            message("a,label\n1,x\nabc,y\n"),
            "line 3, column \"a\": \"abc\" is not a number (such as 3, -0.5 or 1e-3)"
        );
        assert!(message("a,label\n,x\n").contains("line 2, column \"a\": \"\" is not a number"));
        for text in ["NaN", "inf", "-Infinity", "1e39"] {
            let found = message(&format!("a,label\n{text},x\n"));
            assert!(found.contains("is not finite"), "{found}");
        }
        assert_eq!(message("a,label\n1,\n"), "line 2, column \"label\": the label is empty");
        assert_eq!(message("a,label\n"), "has a header and no rows");
        assert_eq!(message("a,label\n1,x,3\n"), "line 2 has 3 values, the header has 2 columns");
        assert!(message("label\n1\n").contains("no column beside the label"));
        assert!(message(",label\n1,x\n").contains("column 1 has no name"));
        assert!(message("a,a,label\n1,2,x\n").contains("\"a\" is there twice"));
    }
}
