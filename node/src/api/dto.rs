//! What the local API takes and gives, as plain data; the CLI and the demo speak only this.
//!
//! Invariants: ids and keys are 64 hex digits; times are milliseconds since 1970 unless a name says
//! otherwise; shares of one are in millionths. What it is not: the messages between nodes.

mod identity;
mod run;
mod run_act;
mod scan;
mod terms;

use protocol::{ContentId, FileHash, PublicKey, RecordId, RevisionId};
use serde::{Deserialize, Serialize};

pub use identity::{
    AttestRequest, DelegateRequest, FeedView, IdReply, IdRequest, IdView, KeyAccess, OwnAct,
    OwnReply, OwnRequest, Passphrase, RecordView, RecordsReply, RecordsRequest, RemarkView,
    SayRequest,
};
pub use run::{
    AuditReply, AuditRequest, CreateRequest, EvalView, JoinRequest, OwnView, RejectView, RoundView,
    RunView, UpdateView,
};
pub use run_act::{
    AuditsView, ChangeName, ForkView, LogAlike, LogChange, LogFindings, LogFound, LogHashes,
    LogReport, LogUpdate, LogView, MemberView, MembersView, MotionView, RunAct, RunActReply,
    RunActRequest,
};
pub use scan::{ScanColumns, ScanItem, ScanReply, ScanRequest, ScanSite};
pub use terms::{ExportReply, ExportRequest, ImportRequest};

/// One line of an answer: progress while it is under way, then the result or the error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line<T> {
    /// How far it is.
    Progress(Progress),
    /// It is done.
    Done(T),
    /// It failed.
    Failed(Failure),
}

/// How far a long piece of work is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done, such as `fetching model.safetensors`.
    pub what: String,
    /// How much of it is done.
    pub done: u64,
    /// How much there is, if that is known.
    pub total: Option<u64>,
    /// What is counted: `bytes`, `samples` or `rounds`; empty where nothing is.
    pub unit: String,
}

/// Why a request failed, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// One line: what, where, what to do.
    pub error: String,
    /// Whether the request itself was wrong (exit code 2) and not the doing (exit code 1).
    pub usage: bool,
}

/// `accord status`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// The node's key.
    pub node: PublicKey,
    /// The default identity's key: the owner `me`.
    pub identity: PublicKey,
    /// The data directory.
    pub dir: String,
    /// Where other nodes reach this one: multiaddresses for `--peer`.
    pub addresses: Vec<String>,
    /// Nodes connected now.
    pub peers: Vec<PeerView>,
    /// Messages of peers dropped since the start that no honest node sends: garbage, too long, wrongly
    /// signed or of a wrong type; and wrong bytes served.
    pub dropped: u64,
    /// Messages of peers dropped since the start that may be honest: known already, replayed, of
    /// unknown runs, or come when there was no room.
    pub ignored: u64,
    /// Repos known.
    pub models: usize,
    /// Runs known.
    pub runs: usize,
    /// Consent records held.
    pub records: usize,
    /// Consent records put off since the start, because one peer or one feed brought more than it may.
    pub put_off: PutOffView,
    /// Bytes sent to and received from other nodes by the data plane.
    pub bytes: BytesView,
}

/// What quotas put off. It is not lost: others bring it, or it comes when it is asked for.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct PutOffView {
    /// New feeds that were not taken.
    pub feeds: u64,
    /// Records that were not taken, beginnings of feeds among them.
    pub records: u64,
    /// Records that were taken and not passed on.
    pub forwards: u64,
}

/// Bytes moved since the start.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct BytesView {
    /// To other nodes.
    pub sent: u64,
    /// From other nodes.
    pub received: u64,
}

/// A connected node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PeerView {
    /// Its key.
    pub node: PublicKey,
    /// Where it is.
    pub addresses: Vec<String>,
    /// Whether it is dialled by itself at the next start.
    pub remembered: bool,
    /// Messages of its that were refused.
    pub rejected: u64,
}

/// `accord share`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShareRequest {
    /// A file or a directory on this machine.
    pub path: String,
    /// The repo's name; the path's own name, without a file's extension if left out.
    pub name: Option<String>,
}

/// What was shared or fetched.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RevisionView {
    /// The owner's key.
    pub owner: PublicKey,
    /// The repo's name.
    pub name: String,
    /// The revision.
    pub revision: RevisionId,
    /// Its number, from 1.
    pub seq: u64,
    /// Its files.
    pub files: Vec<FileView>,
    /// Their bytes together.
    pub bytes: u64,
    /// Whether all of it is on this node.
    pub local: bool,
    /// Another head of the same number is known: the owner's key signed two.
    pub forked: bool,
    /// Names that `share` left out just now, since they start with a dot.
    #[serde(default)]
    pub left_out: u64,
}

/// A file of a revision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileView {
    /// Its path within the repo.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its hash.
    pub blake3: FileHash,
}

