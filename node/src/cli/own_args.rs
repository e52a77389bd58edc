//! The verbs of `accord consent` for everything an identity says that is not about files here.
//!
//! Invariants: as those of `args`. What it is not: doing (see `own`).

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args, Subcommand};
use consent::Use;
use protocol::limits::OPT_IN_DAYS_MAX;
use protocol::{PublicKey, RecordId};

use super::id_args::KeyArguments;
use super::terms::{ExportArguments, ImportArguments};

/// Who speaks.
#[derive(Debug, Args)]
pub(super) struct SpeakerArguments {
    /// The identity that speaks, by its local name; `me` if left out.
    #[arg(long, value_name = "NAME")]
    pub(super) identity: Option<String>,
    #[command(flatten)]
    pub(super) keys: KeyArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum OwnVerb {
    /// State something about a place, or about everything that you make.
    #[command(after_help = "\
Places: example.org (and what is below it), https://example.org/pictures/*,
code:github.com/owner/name

Example: accord consent say --deny --place example.org
         accord consent say --deny --identity-of-mine --for KEY")]
    Say(SayOwnArguments),
    /// State what the documents of your site or a list say: robots.txt, ai.txt, tdmrep.json, RSL.
    #[command(after_help = "\
Nothing is weakened: a refusal that no place says as narrowly is said of the whole site, and a
permission that other lines narrow is left out. The words stand beside each record and can be
erased.

Example: accord consent import --base https://example.org --robots robots.txt --tdmrep tdmrep.json
         accord consent import --code-list opted-out.txt")]
    Import(ImportArguments),
    /// Write what you said of a site in another scheme's words, or refuse where it has none.
    #[command(
        after_help = "Example: accord consent export example.org --scheme tdmrep --out tdmrep.json"
    )]
    Export(ExportArguments),
    /// Give another identity, such as a collective, leave to speak in your name.
    #[command(after_help = "Example: accord consent delegate --to KEY --allow --days 365")]
    Delegate {
        /// Who may speak: a key.
        #[arg(long, value_name = "KEY")]
        to: PublicKey,
        /// A use meant; may be given several times. All that train if left out.
        #[arg(long = "use", alias = "uses", value_name = "USE", value_parser = uses(), num_args = 1..)]
        uses: Vec<String>,
        /// It may also allow, not only refuse.
        #[arg(long)]
        allow: bool,
        /// A place, file or directory that it is about; everything if left out.
        #[arg(long, value_name = "PLACE|FILE", num_args = 1..)]
        scope: Vec<String>,
        /// For how many days; up to two years.
        #[arg(long, value_name = "N", value_parser = days())]
        days: u64,
        #[command(flatten)]
        speaker: SpeakerArguments,
    },
    /// End delegations: what was allowed under them ends, what was refused stays.
    #[command(after_help = "Example: accord consent revoke RECORD")]
    Revoke(RecordsArguments),
    /// Take back what you said, or what was said in your name; this needs your root key.
    #[command(after_help = "Example: accord consent lift RECORD --recovery artist.recovery")]
    Lift(RecordsArguments),
    /// Speak as a witness for statements or identities of others.
    #[command(after_help = "\
Example: accord consent attest --record RECORD --standing place --evidence 'DNS of example.org'")]
    #[command(group = ArgGroup::new("named").args(["records", "of"]).required(true).multiple(true))]
    Attest {
        /// A statement; may be given several times.
        #[arg(long = "record", value_name = "RECORD")]
        records: Vec<RecordId>,
        /// An identity; may be given several times.
        #[arg(long = "of", alias = "identity-of", value_name = "KEY")]
        of: Vec<PublicKey>,
        /// What you found: they control the place, you know them, or their key signed the work.
        #[arg(long, value_parser = ["place", "registrar", "signer"])]
        standing: String,
        /// How you found it, for people; it stands beside the record and can be erased.
        #[arg(long, value_name = "TEXT")]
        evidence: String,
        #[command(flatten)]
        speaker: SpeakerArguments,
    },
    /// Doubt what others allowed: it is refused until a witness speaks for it.
    #[command(after_help = "Example: accord consent dispute RECORD --reason 'the picture is mine'")]
    Dispute {
        /// The statements.
        #[arg(required = true, value_name = "RECORD")]
        records: Vec<RecordId>,
        /// Why, for people; it stands beside the record and can be erased.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        speaker: SpeakerArguments,
    },
    /// Ask everyone to erase the remarks beside your records; the records themselves stay.
    #[command(after_help = "\
