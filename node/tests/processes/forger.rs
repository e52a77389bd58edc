//! A data plane that answers every request for a blob with wrong bytes.
//!
//! Invariants: it says what iroh-blobs says before a blob, so that only the bytes are wrong. What it
//! is not: known to anybody by itself; a `liar` tells where it listens.

use iroh::endpoint::{Connection, presets};
use iroh::protocol::{AcceptError, ProtocolHandler, Router};
use protocol::SecretKey;

/// How long it says that every blob is, in bytes.
const BLOB_BYTES: usize = 1_000;
/// The longest request that it reads, in bytes.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// A running data plane; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Forger {
    /// Where it listens.
    pub(crate) addresses: Vec<String>,
    _router: Router,
}

impl Forger {
    /// Listens on a free port of loopback.
    pub(crate) async fn start(key: &SecretKey) -> Self {
        let endpoint = iroh::Endpoint::builder(presets::Minimal)
            .secret_key(iroh::SecretKey::from_bytes(&key.seed()))
            .clear_ip_transports()
            .bind_addr("127.0.0.1:0")
            .expect("an address")
            .bind()
            .await
            .expect("bound");
        let addresses = endpoint.bound_sockets().iter().map(ToString::to_string).collect();
        let router = Router::builder(endpoint).accept(iroh_blobs::ALPN, Forging).spawn();
        Self { addresses, _router: router }
    }
}

#[derive(Debug, Clone)]
struct Forging;

impl ProtocolHandler for Forging {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        while let Ok((mut send, mut receive)) = connection.accept_bi().await {
            // Whoever hangs up has seen enough.
            let _ = receive.read_to_end(REQUEST_BYTES_MAX).await;
            let _ = send.write_all(&(BLOB_BYTES as u64).to_le_bytes()).await;
            let _ = send.write_all(&[0xaa; BLOB_BYTES]).await;
            let _ = send.finish();
        }
        Ok(())
    }
}
