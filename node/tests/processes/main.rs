//! Real `accord` processes, used as people use them: nodes on loopback with free ports, commands
//! with exit codes, `kill -9`, full disks and liars.
//!
//! Invariants: a test waits for a line that a process says or for a process to end, with a deadline;
//! every process ends with the test that started it. What it is not: a user of the library `node`;
//! what these tests see is what the program prints.

#![cfg(unix)]

mod audits;
mod bad_input;
mod bad_places;
mod bad_weights;
mod bulk;
mod command;
mod demo;
mod dice;
mod digits;
mod forger;
mod heard;
mod hostile;
mod identities;
mod joining;
mod kill;
mod liar;
mod log;
mod netns;
mod node;
mod opt_in;
mod parts;
mod passphrase;
mod process;
mod proof;
mod readme;
mod restart;
mod scan;
mod scan_terms;
mod share;
mod slices;
mod stewards;
mod terms;
mod worlds;
