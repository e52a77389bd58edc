//! `accord consent scan`: what is asked, and the counts that answer it.

use std::collections::BTreeMap;

use protocol::{FileHash, RecordId};
use serde::{Deserialize, Serialize};

/// `accord consent scan`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ScanRequest {
    /// A file or a directory.
    pub path: String,
    /// The use asked about.
    pub use_name: String,
    /// The policy, as the text of a policy file.
    pub policy: Option<String>,
    /// Without a policy: whether silence is `opt-in` (no) or `opt-out` (yes).
    pub default: Option<String>,
    /// Which columns of tables say what.
    pub columns: ScanColumns,
    /// What the site that the items are from says.
    pub site: Option<ScanSite>,
    /// Where to write a line for each item, and whether as `json` or `csv`.
    pub items: Option<(String, String)>,
    /// Where to write the allowed subset.
    pub fix: Option<String>,
}

/// Columns of tables, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanColumns {
    /// The work itself: text, or the bytes of a file.
    pub content: Option<String>,
    /// Where it was found.
    pub url: Option<String>,
    /// The key of the identity that made it.
    pub author: Option<String>,
    /// Its licence, for the counts.
    pub licence: Option<String>,
}

/// Files of the site that the items are from, as paths on this machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ScanSite {
    /// The URL that the directory stands for, or that the URLs of rows begin with.
    pub base: String,
    /// Its robots.txt.
    pub robots: Option<String>,
    /// Its ai.txt.
    pub ai_txt: Option<String>,
    /// Its `.well-known/tdmrep.json`.
    pub tdmrep: Option<String>,
    /// Its RSL documents.
    #[serde(default)]
    pub rsl: Vec<String>,
}

/// What a scan found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ScanReply {
    /// Items looked at: files, and rows of tables.
    pub items: u64,
    /// Items that may be used.
    pub allowed: u64,
    /// Items that may not.
    pub refused: u64,
    /// Items that could not be read, and so may not be used either.
    pub unreadable: u64,
    /// Refused items by reason: `denied`, `constrained`, `allow-not-live`, `silent`, `terms`.
    pub reasons: BTreeMap<String, u64>,
    /// Refused items by how the record behind it speaks of them: `content`, `collection`, `pdq`, ...
    pub found: BTreeMap<String, u64>,
    /// Items refused by what they or their site say, by scheme.
    pub schemes: BTreeMap<String, u64>,
    /// Items by licence, where a column names it: all, and those that may be used.
    pub licences: BTreeMap<String, (u64, u64)>,
    /// The records behind most refusals, with how many.
    pub records: Vec<(RecordId, u64)>,
    /// Claims of likeness set aside, since they would refuse more than the policy's reach.
    pub set_aside: Vec<RecordId>,
    /// The first items that may not be used.
    pub refusals: Vec<ScanItem>,
    /// Names with a dot that were left out.
    pub dotted: u64,
    /// The ledger's frontier that was decided on, and whether more came while it was.
    pub frontier: Option<FileHash>,
    /// Whether records came during the last decisions; then scan again.
    pub moved: bool,
    /// Collections whose lists are not here: nobody can tell what is in them.
    pub lists_missing: u64,
    /// What was written of the allowed subset.
    pub fixed: Option<String>,
    /// How long it took.
    pub elapsed_ms: u64,
}

/// One item, as a report shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanItem {
    /// A path, or a path and a row.
    pub place: String,
    /// `allowed`, `refused` or `unreadable`.
    pub verdict: String,
    /// Its content id; none if it could not be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content: Option<protocol::ContentId>,
    /// Why it may not be used, as in the counts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The records that say so.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub records: Vec<RecordId>,
    /// How the nearest of them speaks of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub found: Option<String>,
    /// Of 256 bits of a code, how many differ.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub distance: Option<u32>,
    /// The scheme of the outside term that refuses it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scheme: Option<String>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
    /// Its licence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub licence: Option<String>,
}
