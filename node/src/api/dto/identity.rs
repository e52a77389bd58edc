//! What the local API takes and gives of identities and of the records they make.
//!
//! Invariants: those of the whole API's data, see the module above; a passphrase never prints.
//! What it is not: an identity's file.

use std::fmt;

use protocol::{PublicKey, RecordId};
use serde::{Deserialize, Serialize};

use super::terms::ImportRequest;

/// A passphrase.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Passphrase(String);

impl Passphrase {
    /// The passphrase with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(secret)")
    }
}

/// What opens an identity.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyAccess {
    /// Its passphrase, if it has one.
    pub passphrase: Option<Passphrase>,
    /// The file with its root key, if that is not in the node's own file.
    pub recovery: Option<String>,
}

/// `accord id`: what is to be done with an identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum IdRequest {
    /// Show all, or the one named.
    List {
        /// Its local name.
        name: Option<String>,
    },
    /// Make one.
    Create {
        /// Its local name.
        name: String,
        /// The passphrase that it is to have, and the recovery file that is to be written.
        keys: KeyAccess,
    },
    /// Keep its keys under another passphrase, or under none.
    Passphrase {
        /// Its local name.
        name: String,
        /// The passphrase that it has, if it has one.
        passphrase: Option<Passphrase>,
        /// The one that it is to have; none takes it away.
        new: Option<Passphrase>,
    },
    /// Replace its keys.
    Rotate {
        /// Its local name.
        name: String,
        /// What opens it.
        keys: KeyAccess,
    },
    /// Make it usable here from its recovery file, with new keys.
    Recover {
        /// The recovery file.
        file: String,
        /// The local name that it is to have; the one in the file if left out.
        name: Option<String>,
        /// The passphrase that it is to have here.
        passphrase: Option<Passphrase>,
        /// Also if no other node can be asked what this one lacks.
        #[serde(default)]
        offline: bool,
    },
    /// Write it to a file for another device.
    Export {
        /// Its local name.
        name: String,
        /// The file.
        out: String,
        /// Without a passphrase.
        plain: bool,
        /// What opens it; the passphrase also seals the file.
        keys: KeyAccess,
    },
    /// Take it from such a file.
    Import {
        /// The file.
        file: String,
        /// The local name that it is to have; the one in the file if left out.
        name: Option<String>,
        /// The passphrase of the file, which it keeps here.
        passphrase: Option<Passphrase>,
    },
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IdReply {
    /// What was done, in one line; empty where something was only shown.
    pub did: String,
    /// The identities asked about.
    pub identities: Vec<IdView>,
    /// New records.
    pub records: Vec<RecordId>,
    /// Peers that they were sent to.
    pub peers: usize,
}

/// An identity of this node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IdView {
    /// Its local name.
    pub name: String,
    /// Its name for ever; none if its file cannot be used.
    pub key: Option<PublicKey>,
    /// Why its file cannot be used.
    pub fault: Option<String>,
    /// Whether it is under a passphrase.
    pub sealed: bool,
    /// Whether its root key is in a recovery file and not here.
    pub root_elsewhere: bool,
    /// How often its keys were replaced.
    pub rotations: usize,
    /// The feed that this node signs.
    pub feed: u32,
    /// All feeds of it in the ledger here.
    pub feeds: Vec<FeedView>,
    /// Why what it allows or lifts would be void now: `forked`, `retired` or `births`.
    pub doubt: Option<String>,
}

/// A feed of an identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FeedView {
    /// Its number.
    pub feed: u32,
    /// Its records here.
    pub records: u64,
    /// The first place with two records, if it forked.
    pub forked_at: Option<u64>,
}

/// The verbs of `accord consent` that make records other than about files.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OwnRequest {
    /// The identity that speaks, by its local name; `me` if left out.
    pub identity: Option<String>,
    /// What opens it.
    pub keys: KeyAccess,
    /// In whose name a statement is made.
    pub behalf: Option<PublicKey>,
    /// What is said.
    pub act: OwnAct,
    /// Text for people that stands beside each record and can be erased.
    pub remark: Option<String>,
}

