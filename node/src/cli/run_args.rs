//! The arguments of `accord run`.
//!
//! Invariants: as in `args`. What it is not: what they do (see `run` and `run_act`).

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Subcommand, ValueEnum};
use protocol::PublicKey;

use super::args::RunArgument;

/// What a steward can move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ChangeArgument {
    /// A node becomes a steward.
    Appoint,
    /// A steward is one no longer.
    Dismiss,
    /// A trainer is removed.
    Remove,
    /// A removed trainer may train again.
    Readmit,
}

const MOTION: &str = "\
What more than two thirds of the stewards move, each on their own node, the next certified round carries
out. A motion that another one overtakes must be moved again.

Example: accord run motion digits remove 1f0e...";

#[derive(Debug, Subcommand)]
pub(super) enum RunVerb {
    /// Create a run from its spec file.
    #[command(after_help = "Example: accord run create digits.toml")]
    Create {
        /// The spec file, in TOML.
        #[arg(value_name = "SPEC.toml")]
        spec: PathBuf,
    },
    /// Train in a run, on your table, until it ends or you leave.
    #[command(after_help = "Example: accord run join digits --data my.csv")]
    Join {
        #[command(flatten)]
        run: RunArgument,
        /// The table to train on (CSV); it never leaves this machine, unless you show your work.
        #[arg(long, value_name = "FILE")]
        data: PathBuf,
        /// Let auditors train a part of a round again: they, and whoever asks, then get the rows used.
        #[arg(long)]
        show_work: bool,
        /// The text of an invitation, where the run wants one.
        #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
        invitation: Option<String>,
    },
    /// Train in a run no more.
    #[command(after_help = "Example: accord run leave digits")]
    Leave {
        #[command(flatten)]
        run: RunArgument,
    },
    /// Show one run with its rounds, or list all runs.
    #[command(after_help = "Example: accord run status digits --watch")]
    Status {
        /// The run's id, at least the first 6 digits of it, or its name.
        #[arg(value_name = "RUN", value_parser = NonEmptyStringValueParser::new())]
        run: Option<String>,
        /// Print a line for each round until the run is finished or Ctrl-C.
        #[arg(long, requires = "run")]
        watch: bool,
    },
    /// Show who has which part in a run, and how each trainer stands.
    #[command(after_help = "Example: accord run members digits")]
    Members {
        #[command(flatten)]
        run: RunArgument,
    },
    /// Show every certified round in full: who counted, who did not and why, what changed.
    #[command(after_help = "Example: accord run log digits --follow --json")]
    Log {
        #[command(flatten)]
        run: RunArgument,
        /// The first round shown.
        #[arg(long, value_name = "ROUND", default_value_t = 1)]
        from: u64,
        /// Go on with each round that is certified, until the run is finished or Ctrl-C.
        #[arg(long)]
        follow: bool,
    },
    /// Write the whole log into a directory: certificates, commits, changes.
    #[command(after_help = "Example: accord run export digits --out appendix/")]
    Export {
        #[command(flatten)]
        run: RunArgument,
        /// A new or empty directory.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// With the bytes of every update, to recompute everything from.
        #[arg(long)]
        updates: bool,
    },
    /// Write an invitation for a trainer, whom this node vouches for.
    #[command(after_help = "Example: accord run invite digits 1f0e...")]
    Invite {
        #[command(flatten)]
        run: RunArgument,
        /// The trainer's node key, as its `accord status` shows it.
        #[arg(value_name = "KEY")]
        trainer: PublicKey,
    },
    /// Move, as a steward, to change who has which part.
    #[command(after_help = MOTION)]
    Motion {
        #[command(flatten)]
        run: RunArgument,
        /// What is to change.
        change: ChangeArgument,
        /// Of whom: a node's key.
        #[arg(value_name = "KEY")]
        node: PublicKey,
    },
    /// Follow a run from now on, as a steward-to-be must.
    #[command(after_help = "Example: accord run follow digits")]
    Follow {
        #[command(flatten)]
        run: RunArgument,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::args::Arguments;

    #[test]
    fn every_verb_of_the_guide_parses() {
        let key = protocol::SecretKey::from_seed(&[1; 32]).public().to_string();
        for line in [
            "accord run join digits --data d.csv --invitation d284",
            "accord run join digits --data d.csv --show-work",
            "accord run members digits",
            "accord run log digits --from 3 --follow --json",
            "accord run export digits --out d --updates",
            "accord run invite digits KEY",
            "accord run motion digits appoint KEY",
            "accord run follow digits",
        ] {
            let line = line.replace("KEY", &key);
            let parsed = Arguments::try_parse_from(line.split(' '));
            parsed.unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }
}
