//! Parts of a blob, from whoever has it: verified against the blob's hash, and not kept.
//!
//! Invariants: every byte is proven to be where it is in the blob, and so is the blob's length; whoever serves
//! something else is treated as in `fetch`. What it is not: a way to have a blob. What is to be served or read
//! again is fetched whole.

use std::collections::BTreeMap;
use std::ops::Range;

use bao_tree::io::BaoContentItem;
use iroh::endpoint::Connection;
use iroh_blobs::get::{GetError, fsm};
use iroh_blobs::protocol::{ChunkRanges, ChunkRangesExt, GetRequest};
use protocol::aggregate::{Patches, Source};
use protocol::{FileHash, PublicKey};
use tokio::time::timeout;

use super::blobs::{Blobs, iroh_hash};
use super::fetch::{FetchError, ProviderError, Race, STALL, StepError, judge};

impl Blobs {
    /// These ranges of a blob of at most `bytes_max` bytes, from here or from one of `providers`; those that
    /// reach beyond its end are left out.
    pub async fn parts(
        &self,
        hash: FileHash,
        bytes_max: u64,
        ranges: &[Range<u64>],
        providers: &[PublicKey],
    ) -> Result<Patches, FetchError> {
        if self.has(hash).await {
            return Ok(cut(&self.read(hash, bytes_max).await?, ranges));
        }
        let mut ordered = self.sources().order(providers);
        ordered.retain(|provider| *provider != self.inner.own);
        if ordered.is_empty() {
            return Err(FetchError::NoProvider(hash));
        }
        let _permit = self.inner.fetches.acquire().await.map_err(|_| FetchError::Stopped)?;
        let mut failures = Vec::new();
        let mut race = Race::new(self, ordered);
        while let Some((provider, connected)) = race.next().await {
            let got = match connected {
                Ok(from) => self.parts_from(hash, bytes_max, ranges, &from).await,
                Err(error) => Err(error.into()),
            };
            match got {
                Ok(parts) => {
                    race.pass_over();
                    return Ok(parts);
                }
                Err(StepError::Provider(error)) => {
                    self.blame(provider, &error);
                    failures.push((provider, error));
                }
                Err(StepError::Fetch(error)) => return Err(error),
            }
        }
        Err(FetchError::AllFailed { hash, failures })
    }

    async fn parts_from(
        &self,
        hash: FileHash,
        bytes_max: u64,
        ranges: &[Range<u64>],
        from: &Connection,
    ) -> Result<Patches, StepError> {
        // The last chunk proves the length.
        let chunks = ranges.iter().filter(|range| !range.is_empty());
        let chunks = chunks
            .fold(ChunkRanges::last_chunk(), |all, range| all | ChunkRanges::bytes(range.clone()));
        let request = GetRequest::blob_ranges(iroh_hash(hash), chunks);
        let wanted: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        let reading = read(from.clone(), request, bytes_max, wanted);
        let Ok(read) = timeout(STALL, reading).await else {
            return Err(ProviderError::Stalled.into());
        };
        let (bytes, leaves) = read.map_err(judge)?;
        if bytes > bytes_max {
            return Err(FetchError::TooLarge { hash, bytes, bytes_max }.into());
        }
        self.inner.traffic.add_received(leaves.values().map(|leaf| leaf.len() as u64).sum());
        let mut parts = Patches::of(bytes);
        for range in ranges.iter().filter(|range| range.end <= bytes) {
            // Whoever has a part only may end early without an error of its own.
            let part = gathered(&leaves, range).ok_or(ProviderError::NotThere)?;
            parts.add(range.start, part);
        }
        Ok(parts)
    }
}

/// The ranges of a blob that is here.
fn cut(bytes: &[u8], ranges: &[Range<u64>]) -> Patches {
    let mut parts = Patches::of(bytes.bytes());
    for range in ranges {
        if let Some(part) = bytes.get(range.start as usize..range.end as usize) {
            parts.add(range.start, part.to_vec());
        }
    }
    parts
}

/// What a provider sends, verified: the blob's length, and runs of bytes by where they are. Nothing but the
/// length if that is more than `bytes_max`.
async fn read(
    from: Connection,
    request: GetRequest,
    bytes_max: u64,
    wanted: u64,
) -> Result<(u64, BTreeMap<u64, Vec<u8>>), GetError> {
    let connected = fsm::start(from, request, Default::default()).next().await?;
    let mut leaves = BTreeMap::new();
    let fsm::ConnectedNext::StartRoot(start) = connected.next().await? else {
        return Ok((0, leaves));
    };
    let (mut content, bytes) = start.next().next().await?;
    if bytes > bytes_max {
        return Ok((bytes, leaves));
    }
    let mut room = wanted + ROUNDED_UP_BYTES_MAX;
    while let fsm::BlobContentNext::More((next, item)) = content.next().await {
        if let BaoContentItem::Leaf(leaf) = item? {
            let Some(left) = room.checked_sub(leaf.data.len() as u64) else { break };
            room = left;
            leaves.insert(leaf.offset, leaf.data.to_vec());
        }
        content = next;
    }
    Ok((bytes, leaves))
}

/// Bytes beside those asked for that a provider may send: ranges are rounded to groups of chunks.
const ROUNDED_UP_BYTES_MAX: u64 = 16 << 20;

/// A range put together of leaves that cover it.
fn gathered(leaves: &BTreeMap<u64, Vec<u8>>, range: &Range<u64>) -> Option<Vec<u8>> {
    let mut part = Vec::with_capacity((range.end - range.start) as usize);
    let mut at = range.start;
    while at < range.end {
        let (start, leaf) = leaves.range(..=at).next_back()?;
        let rest = leaf.get((at - start) as usize..).filter(|rest| !rest.is_empty())?;
        let taken = rest.len().min((range.end - at) as usize);
        part.extend_from_slice(&rest[..taken]);
        at += taken as u64;
    }
    Some(part)
}
