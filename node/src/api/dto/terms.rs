//! What the local API takes and gives of terms in other schemes.
//!
//! Invariants: those of the whole API's data, see the module above. What it is not: their meaning (see
//! `consent::terms`).

use protocol::RecordId;
use serde::{Deserialize, Serialize};

use super::scan::ScanSite;

/// Documents of other schemes, each by its absolute path.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ImportRequest {
    /// The site that documents are of, and they.
    pub site: Option<ScanSite>,
    /// A list of accounts and repositories.
    pub code_list: Option<String>,
    /// The host of names without one in that list.
    pub forge: String,
    /// For how many days permissions hold; they are left out without it.
    pub days: Option<u64>,
}

/// `accord consent export`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportRequest {
    /// Whose word: a key, or an identity of this node by its local name.
    pub of: Option<String>,
    /// A site.
    pub place: String,
    /// The scheme's name.
    pub scheme: String,
}

/// Terms in another scheme.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportReply {
    /// The text, for the whole host.
    pub text: String,
    /// The records that it says.
    pub records: Vec<RecordId>,
    /// Whether it is word by word what a record was made from.
    pub verbatim: bool,
}
