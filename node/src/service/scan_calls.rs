//! `consent scan`: from what was asked to what is scanned.
//!
//! Invariants: everything that was asked wrongly is found before anything is read. What it is not:
//! the scan (see `crate::scan`).

use std::path::PathBuf;

use consent::{Policy, Silence};

use super::consent_calls::silence;
use super::{NodeService, existing, failed, misused};
use crate::api::dto::{ScanReply, ScanRequest};
use crate::api::{Answer, ProgressSender};
use crate::policy_file::ConsentSection;
use crate::scan::{ItemFormat, ScanError, ScanOrder, Site, scan};

impl NodeService {
    pub(super) fn scan_items(
        &self,
        request: &ScanRequest,
        progress: &ProgressSender,
    ) -> Answer<ScanReply> {
        let items = request.items.as_ref().map(|(path, format)| match format.as_str() {
            "json" => Ok((PathBuf::from(path), ItemFormat::Json)),
            "csv" => Ok((PathBuf::from(path), ItemFormat::Csv)),
            _ => Err(misused(format!("--format is {format:?}: json or csv"))),
        });
        let order = ScanOrder {
            path: existing(&request.path)?.to_owned(),
            about: request.use_name.parse().map_err(misused)?,
            policy: policy(request)?,
            columns: request.columns.clone(),
            site: request.site.as_ref().map(Site::open).transpose().map_err(misused)?,
            items: items.transpose()?,
            fix: request.fix.as_ref().map(PathBuf::from),
            threads: self.means.threads,
        };
        let stopped = || self.cancel.is_cancelled();
        tokio::task::block_in_place(|| scan(&self.means.ledger, &order, progress, stopped)).map_err(
            |error| match error {
                ScanError::InTheWay(_) => misused(error),
                _ => failed(error),
            },
        )
    }
}

/// The policy of the file, or the usual one with this default and no cooling.
fn policy(request: &ScanRequest) -> Answer<Policy> {
    match (&request.policy, request.default.as_deref()) {
        (Some(text), None) => ConsentSection::parse(text).map_err(misused),
        (Some(_), Some(_)) => Err(misused("give a policy or a default, not both")),
        (None, default) => {
            let default = default.map_or(Ok(Silence::OptIn), silence)?;
            Ok(Policy { default, cooling_ms: 0, ..Policy::default() })
        }
    }
}
