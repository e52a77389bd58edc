//! What can be typed after `accord`, as plain values.
//!
//! Invariants: nothing here looks at the file system or the network; what needs that is in
//! `context`. What it is not: doing. Each verb is done in the file of its group.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::{
    BoolishValueParser, NonEmptyStringValueParser, PossibleValuesParser, RangedU64ValueParser,
};
use clap::{Args, Parser, Subcommand};
use consent::Use;
use libp2p::Multiaddr;
use protocol::limits::OPT_IN_DAYS_MAX;
use protocol::{PublicKey, RoundId};

use super::id_args::{IdVerb, KeyArguments};
use super::log_args::{LogVerb, WitnessVerb};
use super::own_args::OwnVerb;
use super::proof::ProveArguments;
use super::run_args::RunVerb;
use super::scan::ScanArguments;

/// Threads that may be asked for; more than any machine here has.
const THREADS_MAX: u64 = 1_024;

/// Share machine-learning models, train them together without a server, and use only data whose
/// makers agreed.
#[derive(Debug, Parser)]
#[command(name = "accord", version, arg_required_else_help = true, after_help = EXAMPLE)]
pub(super) struct Arguments {
    /// The node's data directory; a directory of your account if left out.
    #[arg(long, global = true, env = "ACCORD_DIR", value_name = "DIR", display_order = 900)]
    pub(super) dir: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long, global = true, display_order = 901)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

const EXAMPLE: &str = "\
Example:
  accord demo                     see all of it work on this machine
  accord up                       run a node
  accord share my-model/          publish a model (in another terminal)

Exit codes: 0 done, 1 failed, 2 used wrongly.";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make the data directory with the node's keys and your identity.
    #[command(after_help = "Example: accord init --dir ~/accord")]
    Init,
    /// Run the node until Ctrl-C.
    #[command(after_help = "Example: accord up --peer /ip4/192.0.2.7/tcp/4001")]
    Up(UpArguments),
    /// Show the running node: its key, addresses, peers and counts.
    #[command(after_help = "Example: accord status --json")]
    Status,
    /// Publish a file or a directory as the next revision of a repo.
    #[command(after_help = "Example: accord share my-model/ --name digits")]
    Share(ShareArguments),
    /// List the repos that the node knows.
    #[command(after_help = "Example: accord models")]
    Models,
    /// Fetch a repo's revision from peers, verified.
    #[command(after_help = "Example: accord get 1f0e7a9b2c/digits --out digits/")]
    Get(GetArguments),
    /// Train a model together with other nodes.
    #[command(subcommand, after_help = "Example: accord run join digits --data my.csv")]
    Run(RunVerb),
    /// Say what may be done with your works, or ask what was said.
    #[command(subcommand, after_help = "Example: accord consent opt-out pictures/")]
    Consent(ConsentVerb),
    /// Your identities: make, rotate, recover them, use them on several devices.
    #[command(subcommand, after_help = "Example: accord id create artist")]
    Id(IdVerb),
    /// Run a transparency log over the consent records.
    #[command(subcommand, after_help = "Example: accord log init --origin log.example/2026")]
    Log(LogVerb),
    /// Be a witness of other people's logs.
    #[command(subcommand, after_help = "Example: accord witness init --name witness.example")]
    Witness(WitnessVerb),
    /// Verify every certificate of a run and compute every aggregate again.
    #[command(after_help = "Example: accord audit digits")]
    Audit {
        #[command(flatten)]
        run: RunArgument,
        /// Begin after this round, whose id you trust, instead of with the first. Nodes keep what that
        /// takes of every eighth round and of the last.
        #[arg(long, value_name = "ROUND:ID", value_parser = checkpoint)]
        from: Option<(u64, RoundId)>,
    },
    /// Evaluate a model on your own table.
    #[command(after_help = "Example: accord eval 1f0e7a9b2c/digits --data held-out.csv")]
    Eval(EvalArguments),
    /// Show everything with four nodes on this machine, in under a minute.
    #[command(after_help = "Example: accord demo --keep demo/")]
    Demo(DemoArguments),
}

