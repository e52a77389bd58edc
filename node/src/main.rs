//! The `accord` program. Role: hand the arguments to `node::cli` and its exit code to the system.
//! What it is not: a place for anything else.

use std::process::ExitCode;

fn main() -> ExitCode {
    node::cli::main()
}
