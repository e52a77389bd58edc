//! Where results go: text for people, or JSON, on standard output.
//!
//! Invariants: every result is written and flushed at once; colour only on a terminal and never
//! against `NO_COLOR` (no-color.org). What it is not: progress (see `progress`) or errors.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// Standard output, as JSON or text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    json: bool,
    style: Style,
}

/// How text is set off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    colour: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { json, style: Style { colour: wanted && io::stdout().is_terminal() } }
    }

    /// Whether JSON is wanted.
    pub(super) const fn json(self) -> bool {
        self.json
    }

    /// Shows a result: as one line of JSON, or as the text made of it.
    pub(super) fn show<T: Serialize + ?Sized>(
        self,
        value: &T,
        text: impl FnOnce(&T, Style) -> String,
    ) -> io::Result<()> {
        let text = if self.json {
            serde_json::to_string(value).map_err(io::Error::other)?
        } else {
            text(value, self.style)
        };
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}", text.trim_end_matches('\n'))?;
        stdout.flush()
    }
}

impl Style {
    /// Text without colour.
    pub(super) const PLAIN: Self = Self { colour: false };

    /// A heading.
    pub(super) fn bold(self, text: &str) -> String {
        self.set(text, "1")
    }

    /// What is as it should be.
    pub(super) fn good(self, text: &str) -> String {
        self.set(text, "32")
    }

    /// What a person should look at.
    pub(super) fn bad(self, text: &str) -> String {
        self.set(text, "31")
    }

    fn set(self, text: &str, code: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_only_where_it_is_wanted() {
        assert_eq!(Style::PLAIN.bold("x"), "x");
        assert_eq!(Style { colour: true }.bad("x"), "\x1b[31mx\x1b[0m");
    }
}