/// `accord get`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetRequest {
    /// `OWNER/NAME[@REV]`; the owner is a key, a unique beginning of one (8 digits or more), or `me`.
    pub model: String,
    /// Where to write the files; nothing is written outside the node if left out.
    pub out: Option<String>,
    /// Whether files there that differ are replaced; otherwise nothing is written if one does.
    #[serde(default)]
    pub overwrite: bool,
}

/// What was fetched, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetReply {
    /// The revision.
    pub revision: RevisionView,
    /// Bytes that came over the network.
    pub fetched_bytes: u64,
    /// How long that took.
    pub elapsed_ms: u64,
    /// Whom they came from.
    pub from: Vec<PublicKey>,
    /// Where the files were written.
    pub out: Option<String>,
}

/// `accord consent opt-out` and `opt-in`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ConsentRequest {
    /// Files or directories: of a table each row is a work, any other file is one.
    pub paths: Vec<String>,
    /// The identity that speaks, by its local name; made if it does not exist yet.
    pub identity: Option<String>,
    /// The uses meant; all that train, if left out.
    pub uses: Vec<String>,
    /// How long an opt-in holds, in days.
    pub days: Option<u64>,
    /// What opens the identity.
    #[serde(default)]
    pub keys: KeyAccess,
    /// In whose name it speaks, if not its own.
    #[serde(default)]
    pub behalf: Option<PublicKey>,
    /// Whether an opt-out names the exact bytes only, and no likeness.
    #[serde(default)]
    pub exact: bool,
    /// Whether an opt-out names the works as one collection, however few they are.
    #[serde(default)]
    pub collection: bool,
}

/// What was registered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConsentReply {
    /// The identity that spoke.
    pub identity: PublicKey,
    /// Its local name.
    pub name: String,
    /// Whether the identity was made just now, and where its keys are.
    pub made: Option<String>,
    /// Works named.
    pub works: u64,
    /// Works whose likeness is named too.
    #[serde(default)]
    pub alike: u64,
    /// The root of the collection that they are named by, if they are.
    #[serde(default)]
    pub collection: Option<FileHash>,
    /// Names with a dot that were left out.
    #[serde(default)]
    pub dotted: u64,
    /// Files that could not be read, so that nothing of them is registered: the first few.
    #[serde(default)]
    pub unread: Vec<String>,
    /// How many such files there are.
    #[serde(default)]
    pub unread_count: u64,
    /// Files whose likeness cannot be told, so that only their exact bytes are named: the first few.
    #[serde(default)]
    pub unlike: Vec<String>,
    /// The records, oldest first.
    pub records: Vec<RecordId>,
    /// Peers that the records were sent to.
    pub peers: usize,
}

/// `accord consent opt-in`: what was registered, and what refuses in spite of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OptInReply {
    /// What was registered; `alike` counts the works that copies may be alike to.
    #[serde(flatten)]
    pub said: ConsentReply,
    /// The identity's refusals of before that were taken back.
    pub lifted: Vec<RecordId>,
    /// The identity's refusals of collections that hold some of the works: they were not taken back.
    pub collections: Vec<HoldingView>,
    /// Works that something else refuses too, as far as this node knows: the first few.
    pub still: Vec<Refusal>,
    /// How many such works there are.
    pub still_count: u64,
}

/// A refusal of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldingView {
    /// Its record.
    pub record: RecordId,
    /// How many works it names.
    pub works: u64,
    /// How many of those just opted in are among them.
    pub held: u64,
}

/// `accord consent check`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckRequest {
    /// A file or directory.
    pub path: String,
    /// The use asked about.
    pub use_name: String,
    /// Whether silence is `opt-in` (no) or `opt-out` (yes).
    pub default: String,
}

/// What the gate says of each work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckReply {
    /// Works looked at.
    pub works: u64,
    /// Works that may be used.
    pub allowed: u64,
    /// Works that may not.
    pub refused: u64,
    /// The first refused works, with why and by which records.
    pub refusals: Vec<Refusal>,
}

/// A refused work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refusal {
    /// Which one: a path, or a path and a row.
    pub place: String,
    /// Its content id.
    pub content: ContentId,
    /// Why.
    pub reason: String,
    /// The records that say so.
    pub records: Vec<RecordId>,
}

/// `accord consent prove`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ProveRequest {
    /// A record that a log has, or that a round was bound by.
    pub record: Option<String>,
    /// The run of a round.
    pub run: Option<String>,
    /// The round.
    pub round: Option<u64>,
    /// A file with the work that was not used.
    pub path: Option<String>,
    /// Which row of it, from 1, if it is a table.
    pub row: Option<u64>,
    /// The content id of a work of which nobody spoke.
    pub absent: Option<String>,
}

/// A proof.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProveReply {
    /// The file's bytes, in hexadecimal.
    pub proof: String,
}

/// `accord eval`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EvalRequest {
    /// `OWNER/NAME[@REV]`, or a directory with `model.safetensors` and `config.json`.
    pub model: String,
    /// The table.
    pub data: String,
}

/// How a model did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EvalReply {
    /// The model root: the hash of its weights file.
    pub model: FileHash,
    /// The result.
    pub evaluation: EvalView,
    /// Rows left out for want of consent to evaluate.
    pub excluded: u64,
}
