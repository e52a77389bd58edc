//! The data plane as its user sees it: blobs kept, fetched, exported, between nodes on loopback.
//!
//! What it is not: tests of iroh-blobs, whose verification is taken as given.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::slice::from_ref;

use iroh::endpoint::{Connection, presets};
use iroh::protocol::{AcceptError, ProtocolHandler, Router};
use protocol::aggregate::Source;
use protocol::{FileHash, PublicKey, SecretKey};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::tests::{Node, options, pair};
use super::*;

const MIB: usize = 1 << 20;

/// Bytes without repetition, so that no two parts of a blob are alike.
fn bytes(count: usize) -> Vec<u8> {
    (0..count.div_ceil(32))
        .flat_map(|n| *FileHash::of(&n.to_le_bytes()).as_bytes())
        .take(count)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_fetched_verified_and_counted() {
    let (a, b) = pair(110).await;
    let blob = bytes(5 * MIB);
    let hash = a.net.blobs().add_bytes(blob.clone()).await.expect("added");
    assert_eq!(hash, FileHash::of(&blob));
    assert!(!b.net.blobs().has(hash).await);
    assert!(matches!(b.net.blobs().read(hash, u64::MAX).await, Err(BlobError::NotHere(_))));

    let (progress, mut seen) = mpsc::channel(1024);
    let fetched = b.net.blobs().fetch(hash, 5 * MIB as u64, &[a.key()], Some(progress)).await;
    let fetched = fetched.expect("fetched");
    assert_eq!((fetched.bytes, fetched.from), (5 * MIB as u64, a.key()));
    let mut last = 0;
    while let Some(now) = seen.recv().await {
        assert!(now > last, "progress grows");
        last = now;
    }
    assert_eq!(last, 5 * MIB as u64);
    assert_eq!(b.net.blobs().read(hash, u64::MAX).await.expect("here"), blob);
    assert_eq!(b.net.blobs().traffic(), (0, 5 * MIB as u64));

    // What is here costs nothing, and is bounded when read.
    let again = b.net.blobs().fetch(hash, 1, &[a.key()], None).await.expect("here");
    assert_eq!((again.bytes, again.from), (0, b.key()));
    let long = b.net.blobs().read(hash, 1).await;
    assert!(matches!(long, Err(BlobError::TooLong { bytes_max: 1, .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_blob_are_verified_and_not_kept() {
    let (a, b) = pair(140).await;
    for size in [1, 1_000, 40_000, 3 * MIB + 5] {
        let blob = bytes(size);
        let hash = a.net.blobs().add_bytes(blob.clone()).await.expect("added");
        let (middle, end) = (size as u64 / 2, size as u64);
        let ranges = [0..1, middle..end.min(middle + 70_000), end - 1..end, end..end + 9];
        let before = b.net.blobs().traffic().1;
        let parts = b.net.blobs().parts(hash, end, &ranges, &[a.key()]).await.expect("parts");
        let got = b.net.blobs().traffic().1 - before;
        assert_eq!(parts.bytes(), end, "the length is proven");
        for range in &ranges[..3] {
            let mut part = vec![0; (range.end - range.start) as usize];
            parts.read_at(range.start, &mut part).expect("it was asked for");
            assert_eq!(part, blob[range.start as usize..range.end as usize]);
        }
        assert!(got <= 70_000 + 4 * (16 << 10), "{got} bytes for parts of {size}");
        assert!(!b.net.blobs().has(hash).await, "a part is no blob");
        let here = a.net.blobs().parts(hash, end, &ranges, &[]).await.expect("it is here");
        assert_eq!(here, parts);
        let short = b.net.blobs().parts(hash, end - 1, &ranges, &[a.key()]).await;
        assert!(matches!(short, Err(FetchError::TooLarge { .. })), "{short:?}");
    }
    let (none, first) = (FileHash::of(b"nobody has this"), 0..1);
    let failed = b.net.blobs().parts(none, 9, from_ref(&first), &[a.key()]).await;
    let Err(FetchError::AllFailed { failures, .. }) = failed else { panic!("{failed:?}") };
    assert_eq!(failures, [(a.key(), ProviderError::NotThere)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_and_empty_blobs_are_blobs_too() {
    let (a, b) = pair(112).await;
    for size in [0, 1, 1_024, 16_385] {
        let blob = bytes(size);
        let hash = a.net.blobs().add_bytes(blob.clone()).await.expect("added");
        b.net.blobs().fetch(hash, size as u64, &[a.key()], None).await.expect("fetched");
        assert_eq!(b.net.blobs().read(hash, size as u64).await.expect("here"), blob);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_provider_is_asked() {
    let (a, mut b) = pair(114).await;
    let mut c = Node::start(options(116, vec![b.address().await])).await;
    b.until_connected(c.key()).await;
    c.until_connected(b.key()).await;
    let hash = c.net.blobs().add_bytes(bytes(MIB)).await.expect("added");
    let nobody = SecretKey::from_seed(&[97; 32]).public();

    let alone = b.net.blobs().fetch(hash, MIB as u64, &[a.key()], None).await;
    let Err(FetchError::AllFailed { failures, .. }) = alone else { panic!("{alone:?}") };
    assert_eq!(failures, [(a.key(), ProviderError::NotThere)]);
    assert!(!b.net.blobs().is_banned(&a.key()), "having nothing is no lie");

    let providers = [nobody, a.key(), c.key(), b.key()];
    let fetched = b.net.blobs().fetch(hash, MIB as u64, &providers, None).await.expect("fetched");
    assert_eq!(fetched.from, c.key());
    let none = b.net.blobs().fetch(FileHash::of(b"?"), 1, &[b.key()], None).await;
    assert!(matches!(none, Err(FetchError::NoProvider(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_is_not_waited_for() {
    let (a, b) = pair(132).await;
    let hash = a.net.blobs().add_bytes(bytes(MIB)).await.expect("added");
    let other = a.net.blobs().add_bytes(bytes(MIB / 2)).await.expect("added");
    // Sockets that take what is sent and say nothing.
    let silent: Vec<_> = [134, 135].map(|seed| SecretKey::from_seed(&[seed; 32]).public()).into();
    let mut sockets = Vec::new();
    for peer in &silent {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        let address = socket.local_addr().expect("an address");
        b.net.blobs().learn(peer, BTreeSet::from([address]));
        sockets.push(socket);
    }
    let providers = [silent[0], silent[1], a.key()];
    let fetched = b.net.blobs().fetch(hash, MIB as u64, &providers, None).await.expect("fetched");
    assert_eq!(fetched.from, a.key());
    let patience_ms = protocol::limits::DATA_CONNECT_TIMEOUT_MS;
    assert!(fetched.elapsed_ms < patience_ms, "{} ms", fetched.elapsed_ms);
    // Next time they come after whoever answered.
    let fetched = b.net.blobs().fetch(other, MIB as u64, &providers, None).await.expect("fetched");
    assert_eq!(fetched.from, a.key());

    let nowhere = FileHash::of(b"nowhere");
    let failed = b.net.blobs().fetch(nowhere, 1, &providers, None).await;
    let Err(FetchError::AllFailed { failures, .. }) = failed else { panic!("{failed:?}") };
    assert_eq!(failures[0], (a.key(), ProviderError::NotThere), "who answers is heard first");
    let unreachable = |key| {
        let of_key =
            |(who, error): &(_, _)| *who == key && matches!(error, ProviderError::Unreachable(_));
        failures.iter().any(of_key)
    };
    assert!(silent.iter().all(|key| unreachable(*key)), "{failures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_before_it_is_downloaded() {
    let (a, b) = pair(118).await;
    let hash = a.net.blobs().add_bytes(bytes(MIB)).await.expect("added");
    let refused = b.net.blobs().fetch(hash, MIB as u64 - 1, &[a.key()], None).await;
    let Err(FetchError::TooLarge { bytes, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(bytes, MIB as u64);
    assert_eq!(b.net.blobs().traffic(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_fetch_is_resumed() {
    let (a, b) = pair(120).await;
    let hash = a.net.blobs().add_bytes(bytes(16 * MIB)).await.expect("added");
    let (progress, mut seen) = mpsc::channel(1024);
    let providers = [a.key()];
    let blobs = b.net.blobs();
    {
        let fetching = blobs.fetch(hash, 16 * MIB as u64, &providers, Some(progress));
        let mut fetching = std::pin::pin!(fetching);
        loop {
            tokio::select! {
                biased;
                now = seen.recv() => if now.expect("progress") > 4 * MIB as u64 { break },
                done = &mut fetching => panic!("too fast to be interrupted: {done:?}"),
            }
        }
    }
    assert!(!blobs.has(hash).await);
    let fetched = blobs.fetch(hash, 16 * MIB as u64, &providers, None).await.expect("fetched");
    assert!(fetched.bytes < 14 * MIB as u64, "{} bytes were fetched again", fetched.bytes);
    assert_eq!(blobs.read(hash, u64::MAX).await.expect("here"), bytes(16 * MIB));
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_survive_a_restart() {
    let (a, b) = pair(122).await;
    let hash = a.net.blobs().add_bytes(bytes(MIB)).await.expect("added");
    b.net.blobs().fetch(hash, MIB as u64, &[a.key()], None).await.expect("fetched");
    let Node { net, directory, .. } = b;
    net.shutdown().await;
    drop(net);
    let again = Net::start(options(123, vec![]), directory.path(), CancellationToken::new()).await;
    let (net, _events) = again.expect("starts again");
    assert_eq!(net.blobs().read(hash, u64::MAX).await.expect("here"), bytes(MIB));
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_in_and_go_out_whole() {
    let a = Node::start(options(124, vec![])).await;
    let directory = tempfile::tempdir().expect("a directory");
    let (source, target) = (directory.path().join("in"), directory.path().join("out"));
    std::fs::write(&source, bytes(MIB)).expect("written");
    let (hash, size) = a.net.blobs().add_path(&source).await.expect("added");
    assert_eq!((hash, size), (FileHash::of(&bytes(MIB)), MIB as u64));
    std::fs::write(&target, b"something older").expect("written");
    assert_eq!(a.net.blobs().export(hash, &target).await.expect("exported"), MIB as u64);
    assert_eq!(std::fs::read(&target).expect("there"), bytes(MIB));

    let missing = a.net.blobs().add_path(&directory.path().join("missing")).await;
    let text = missing.expect_err("missing").to_string();
    assert!(text.contains("missing") && text.contains("No such file"), "{text}");
    assert!(a.net.blobs().export(FileHash::of(b"?"), &target).await.is_err());
    let left: Vec<_> = std::fs::read_dir(&directory).expect("listed").collect();
    assert_eq!(left.len(), 2, "nothing partial is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_on_disk_is_noticed() {
    let a = Node::start(options(126, vec![])).await;
    let hash = a.net.blobs().add_bytes(bytes(MIB)).await.expect("added");
    let file = a.directory.path().join("data").join(format!("{hash}.data"));
    let mut damaged = bytes(MIB);
    damaged[MIB / 2] ^= 1;
    std::fs::write(&file, damaged).expect("written");
    assert!(matches!(a.net.blobs().read(hash, u64::MAX).await, Err(BlobError::Damaged(_))));
    let target = a.directory.path().join("out");
    assert!(matches!(a.net.blobs().export(hash, &target).await, Err(BlobError::Damaged(_))));
    assert!(!target.exists());
}

/// Serves the right number of wrong bytes for every hash.
#[derive(Debug)]
struct Liar;

impl ProtocolHandler for Liar {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        while let Ok((mut send, mut receive)) = connection.accept_bi().await {
            let _request = receive.read_to_end(MIB).await;
            let _ = send.write_all(&1_000u64.to_le_bytes()).await;
            let _ = send.write_all(&[0xaa; 1_000]).await;
            let _ = send.finish();
        }
        Ok(())
    }
}

/// A liar whose address `b` has learnt.
async fn liar(b: &Node, seed: u8) -> (PublicKey, Router) {
    let secret = SecretKey::from_seed(&[seed; 32]);
    let endpoint = iroh::Endpoint::builder(presets::Minimal)
        .secret_key(iroh::SecretKey::from_bytes(&secret.seed()))
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0".parse::<SocketAddr>().expect("an address"))
        .expect("an address")
        .bind()
        .await
        .expect("bound");
    let liar = secret.public();
    b.net.blobs().learn(&liar, endpoint.bound_sockets().into_iter().collect::<BTreeSet<_>>());
    (liar, Router::builder(endpoint).accept(iroh_blobs::ALPN, Liar).spawn())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_serves_wrong_bytes_is_not_asked_again() {
    let (a, b) = pair(128).await;
    let hash = a.net.blobs().add_bytes(bytes(1_000)).await.expect("added");
    let (liar, router) = liar(&b, 130).await;

    let failed = b.net.blobs().fetch(hash, MIB as u64, &[liar], None).await;
    let Err(FetchError::AllFailed { failures, .. }) = failed else { panic!("{failed:?}") };
    assert!(matches!(failures[0].1, ProviderError::WrongBytes(_)), "{failures:?}");
    assert!(b.net.blobs().is_banned(&liar));

    let failed = b.net.blobs().fetch(hash, MIB as u64, &[liar], None).await;
    let Err(FetchError::AllFailed { failures, .. }) = failed else { panic!("{failed:?}") };
    assert_eq!(failures, [(liar, ProviderError::Banned)]);
    let fetched = b.net.blobs().fetch(hash, MIB as u64, &[liar, a.key()], None).await;
    assert_eq!(fetched.expect("fetched").from, a.key());
    assert_eq!(b.net.status().await.peers_dropped, 1, "told to the control plane");
    router.shutdown().await.expect("stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parts_are_no_better_than_wrong_blobs() {
    let (a, b) = pair(142).await;
    let blob = bytes(1_000);
    let hash = a.net.blobs().add_bytes(blob.clone()).await.expect("added");
    let (liar, router) = liar(&b, 144).await;
    let first = 0..10;
    let asked = from_ref(&first);
    let failed = b.net.blobs().parts(hash, MIB as u64, asked, &[liar]).await;
    let Err(FetchError::AllFailed { failures, .. }) = failed else { panic!("{failed:?}") };
    assert!(matches!(failures[0].1, ProviderError::WrongBytes(_)), "{failures:?}");
    assert!(b.net.blobs().is_banned(&liar));
    let parts = b.net.blobs().parts(hash, MIB as u64, asked, &[liar, a.key()]).await;
    assert_eq!(parts.expect("of the other").slice(0, 10), Some(&blob[..10]));
    router.shutdown().await.expect("stops");
}
