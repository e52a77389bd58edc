//! How a long request says how far it is.
//!
//! Invariants: saying so never waits and never fails; what a slow reader has no room for is dropped.
//! What it is not: a log. Only the newest line counts.

use tokio::sync::mpsc;

use protocol::limits::API_PROGRESS_MAX;

use super::dto::Progress;

/// Where progress goes; clones go to the same place.
#[derive(Debug, Clone)]
pub struct ProgressSender(Option<mpsc::Sender<Progress>>);

impl ProgressSender {
    /// One that somebody listens to, and the listener's end.
    pub fn channel() -> (Self, mpsc::Receiver<Progress>) {
        let (sender, receiver) = mpsc::channel(API_PROGRESS_MAX);
        (Self(Some(sender)), receiver)
    }

    /// One that nobody listens to.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Says that `what` is being done, of which nothing is counted.
    pub fn begin(&self, what: &str) {
        self.send(what, 0, None, "");
    }

    /// Says that `done` of `total` units (`bytes`, `samples`, `rounds`) of `what` are done.
    pub fn send(&self, what: &str, done: u64, total: Option<u64>, unit: &str) {
        if let Some(sender) = &self.0
            && let Ok(room) = sender.try_reserve()
        {
            room.send(Progress { what: what.to_owned(), done, total, unit: unit.to_owned() });
        }
    }

    /// Whether somebody listened and does no more.
    pub fn is_left(&self) -> bool {
        self.0.as_ref().is_some_and(mpsc::Sender::is_closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_does_not_read_stops_nobody() {
        let (sender, mut receiver) = ProgressSender::channel();
        for done in 0..1_000 {
            sender.send("counting", done, Some(1_000), "samples");
        }
        let mut lines = 0;
        while receiver.try_recv().is_ok() {
            lines += 1;
        }
        assert_eq!(lines, API_PROGRESS_MAX);
        assert!(!sender.is_left());
        drop(receiver);
        assert!(sender.is_left() && !ProgressSender::none().is_left());
        sender.send("counting", 1_000, None, "samples");
        ProgressSender::none().send("nothing", 0, None, "bytes");
    }
}
