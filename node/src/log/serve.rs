//! What anyone may fetch of a log, and ask of a witness: HTTP as C2SP tlog-tiles and tlog-witness
//! have it.
//!
//! ```text
//! GET  /checkpoint       the newest checkpoint, with cosignatures
//! GET  /tile/...         tiles and bundles
//! GET  /vkey             the log's key
//! GET  /witness/vkey     the witness's key
//! POST /add-checkpoint   asks the witness for its cosignature
//! ```
//!
//! Invariants: it listens on loopback only; it reads public files of the log and nothing else; a body
//! is bounded. What it is not: the local API. Nothing here needs the token or changes the node.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use protocol::limits::LOG_WITNESS_REQUEST_BYTES_MAX;
use protocol::log::tile::{TilePath, TileReader};
use protocol::log::witness::{Refusal, SIZE_CONTENT_TYPE};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::place::LogDir;
use super::witness::{WitnessBook, WitnessError};
use crate::api::{ServeError, serve_until};

/// A full tile never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The socket, before anything is served.
#[derive(Debug)]
pub struct LogServer {
    listener: TcpListener,
    port: u16,
}

/// What is served: of a log, of a witness, or of both.
#[derive(Debug, Clone)]
struct Served {
    home: Arc<PathBuf>,
    witness: Option<Arc<WitnessBook>>,
}

impl LogServer {
    /// Takes a port of 127.0.0.1; 0 takes a free one.
    pub(crate) async fn bind(port: u16) -> Result<Self, ServeError> {
        let bind = |source| ServeError::Bind { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(bind)?;
        let port = listener.local_addr().map_err(bind)?.port();
        Ok(Self { listener, port })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Serves until `cancel`.
    pub(crate) async fn serve(
        self,
        home: PathBuf,
        witness: Option<Arc<WitnessBook>>,
        cancel: CancellationToken,
    ) {
        let served = Served { home: Arc::new(home), witness };
        let routes = Router::new()
            .route("/checkpoint", get(checkpoint))
            .route("/vkey", get(vkey))
            .route("/tile/{*path}", get(tile))
            .route("/witness/vkey", get(witness_vkey))
            .route("/add-checkpoint", post(add_checkpoint))
            .layer(DefaultBodyLimit::max(LOG_WITNESS_REQUEST_BYTES_MAX))
            .with_state(served);
        if let Err(error) = serve_until(self.listener, routes, cancel).await {
            tracing::error!(%error, "the log is served no more");
        }
    }
}

async fn checkpoint(State(served): State<Served>) -> Response {
    let read = || LogDir::open(&served.home).ok()?.published().ok()?;
    match tokio::task::block_in_place(read) {
        Some(shown) => text(StatusCode::OK, shown.note().to_string()),
        None => nothing(),
    }
}

async fn vkey(State(served): State<Served>) -> Response {
    match tokio::task::block_in_place(|| LogDir::open(&served.home)) {
        Ok(log) => text(StatusCode::OK, format!("{}\n", log.vkey())),
        Err(_) => nothing(),
    }
}

async fn tile(State(served): State<Served>, Path(path): Path<String>) -> Response {
    let Ok(path) = format!("tile/{path}").parse::<TilePath>() else { return nothing() };
    let read = || {
        let log = LogDir::open(&served.home).ok()?;
        // Files of entries that no shown checkpoint covers may be there; they are not shown.
        let size = log.published().ok()??.checkpoint().size();
        let covers = TilePath::in_log(path.kind(), path.index(), size)?;
        if covers.width() < path.width() { None } else { log.read(&path).ok() }
    };
    match tokio::task::block_in_place(read) {
        Some(bytes) => {
            let kind = (CONTENT_TYPE, "application/octet-stream");
            ([kind, (CACHE_CONTROL, FOR_EVER)], bytes).into_response()
        }
        None => nothing(),
    }
}

async fn witness_vkey(State(served): State<Served>) -> Response {
    match &served.witness {
        Some(witness) => text(StatusCode::OK, format!("{}\n", witness.vkey())),
        None => nothing(),
    }
}

async fn add_checkpoint(State(served): State<Served>, body: Bytes) -> Response {
    let Some(witness) = served.witness else { return nothing() };
    match tokio::task::block_in_place(|| witness.add_checkpoint(&body)) {
        Ok(line) => text(StatusCode::OK, line),
        Err(WitnessError::Request(error)) => text(StatusCode::BAD_REQUEST, format!("{error}\n")),
        Err(WitnessError::Refused(refusal)) => {
            let status = StatusCode::from_u16(refusal.status());
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            match refusal {
                Refusal::Conflict { .. } => {
                    (status, [(CONTENT_TYPE, SIZE_CONTENT_TYPE)], refusal.body()).into_response()
                }
                _ => text(status, refusal.body()),
            }
        }
        Err(error) => {
            tracing::error!(%error, "the witness cannot cosign");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the witness cannot cosign now\n".into())
        }
    }
}

fn text(status: StatusCode, text: String) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

fn nothing() -> Response {
    text(StatusCode::NOT_FOUND, "there is nothing here\n".into())
}
