//! One process: its lines as they come, its end, and how to end it.
//!
//! Invariants: it is killed and reaped when dropped; nothing waits beyond [`PATIENCE`].
//! What it is not: a node (see `node`) or what to type (see `command`).

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

/// How long any one thing may take; many times what it takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Lines that wait to be read before the process has to.
const LINES_MAX: usize = 1_024;
/// Last lines of standard error that are shown when a test fails.
const LINES_SHOWN: usize = 60;

/// A process whose lines can be waited for.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    out: Receiver<String>,
    /// Standard error goes to a file, so that nobody has to read it for the process to go on.
    err: NamedTempFile,
}

/// How a process ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// The exit code; nothing after a signal.
    pub(crate) code: Option<i32>,
    /// What it wrote to standard output and was not read.
    pub(crate) out: String,
    /// What it wrote to standard error.
    pub(crate) err: String,
}

impl Process {
    /// Starts a command whose standard output is read line by line.
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        let err = NamedTempFile::new().expect("a temporary file");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(err.reopen().expect("a temporary file"));
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        let out = lines(child.stdout.take().expect("piped"));
        Self { name: name.to_owned(), child, out, err }
    }

    /// The next line of standard output; nothing once it is closed.
    pub(crate) fn line(&self) -> Option<String> {
        match self.out.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("{} said nothing for {PATIENCE:?}", self.name)
            }
        }
    }

    /// The first line that `wanted` takes, counted from the last one read.
    pub(crate) fn line_that(&self, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while let Some(line) = self.line() {
            if wanted(&line) {
                return line;
            }
            seen.push(line);
            assert!(Instant::now() < deadline, "{}: not among {seen:#?}", self.name);
        }
        panic!("{} ended, having said {seen:#?}: {}", self.name, self.err_text())
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let mut out = Vec::new();
        loop {
            match self.out.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => out.push(line),
                // It closes its output by ending.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{} did not end within {PATIENCE:?}, having said {out:#?}", self.name)
                }
            }
        }
        let status = self.child.wait().expect("a child can be waited for");
        Ended { code: status.code(), out: out.join("\n"), err: self.err_text().trim_end().into() }
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard error so far.
    pub(crate) fn err_text(&self) -> String {
        let bytes = fs::read(self.err.path()).expect("its own file");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let text = self.err_text();
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
            eprintln!("standard error of {}:\n{}\n", self.name, last.join("\n"));
        }
    }
}

/// Reads lines beside the test.
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(LINES_MAX);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
