//! Asking a demo's node, waiting for what must come, and checking what must hold.
//!
//! Invariants: every wait ends. What it is not: the story.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::DemoError;
use super::nodes::Node;
use crate::api::ClientError;
use crate::api::dto::RunView;

/// How long any single thing may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Small beside what is measured by waiting: a record's way to every node.
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(super) fn promise(holds: bool, what: impl FnOnce() -> String) -> Result<(), DemoError> {
    if holds { Ok(()) } else { Err(DemoError::Promise(what())) }
}

pub(super) async fn ask<T>(
    node: &Node,
    request: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, DemoError> {
    request.await.map_err(|source| DemoError::Client { node: node.name.clone(), source })
}

/// Watches a run until `found` sees what it looks for.
pub(super) async fn watch<T>(
    node: &Node,
    run: &str,
    what: &str,
    found: impl Fn(RunView) -> Option<T>,
) -> Result<T, DemoError> {
    let vain = || DemoError::Waited { what: what.into(), seconds: PATIENCE.as_secs() };
    let watching = async {
        let mut views = ask(node, node.client.watch(run)).await?;
        while let Some(view) = ask(node, views.next()).await? {
            if let Some(found) = found(view) {
                return Ok(found);
            }
        }
        Err(vain())
    };
    timeout(PATIENCE, watching).await.unwrap_or_else(|_| Err(vain()))
}

/// Looks again and again until there is something to see, for what the API has no watch of.
pub(super) async fn wait<T, F>(what: &str, mut look: impl FnMut() -> F) -> Result<T, DemoError>
where
    F: Future<Output = Result<Option<T>, DemoError>>,
{
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(DemoError::Waited { what: what.into(), seconds: PATIENCE.as_secs() })
}
