//! The wish to stop, as the system tells it: Ctrl-C, SIGTERM, or the terminal that goes away.
//!
//! Invariants: from the moment a [`Signals`] is made, its signals end the program only through it.
//! What it is not: how to stop.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals as they come.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    heard: Vec<Signal>,
}

#[cfg(unix)]
impl Signals {
    /// Listens for Ctrl-C and SIGTERM from now on.
    pub(crate) fn new() -> io::Result<Self> {
        Self::of([SignalKind::interrupt(), SignalKind::terminate()])
    }

    /// The same, and for the end of the terminal, which a node that was started to stay outlives.
    pub(crate) fn with_hangup() -> io::Result<Self> {
        Self::of([SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()])
    }

    fn of(kinds: impl IntoIterator<Item = SignalKind>) -> io::Result<Self> {
        Ok(Self { heard: kinds.into_iter().map(signal).collect::<io::Result<_>>()? })
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) {
        let each = self.heard.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures::future::select_all(each).await;
    }
}

#[cfg(not(unix))]
impl Signals {
    /// Listens for Ctrl-C from now on.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// The same: there is no other such signal here.
    pub(crate) fn with_hangup() -> io::Result<Self> {
        Self::new()
    }

    /// Waits for the next Ctrl-C.
    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a way to hear of it, the system's own handling stays in place.
            std::future::pending::<()>().await;
        }
    }
}
