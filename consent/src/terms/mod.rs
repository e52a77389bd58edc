//! Outside terms: what people say elsewhere may be done with their works, read into our rules and
//! written back.
//!
//! | module | scheme | what it cannot read | unknown values |
//! |---|---|---|---|
//! | [`aipref`] | `Content-Usage` | no dictionary: excluded (the draft: unknown) | unset, as the draft says |
//! | [`ai_token`] | robots.txt refusals of models' crawlers | too long a file | lines skipped, as RFC 9309 says |
//! | [`ai_txt`] | Spawning's ai.txt | too long a file | lines skipped |
//! | [`tdmrep`] | TDM Reservation Protocol | no JSON of that shape | unset, as the report says |
//! | [`x_robots`] | `noai`, `noimageai` | too long a header | words skipped |
//! | [`content_signal`] | `Content-Signal` | a value but yes and no | names skipped, values excluded |
//! | [`rsl`] | RSL 1.0 | XML, entities, usages it does not know | excluded |
//! | [`bigcode`] | lists of accounts and repositories | a line that names none | excluded |
//! | [`iptc`] | PLUS `DataMining` in XMP | the picture, its XMP | excluded |
//! | [`cawg`] | training and data mining assertions | the picture, its assertion | excluded |
//!
//! Role: pure functions from bytes to [`Found`], from terms to statements ([`import`]), and from rules to
//! text ([`export`]).
//!
//! Invariants: what cannot be read refuses every use ([`Found::Unreadable`]); `constrained` is never
//! an allow; where a term is unclear a refusal is read wide and a permission narrow; the term stays
//! verbatim in its origin. Every size is bounded before it is read.
//!
//! What it is not: a fetcher, a judge of who may speak for a work, or a check of signatures.

pub mod ai_token;
pub mod ai_txt;
pub mod aipref;
pub mod bigcode;
pub mod cawg;
mod container;
pub mod content_signal;
pub mod export;
mod found;
mod host;
mod html;
pub mod import;
pub mod iptc;
mod jumbf;
pub mod pattern;
mod percent;
pub mod place;
pub mod repository;
pub mod robots;
pub mod rsl;
mod scheme;
pub mod tdm_policy;
pub mod tdmrep;
mod term;
mod tree;
pub mod x_robots;
mod xml;
mod xmp;

pub use found::{Fault, Found, TermsError};
pub use pattern::{PathPattern, UrlPath};
pub use place::{Address, Place, PlaceError};
pub use repository::Repository;
pub use scheme::Scheme;
pub use term::{Scope, Term};
