//! How far one request is: a bar on standard error if that is a terminal, else nothing.
//!
//! Invariants: there is no bar before there is something to count, and nothing of it is left once it
//! is dropped. What it is not: needed. Whether it can be drawn changes nothing.

use indicatif::{ProgressBar, ProgressStyle};

use crate::api::dto::Progress;

/// The bar of one request, which may do several things one after another.
#[derive(Debug, Default)]
pub(super) struct Bar(Option<ProgressBar>);

impl Bar {
    /// Shows how far it is now.
    pub(super) fn show(&mut self, progress: &Progress) {
        if progress.total == Some(0) {
            return;
        }
        match &self.0 {
            Some(bar) if bar.message() == progress.what => bar.set_position(progress.done),
            _ => {
                self.clear();
                let bar = begun(progress);
                bar.tick();
                self.0 = Some(bar);
            }
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A bar that is drawn for the first time when all of it is known. The longest line fits a terminal
/// of 80 columns.
fn begun(progress: &Progress) -> ProgressBar {
    let amount = match (progress.unit.as_str(), progress.total) {
        ("bytes", Some(_)) => "{bar:24} {binary_bytes}/{binary_total_bytes}",
        ("bytes", None) => "{binary_bytes}",
        (_, Some(_)) => "{bar:24} {pos}/{len} {prefix}",
        (_, None) => "{pos} {prefix}",
    };
    let style = ProgressStyle::with_template(&format!("   {{msg}} {amount}"));
    let bar = progress.total.map_or_else(ProgressBar::no_length, ProgressBar::new);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_prefix(progress.unit.clone())
        .with_message(progress.what.clone())
        .with_position(progress.done)
}