/// What an identity says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnAct {
    /// Gives another identity leave to speak in its name.
    Delegate(DelegateRequest),
    /// Ends such leave.
    Revoke(Vec<RecordId>),
    /// Takes back what it said, or what was said in its name.
    Lift(Vec<RecordId>),
    /// Speaks as a witness.
    Attest(AttestRequest),
    /// Doubts what others allowed.
    Dispute(Vec<RecordId>),
    /// Asks everyone to erase the remarks beside its records.
    Erase(Vec<RecordId>),
    /// Says that one of its keys is in the wrong hands.
    Compromised {
        /// The root key, and not the daily key.
        root: bool,
        /// The first record of this feed from which on the key is not trusted; the next if left
        /// out.
        from_seq: Option<u64>,
    },
    /// Joins the branches of its forked feed.
    Reconcile,
    /// States something about places, or about everything that it makes.
    Say(SayRequest),
    /// States what documents of other schemes say.
    Import(ImportRequest),
}

/// Leave to speak.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DelegateRequest {
    /// Who may speak.
    pub to: PublicKey,
    /// For which uses; all that train, if left out.
    pub uses: Vec<String>,
    /// Whether it may also allow.
    pub may_allow: bool,
    /// Places, and files or directories, that it is about; everything if there are none.
    pub scope: Vec<String>,
    /// For how many days.
    pub days: u64,
}

/// A witness's word.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttestRequest {
    /// Statements.
    pub records: Vec<RecordId>,
    /// Identities.
    pub identities: Vec<PublicKey>,
    /// What was found: `place`, `registrar` or `signer`.
    pub standing: String,
}

/// A statement about places, or about everything that an identity makes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SayRequest {
    /// `deny`, `allow` or `constrained`.
    pub value: String,
    /// For which uses; all that train, if left out.
    pub uses: Vec<String>,
    /// Domains, URL patterns and code repositories.
    pub places: Vec<String>,
    /// Everything that the identity spoken for makes.
    pub everything: bool,
    /// For how many days an allow holds.
    pub days: Option<u64>,
    /// Where the terms of a constrained use stand, and a file with what stands there.
    pub terms: Option<(String, String)>,
}

/// What was said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OwnReply {
    /// The identity that spoke.
    pub identity: PublicKey,
    /// Its local name.
    pub name: String,
    /// What was done, in one line.
    pub did: String,
    /// The records, oldest first.
    pub records: Vec<RecordId>,
    /// Peers that they were sent to.
    pub peers: usize,
}

/// `accord consent records` and `show`: of one author, or one record.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordsRequest {
    /// Those of this node's identities.
    Mine,
    /// Those of one author.
    Author(PublicKey),
    /// One.
    Record(RecordId),
}

/// Records, the newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordsReply {
    /// The records.
    pub records: Vec<RecordView>,
    /// How many there are; the newest are listed.
    pub total: u64,
}

/// What stands beside a record for people, if anything does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemarkView {
    /// Nothing.
    None,
    /// This.
    Text(String),
    /// Something that is not on this node.
    NotHere,
    /// Something that its author asked everyone to erase.
    Erased,
}

/// A record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordView {
    /// Its id.
    pub record: RecordId,
    /// Its author.
    pub author: PublicKey,
    /// The author's feed.
    pub feed: u32,
    /// Its place there.
    pub seq: u64,
    /// What it is, such as `statement` or `lift`.
    pub kind: String,
    /// `live`, `lifted`, `void`, `disputed` or `unknown`.
    pub state: String,
    /// What it says, in one line.
    pub says: String,
    /// What stands beside it for people.
    pub remark: RemarkView,
    /// What witnesses found, and who.
    pub attested: Vec<(PublicKey, String)>,
    /// When this node received it.
    pub received_ms: u64,
}
