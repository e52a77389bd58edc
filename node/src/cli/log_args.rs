//! What can be typed after `accord log` and `accord witness`, as plain values.
//!
//! Invariants: as of `args`. What it is not: doing; see `log`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum LogVerb {
    /// Make a log with a key of its own; the node keeps it from its next start on.
    #[command(after_help = "Example: accord log init --origin log.example/2026")]
    Init {
        /// The log's name, which nobody else's log has.
        #[arg(long, value_name = "NAME")]
        origin: String,
    },
    /// Choose who cosigns.
    #[command(
        subcommand,
        after_help = "Example: accord log witness add http://127.0.0.1:8001 VKEY"
    )]
    Witness(LogWitnessVerb),
    /// Show the log: its key, its size, who cosigned and who refused.
    #[command(after_help = "Example: accord log status --json")]
    Status,
    /// Read every entry and tile again and compute the tree and the map anew.
    #[command(after_help = "Example: accord log verify")]
    Verify,
    /// Print a policy that believes this log with its witnesses, for those who verify proofs.
    #[command(after_help = "Example: accord log policy --quorum 2 > trust.policy")]
    Policy {
        /// How many of the witnesses must have cosigned; all if left out.
        #[arg(long, value_name = "K")]
        quorum: Option<usize>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum LogWitnessVerb {
    /// Ask one more witness for cosignatures, or one at another address.
    #[command(after_help = "Example: accord log witness add http://127.0.0.1:8001 VKEY")]
    Add {
        /// Where it is: `http://HOST:PORT`.
        url: String,
        /// Its key, as its `accord witness init` printed it.
        vkey: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum WitnessVerb {
    /// Make this node a witness, with a key of its own.
    #[command(after_help = "Example: accord witness init --name witness.example")]
    Init {
        /// The witness's name, which nobody else's has.
        #[arg(long)]
        name: String,
    },
    /// Cosign a log's checkpoints from now on.
    #[command(after_help = "Example: accord witness follow VKEY")]
    Follow {
        /// The log's key, as its `accord log init` printed it.
        vkey: String,
    },
    /// Show the witness: its key, what it follows, and evidence against logs.
    #[command(after_help = "Example: accord witness status --json")]
    Status,
}
