//! Asking a witness for its cosignature over HTTP (C2SP tlog-witness).
//!
//! Invariants: an answer is bounded in bytes and time. What it is not: TLS; a witness elsewhere is
//! reached through a tunnel or proxy, and its answer is checked by its signature alone.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, header::HOST};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use protocol::limits::{LOG_NOTE_BYTES_MAX, WITNESS_TIMEOUT_MS};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

/// What a witness said.
pub(super) struct Said {
    /// The HTTP status.
    pub(super) status: u16,
    /// The body.
    pub(super) body: String,
}

/// Sends a request to the witness at `url`; the error is for people.
pub(super) async fn add_checkpoint(url: &str, body: Vec<u8>) -> Result<Said, String> {
    let patience = Duration::from_millis(WITNESS_TIMEOUT_MS);
    match tokio::time::timeout(patience, post(url, body)).await {
        Ok(said) => said.map_err(|error| format!("cannot be asked: {error}")),
        Err(_) => Err(format!("did not answer within {WITNESS_TIMEOUT_MS} ms")),
    }
}

async fn post(url: &str, body: Vec<u8>) -> Result<Said, Box<dyn std::error::Error + Send + Sync>> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (host, prefix) = rest
        .split_once('/')
        .map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let request = Request::post(format!("{prefix}/add-checkpoint"))
        .header(HOST, host)
        .body(Full::new(Bytes::from(body)))?;
    let socket = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(async move {
        // Whoever waits for the answer is told what broke it.
        let _ = connection.await;
    }));
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), LOG_NOTE_BYTES_MAX).collect().await?.to_bytes();
    Ok(Said { status, body: String::from_utf8_lossy(&body).into_owned() })
}
