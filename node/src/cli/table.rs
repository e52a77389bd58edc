//! Aligned columns.
//!
//! Invariants: cells hold no colour and no line ends, so that their width is their length.
//! What it is not: for wide or right-to-left text; what is shown is ids, names and numbers.

use super::output::Style;

/// The gap between two columns.
const GAP: &str = "  ";

/// A table of text with a heading.
#[derive(Debug, Clone)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Debug, Clone)]
struct Column {
    name: &'static str,
    /// Numbers line up at their ends.
    right: bool,
    width_min: usize,
}

impl Table {
    /// A table with these columns. One whose name begins with `>` is flush right; the name does not
    /// keep the sign.
    pub(super) fn new<const N: usize>(columns: [&'static str; N]) -> Self {
        let column = |name: &'static str| {
            let bare = name.strip_prefix('>').unwrap_or(name);
            Column { name: bare, right: bare.len() < name.len(), width_min: 0 }
        };
        Self { columns: columns.into_iter().map(column).collect(), rows: Vec::new() }
    }

    /// The same with least widths, for a table whose rows come one by one.
    pub(super) fn with_widths<const N: usize>(mut self, widths: [usize; N]) -> Self {
        for (column, width) in self.columns.iter_mut().zip(widths) {
            column.width_min = width;
        }
        self
    }

    /// Adds a row.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// The heading and the rows.
    pub(super) fn text(&self, style: Style) -> String {
        let mut text = self.heading(style);
        for row in &self.rows {
            text.push_str(&self.line(row));
            text.push('\n');
        }
        text
    }

    /// The heading alone.
    pub(super) fn heading(&self, style: Style) -> String {
        let names: Vec<String> = self.columns.iter().map(|c| c.name.to_owned()).collect();
        style.bold(&self.line(&names)) + "\n"
    }

    /// One row's line.
    pub(super) fn line(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for (at, (cell, column)) in cells.iter().zip(&self.columns).enumerate() {
            let all = self.rows.iter().filter_map(|row| row.get(at)).map(|c| c.chars().count());
            let width = all.chain([column.name.chars().count(), column.width_min]).max();
            let width = width.unwrap_or_default();
            let gap = if at == 0 { "" } else { GAP };
            line += &match column.right {
                true => format!("{gap}{cell:>width$}"),
                false => format!("{gap}{cell:<width$}"),
            };
        }
        line.trim_end().to_owned()
    }
}

/// `name  value` lines with the values under each other.
pub(super) fn pairs(pairs: &[(&str, String)], style: Style) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let line = |(name, value): &(&str, String)| {
        format!("{}{GAP}{value}\n", style.bold(&format!("{name:<width$}")))
    };
    pairs.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["name", ">bytes", "note"]);
        table.row(["a".into(), "7".into(), "x".into()]);
        table.row(["longer".into(), "1234567".into(), String::new()]);
        let expected = "name      bytes  note\na             7  x\nlonger  1234567\n";
        assert_eq!(table.text(Style::PLAIN), expected);
        let table = Table::new(["a", ">b"]).with_widths([4, 3]);
        assert_eq!(table.line(&["x".into(), "1".into()]), "x       1");
        let lines = pairs(&[("a", "1".into()), ("long", "2".into())], Style::PLAIN);
        assert_eq!(lines, "a     1\nlong  2\n");
    }
}