A remark is what --remark, --evidence or --reason said. Nodes that run this program erase it when they
hear of it; whoever copied it elsewhere still has it.

Example: accord consent erase RECORD")]
    Erase(RecordsArguments),
    /// Say that one of your keys is in the wrong hands: what it allowed or took back is void.
    #[command(after_help = "Example: accord consent compromised --daily --from-seq 12")]
    #[command(group = ArgGroup::new("which").args(["daily", "root"]).required(true))]
    Compromised {
        /// The daily key.
        #[arg(long)]
        daily: bool,
        /// The root key.
        #[arg(long)]
        root: bool,
        /// The first record of your feed that the key is not to be trusted with; the next one if
        /// left out.
        #[arg(long, value_name = "N")]
        from_seq: Option<u64>,
        #[command(flatten)]
        speaker: SpeakerArguments,
    },
    /// Join the branches of your forked feed, so that what you allow counts again.
    #[command(after_help = "Example: accord consent reconcile --identity artist")]
    Reconcile(SpeakerArguments),
    /// List records with what has become of them.
    #[command(after_help = "Example: accord consent records --author KEY")]
    Records {
        /// Those of this node's identities, as if nothing was given.
        #[arg(long, conflicts_with = "author")]
        mine: bool,
        /// Those of an identity, by its key.
        #[arg(long, value_name = "KEY")]
        author: Option<PublicKey>,
    },
    /// Show one record.
    #[command(after_help = "Example: accord consent show RECORD")]
    Show {
        /// The record's id.
        record: RecordId,
    },
}

/// Records and who speaks.
#[derive(Debug, Args)]
pub(super) struct RecordsArguments {
    /// The records' ids.
    #[arg(required = true, value_name = "RECORD")]
    pub(super) records: Vec<RecordId>,
    #[command(flatten)]
    pub(super) speaker: SpeakerArguments,
}

/// A statement that is not about files here.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("value").args(["deny", "allow", "constrained"]).required(true))]
#[command(group = ArgGroup::new("about").args(["places", "everything"]).required(true).multiple(true))]
pub(super) struct SayOwnArguments {
    /// It may not be used.
    #[arg(long)]
    pub(super) deny: bool,
    /// It may be used, for a while.
    #[arg(long)]
    pub(super) allow: bool,
    /// It may be used under terms; until an agreement is shown, that is no.
    #[arg(long)]
    pub(super) constrained: bool,
    /// A use meant; may be given several times. All that train if left out.
    #[arg(long = "use", alias = "uses", value_name = "USE", value_parser = uses(), num_args = 1..)]
    pub(super) uses: Vec<String>,
    /// A domain, URL pattern or code repository; may be given several times.
    #[arg(long = "place", value_name = "PLACE")]
    pub(super) places: Vec<String>,
    /// Everything that the identity makes.
    #[arg(long = "identity-of-mine")]
    pub(super) everything: bool,
    /// Where the terms of a constrained use stand.
    #[arg(long, value_name = "URI", requires = "terms_copy", conflicts_with_all = ["deny", "allow"])]
    pub(super) terms: Option<String>,
    /// A file with what stands there; its hash goes into the statement.
    #[arg(long, value_name = "FILE", requires = "terms")]
    pub(super) terms_copy: Option<PathBuf>,
    /// For how many days it may be used; a year if left out.
    #[arg(long, value_name = "N", conflicts_with_all = ["deny", "constrained"], value_parser = days())]
    pub(super) days: Option<u64>,
    /// Text for people, such as the outside term this follows; it stands beside the record and can
    /// be erased.
    #[arg(long, value_name = "TEXT")]
    pub(super) remark: Option<String>,
    /// In the name of this identity, which gave leave for it.
    #[arg(long = "for", value_name = "KEY")]
    pub(super) behalf: Option<PublicKey>,
    #[command(flatten)]
    pub(super) speaker: SpeakerArguments,
}

fn uses() -> PossibleValuesParser {
    PossibleValuesParser::new(Use::ALL.map(Use::as_str))
}

fn days() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=OPT_IN_DAYS_MAX)
}
