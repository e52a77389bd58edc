//! What can be typed after `accord id`, and how a key is opened.
//!
//! Invariants: as those of `args`. What it is not: doing (see `id`).

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What opens an identity.
#[derive(Debug, Default, Args)]
pub(super) struct KeyArguments {
    /// A file whose first line is the identity's passphrase. Without it, the variable
    /// ACCORD_PASSPHRASE is taken, and on a terminal you are asked.
    #[arg(long, value_name = "FILE", display_order = 800)]
    pub(super) passphrase_file: Option<PathBuf>,
    /// The identity's recovery file, if its root key is kept there.
    #[arg(long, value_name = "FILE", display_order = 801)]
    pub(super) recovery: Option<PathBuf>,
}

/// The passphrase alone.
#[derive(Debug, Default, Args)]
pub(super) struct PassphraseArgument {
    /// A file whose first line is the passphrase. Without it, the variable ACCORD_PASSPHRASE is
    /// taken, and on a terminal you are asked where one is needed.
    #[arg(long, value_name = "FILE", display_order = 800)]
    pub(super) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum IdVerb {
    /// Make an identity: a daily key that says things, and a root key that takes them back.
    #[command(after_help = CREATE)]
    Create {
        /// Its local name.
        name: String,
        /// Keep the root key in this new file and nowhere else.
        #[arg(long, value_name = "FILE")]
        recovery: Option<PathBuf>,
        /// Put it under a passphrase, asked for now unless a file or the variable has it.
        #[arg(long)]
        passphrase: bool,
        #[command(flatten)]
        secret: PassphraseArgument,
    },
    /// List this node's identities.
    #[command(after_help = "Example: accord id list")]
    List,
    /// Show one identity with its feeds.
    #[command(after_help = "Example: accord id show artist")]
    Show {
        /// Its local name.
        name: String,
    },
    /// Put an identity's keys under a passphrase, change it, or take it away.
    #[command(after_help = PASSPHRASE)]
    Passphrase {
        /// Its local name.
        name: String,
        /// Keep the keys under no passphrase from now on.
        #[arg(long, conflicts_with = "new_passphrase_file")]
        remove: bool,
        /// A file whose first line is the new passphrase. Without it, the variable
        /// ACCORD_NEW_PASSPHRASE is taken, and on a terminal you are asked.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
        #[command(flatten)]
        secret: PassphraseArgument,
    },
    /// Replace both keys, for instance when the daily key may be in the wrong hands.
    #[command(after_help = ROTATE)]
    Rotate {
        /// Its local name.
        name: String,
        #[command(flatten)]
        keys: KeyArguments,
    },
    /// Use an identity here from its recovery file alone; its old keys are retired.
    #[command(after_help = RECOVER)]
    Recover {
        /// The recovery file; the new root key is written into it.
        file: PathBuf,
        /// The local name that it is to have; the one in the file if left out.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Sign also if no other node can be asked for what the identity said last.
        #[arg(long)]
        offline: bool,
        #[command(flatten)]
        secret: PassphraseArgument,
    },
    /// Write an identity to a file, to use it on another device too.
    #[command(after_help = "Example: accord id export artist --out artist.id")]
    Export {
        /// Its local name.
        name: String,
        /// The file, which must not be there yet. It is put under the passphrase.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Put it under no passphrase: whoever has the file can speak for you.
        #[arg(long)]
        plain: bool,
        #[command(flatten)]
        secret: PassphraseArgument,
    },
    /// Use an identity of another device here; it signs a feed of its own.
    #[command(after_help = IMPORT)]
    Import {
        /// The file that `accord id export` wrote.
        file: PathBuf,
        /// The local name that it is to have; the one in the file if left out.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        secret: PassphraseArgument,
    },
}

const CREATE: &str = "\
Without --recovery both keys are in this node's file: nothing more to keep, but whoever reads the
file can take your refusals back, and if it is lost nobody can. With --recovery the root key is only
in that file: keep it off this machine, on paper or a stick. It is asked for when something is taken
back (an opt-in after an opt-out), and to replace keys that were lost or stolen.

Example: accord id create artist --recovery /media/stick/artist.recovery";
const PASSPHRASE: &str = "\
The keys in this node's file are meant; exports keep the passphrase that they were written under, and a
recovery file has none. It hides the keys from who reads the disk from now on. Who may have read them
before has them: then replace them with `accord id rotate`. There is no way to a forgotten passphrase
but `accord id recover`.

Example: accord id passphrase artist";
const ROTATE: &str = "\
What you refused stays refused. What you allowed before stays allowed in this device's feed, and is
void in the feeds of your other devices. Rotate on one device only, then export the identity there
and import it on the others: different new keys on two devices would leave you nothing to allow.

Example: accord id rotate artist --recovery /media/stick/artist.recovery";
const RECOVER: &str = "\
The node asks those that it is connected to for what the identity said last, since a feed that is
continued from an earlier place forks. So it does if the lost device speaks again: do it before. What a
forked feed allows is void until `accord consent reconcile`. With --offline nobody needs to be asked:
right where no other node has ever heard of the identity.

Example: accord id recover /media/stick/artist.recovery";
const IMPORT: &str = "\
For an identity that is here already, new keys are taken over. Never copy a node's own key file: two
devices that sign one feed fork it.

Example: accord id import artist.id";
