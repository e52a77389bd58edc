//! What is typed: `accord` with its arguments, and what comes of it.
//!
//! Invariants: no setting of whoever runs the tests reaches the program; every command ends or is
//! ended. What it is not: a way around the program.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::process::{Ended, Process};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_accord");

/// The program, free of settings from outside, to be run in `dir`.
pub(crate) fn program(dir: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    quiet(&mut command, dir);
    command
}

/// Takes the settings of whoever runs the tests away from a command, and runs it in `dir`.
pub(crate) fn quiet(command: &mut Command, dir: &Path) {
    for name in [
        "ACCORD_DIR",
        "ACCORD_BIND",
        "ACCORD_NO_MDNS",
        "ACCORD_PASSPHRASE",
        "ACCORD_NEW_PASSPHRASE",
        "XDG_DATA_HOME",
    ] {
        command.env_remove(name);
    }
    command.env("HOME", dir).env("NO_COLOR", "1").env("ACCORD_LOG", "node=info,warn");
    command.current_dir(dir);
}

/// Runs `accord` with these arguments in `dir` to its end.
pub(crate) fn accord(dir: &Path, args: &[&str]) -> Ended {
    let name = format!("accord {}", args.join(" "));
    Process::start(&name, program(dir).args(args)).end()
}

/// Runs `accord --json` with these arguments in `dir`; it must succeed.
pub(crate) fn json(dir: &Path, args: &[&str]) -> Value {
    let ended = accord(dir, &[&["--json"], args].concat());
    assert_eq!(ended.code, Some(0), "accord {args:?}: {ended:?}");
    serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("accord {args:?}: {e}: {ended:?}"))
}

/// Runs `accord` with these arguments, which must fail with `code`; returns why it says it did.
///
/// For people that is one line on standard error, below what was said of progress; with `--json` it
/// is one line on standard output, and both say the same.
pub(crate) fn refused(dir: &Path, code: i32, args: &[&str]) -> String {
    let ended = accord(dir, args);
    assert_eq!(ended.code, Some(code), "accord {args:?}: {ended:?}");
    assert_eq!(ended.out, "", "accord {args:?}: nothing came of it");
    let said: Vec<&str> = ended.err.lines().filter(|line| !is_progress(line)).collect();
    let [line] = said[..] else { panic!("accord {args:?} says more than one line: {ended:?}") };
    let line = line.strip_prefix("accord: ").unwrap_or_else(|| panic!("accord {args:?}: {line:?}"));
    let ended = accord(dir, &[&["--json"], args].concat());
    assert_eq!(ended.code, Some(code), "accord --json {args:?}: {ended:?}");
    let failure: Value =
        serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{args:?}: {e}: {ended:?}"));
    assert_eq!(failure["usage"], code == 2, "{args:?}: {failure}");
    assert_eq!(failure["error"], line, "{args:?}");
    line.to_owned()
}

/// Whether a line on standard error tells how far something is.
fn is_progress(line: &str) -> bool {
    [
        "storing ",
        "fetching ",
        "checking ",
        "recomputing ",
        "beginning ",
        "replacing ",
        "asking ",
        "reading",
        "deciding ",
    ]
    .iter()
    .any(|what| line.starts_with(what))
}