#[derive(Debug, Args)]
pub(super) struct UpArguments {
    /// The port for other nodes, TCP and UDP; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub(super) port: u16,
    /// The UDP port for models and updates; 0 takes a free one.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub(super) data_port: u16,
    /// The port of the local API on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub(super) api_port: u16,
    /// The port of 127.0.0.1 where anyone may read this node's log and ask its witness; 0 takes a
    /// free one, and without this neither is served.
    #[arg(long, value_name = "PORT")]
    pub(super) log_port: Option<u16>,
    /// The address to listen on for other nodes.
    #[arg(long, default_value = "0.0.0.0", value_name = "IP", env = "ACCORD_BIND")]
    pub(super) bind: IpAddr,
    /// A node to connect to, as its `accord up` printed it; may be given several times.
    #[arg(long = "peer", value_name = "MULTIADDR")]
    pub(super) peers: Vec<Multiaddr>,
    /// Do not look for nodes on the local network.
    #[arg(long, env = "ACCORD_NO_MDNS", value_parser = BoolishValueParser::new())]
    pub(super) no_mdns: bool,
    /// Take no part in the distributed hash table.
    #[arg(long)]
    pub(super) no_dht: bool,
    /// Threads for aggregation; as many as the machine has if left out.
    #[arg(long, value_name = "N", value_parser = threads())]
    pub(super) threads: Option<usize>,
    /// What trains: `cpu`, or `cuda` or `wgpu` in a build with that feature.
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    pub(super) device: trainer::Device,
    /// Stop, as on Ctrl-C, when standard input ends: for a program that starts a node and must not
    /// leave it behind, however it ends itself.
    #[arg(long, hide = true)]
    pub(super) while_input_open: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShareArguments {
    /// A file or a directory.
    pub(super) path: PathBuf,
    /// The repo's name; if left out, the directory's, or the file's without its extension.
    #[arg(long)]
    pub(super) name: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct GetArguments {
    /// `OWNER/NAME[@REV]`; OWNER is a key, the beginning of one, or `me`.
    #[arg(value_name = "OWNER/NAME[@REV]", value_parser = NonEmptyStringValueParser::new())]
    pub(super) model: String,
    /// Where to write the files; they stay inside the node if left out.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Replace files in DIR that differ; without it, nothing is written if one does.
    #[arg(long, requires = "out")]
    pub(super) overwrite: bool,
}

/// A run, as an argument.
#[derive(Debug, Args)]
pub(super) struct RunArgument {
    /// The run's id, at least the first 6 digits of it, or its name.
    #[arg(value_name = "RUN", value_parser = NonEmptyStringValueParser::new())]
    pub(super) run: String,
}

const OPT_IN: &str = "\
What you refused of these files before is taken back, which needs your root key: their exact bytes, and
what looks, reads or sounds alike. A collection that holds some of them stays and is named. The yes is
for the exact bytes only; where silence is no, a changed copy needs its own.

Example: accord consent opt-in my.csv --days 90";

const SCAN_EXAMPLE: &str = "\
Example:
  accord consent scan pictures/ --use train-generative --default opt-out
  accord consent scan rows.parquet --use train-generative --policy p.toml \\
      --content text --url source --format csv --out report.csv --fix allowed.parquet

Exit codes: 0 all may be used, 1 some may not or could not be read, 2 used wrongly.";

#[derive(Debug, Subcommand)]
pub(super) enum ConsentVerb {
    /// Register that works may not be used: every row of a table, every other file, and pictures,
    /// texts and sounds that are alike.
    #[command(after_help = "Example: accord consent opt-out pictures/ --identity artist")]
    OptOut {
        #[command(flatten)]
        say: SayArguments,
        /// Name the exact bytes only, and not what looks, reads or sounds alike.
        #[arg(long)]
        exact: bool,
        /// Name all works by one record and a list beside it, as is done of more than 1,000 files.
        #[arg(long)]
        collection: bool,
    },
    /// Register that works may be used, for a while.
    #[command(after_help = OPT_IN)]
    OptIn {
        #[command(flatten)]
        say: SayArguments,
        /// For how many days; up to two years, and a year if left out.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=OPT_IN_DAYS_MAX))]
        days: Option<u64>,
    },
    /// Ask what of a data set may be used, item by item, and keep that part of it.
    #[command(after_help = SCAN_EXAMPLE)]
    Scan(ScanArguments),
    /// Ask whether works may be used, and by which records not.
    #[command(after_help = "Example: accord consent check data.csv --use train-other")]
    Check {
        /// A file or a directory.
        path: PathBuf,
        /// The use asked about.
        #[arg(long = "use", value_name = "USE", default_value = "train-other")]
        #[arg(value_parser = uses())]
        use_name: String,
        /// What silence means: `opt-in` is no, `opt-out` is yes.
        #[arg(long, default_value = "opt-in", value_parser = ["opt-in", "opt-out"])]
        default: String,
    },
    /// What is said without files, and what was said.
    #[command(flatten)]
    Own(OwnVerb),
    /// Write a proof that you can keep: of a record in the log, of a work that nobody spoke of, or of
    /// what a round of a run left out.
    #[command(after_help = "Example: accord consent prove --record 1f0e... --out my.proof")]
    Prove(ProveArguments),
    /// Check a proof, without a node.
    #[command(after_help = "Example: accord consent verify-proof my.proof --policy trust.policy")]
    VerifyProof {
        /// The proof.
        file: PathBuf,
        /// Which log and witnesses you believe (C2SP tlog-policy), for proofs against a log.
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
}

/// What `opt-out` and `opt-in` have in common.
#[derive(Debug, Args)]
pub(super) struct SayArguments {
    /// Files or directories with the works.
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// The identity that speaks, by its local name; made if there is none. `me` if left out.
    #[arg(long, value_name = "NAME")]
    pub(super) identity: Option<String>,
    /// A use meant; may be given several times. All that train if left out.
    #[arg(long = "use", value_name = "USE", value_parser = uses())]
    pub(super) uses: Vec<String>,
    /// In the name of this identity, which gave leave for it.
    #[arg(long = "for", value_name = "KEY")]
    pub(super) behalf: Option<PublicKey>,
    #[command(flatten)]
    pub(super) keys: KeyArguments,
}

#[derive(Debug, Args)]
pub(super) struct EvalArguments {
    /// `OWNER/NAME[@REV]`, or a directory with `model.safetensors` and `config.json`.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(super) model: String,
    /// The table to evaluate on (CSV).
    #[arg(long, value_name = "FILE")]
    pub(super) data: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// Keep the nodes' directories here.
    #[arg(long, value_name = "DIR")]
    pub(super) keep: Option<PathBuf>,
}

/// A round's number and id, as `accord run log` shows them.
fn checkpoint(text: &str) -> Result<(u64, RoundId), String> {
    let parsed = text.split_once(':').and_then(|(round, id)| {
        Some((round.parse().ok().filter(|round| *round > 0)?, id.parse().ok()?))
    });
    parsed.ok_or_else(|| "give ROUND:ID, the number of a round and its id of 64 digits".to_owned())
}

pub(super) fn uses() -> PossibleValuesParser {
    PossibleValuesParser::new(Use::ALL.map(Use::as_str))
}

fn threads() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=THREADS_MAX)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_grammar_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_verb_of_the_readme_parses() {
        for line in [
            "accord init",
            "accord up --port 4001 --data-port 4002 --api-port 4003 --bind 127.0.0.1 --no-mdns",
            "accord --json up --bind 127.0.0.1 --no-dht --threads 2 --dir d --peer /ip4/1.2.3.4/tcp/9",
            "accord up --while-input-open",
            "accord status --json",
            "accord share model --name digits",
            "accord models --dir d",
            "accord get me/digits@1f0e --out d",
            "accord get me/digits --out d --overwrite",
            "accord run create spec.toml",
            "accord run join digits --data d.csv",
            "accord run leave digits",
            "accord audit digits --from 7:RECORD",
            "accord run status",
            "accord run status digits --watch --json",
            "accord consent opt-out a b --identity artist --use train-generative --use mine",
            "accord consent opt-in a --days 30",
            "accord consent check a --use evaluate --default opt-out",
            "accord consent opt-out a --for KEY --recovery f --passphrase-file p",
            "accord consent say --deny --place example.org --use mine",
            "accord consent say --allow --identity-of-mine --days 9 --for KEY --identity artist",
            "accord consent say --constrained --place a.org --terms https://a.org/t --terms-copy t",
            "accord consent import --base https://a.org --robots r --ai-txt a --tdmrep t --rsl x --rsl y",
            "accord consent import --code-list l --forge codeberg.org --for KEY --identity artist",
            "accord consent export a.org --scheme ai.txt --of KEY --out f",
            "accord consent delegate --to KEY --uses mine --allow --scope a.org b --days 9",
            "accord consent revoke RECORD RECORD --identity artist",
            "accord consent lift RECORD --recovery f",
            "accord consent attest --record RECORD --of KEY --standing place --evidence x",
            "accord consent dispute RECORD --reason x",
            "accord consent compromised --daily --from-seq 3",
            "accord consent reconcile --identity artist",
            "accord consent records --mine",
            "accord consent records --author KEY",
            "accord consent show RECORD --json",
            "accord id create artist --recovery f --passphrase",
            "accord id list",
            "accord id show artist",
            "accord id passphrase artist --passphrase-file p --new-passphrase-file q",
            "accord id passphrase artist --remove",
            "accord id rotate artist --recovery f",
            "accord id recover f --name artist",
            "accord id recover f --offline",
            "accord id export artist --out f --plain",
            "accord id import f --name artist",
            "accord consent prove --record 1f --out my.proof",
            "accord consent prove --run digits --round 3 --record 1f --file a.csv --row 2",
            "accord consent prove --absent 1f",
            "accord consent verify-proof my.proof --policy trust.policy",
            "accord log init --origin log.example/2026",
            "accord log witness add http://127.0.0.1:8001 w+1+2",
            "accord log policy --quorum 2",
            "accord witness follow l+1+2",
            "accord up --log-port 0",
            "accord audit digits",
            "accord eval me/digits --data d.csv",
            "accord demo --keep d",
        ] {
            let key = protocol::SecretKey::from_seed(&[1; 32]).public().to_string();
            let record = protocol::RecordId::of(b"record").to_string();
            let line = line.replace("KEY", &key).replace("RECORD", &record);
            parse(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }

    #[test]
    fn wrong_use_is_refused_with_what_is_allowed() {
        for (line, said) in [
            ("accord run status --watch", "<RUN>"),
            ("accord get me/digits --overwrite", "--out"),
            ("accord consent opt-out", "<PATH>"),
            ("accord consent check a --use train", "train-generative"),
            ("accord consent opt-in a --days 0", "1..=730"),
            ("accord consent opt-out a --days 3", "--days"),
            ("accord run join digits", "--data"),
            ("accord consent say --deny", "--place"),
            ("accord consent say --place a.org", "--deny"),
            ("accord consent say --deny --place a.org --days 3", "--allow"),
            ("accord consent compromised", "--daily"),
            ("accord consent lift", "<RECORD>"),
            ("accord consent show 12", "12"),
            ("accord id export artist", "--out"),
            ("accord id passphrase artist --remove --new-passphrase-file q", "--remove"),
            ("accord up --threads 0", "1..=1024"),
            ("accord up --port 65536", "65536"),
            ("accord up --peer nonsense", "nonsense"),
            ("accord audti digits", "audit"),
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(said), "{line}: {error}");
        }
    }
}
