//! The local API's asking end, for the command line and the demo.
//!
//! Invariants: an answer's lines are bounded; an answer that breaks off is an error, never a result.
//! What it is not: a way to reach any other host; it knows only the address in a data directory.

use std::path::{Path, PathBuf};

use axum::body::Bytes;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use protocol::limits::API_LINE_BYTES_MAX;

use super::dto::{
    AuditReply, AuditRequest, CheckReply, CheckRequest, ConsentReply, ConsentRequest,
    CreateRequest, EvalReply, EvalRequest, ExportReply, ExportRequest, Failure, GetReply,
    GetRequest, IdReply, IdRequest, JoinRequest, Line, OptInReply, OwnReply, OwnRequest, Progress,
    ProveReply, ProveRequest, RecordsReply, RecordsRequest, RevisionView, RunActReply,
    RunActRequest, RunView, ScanReply, ScanRequest, ShareRequest, Status,
};
use super::{Address, AddressError, ClientError};

/// A running node, as seen from another process.
#[derive(Debug, Clone)]
pub struct Client {
    dir: PathBuf,
    address: Address,
}

/// A run's changes as they come.
#[derive(Debug)]
pub struct Watch(Lines);

impl Client {
    /// The node that runs on `dir`. Only the file with its address is read; whether it answers shows
    /// with the first call.
    pub fn open(dir: &Path) -> Result<Self, ClientError> {
        match Address::read(dir) {
            Ok(address) => Ok(Self { dir: dir.to_owned(), address }),
            Err(AddressError::Missing(_)) => Err(ClientError::NotRunning(dir.to_owned())),
            Err(e) => Err(ClientError::Address(e)),
        }
    }

    /// `GET /api/status`.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.read("/api/status").await
    }

    /// `GET /api/models`.
    pub async fn models(&self) -> Result<Vec<RevisionView>, ClientError> {
        self.read("/api/models").await
    }

    /// `GET /api/runs`.
    pub async fn runs(&self) -> Result<Vec<RunView>, ClientError> {
        self.read("/api/runs").await
    }

    /// `GET /api/runs/RUN`.
    pub async fn run(&self, run: &str) -> Result<RunView, ClientError> {
        self.read(&format!("/api/runs/{}", segment(run))).await
    }

    /// `GET /api/runs/RUN/watch`.
    pub async fn watch(&self, run: &str) -> Result<Watch, ClientError> {
        let path = format!("/api/runs/{}/watch", segment(run));
        self.ask(Method::GET, &path, Bytes::new()).await.map(Watch)
    }

    /// `POST /api/share`.
    pub async fn share(
        &self,
        request: &ShareRequest,
        said: impl FnMut(Progress),
    ) -> Result<RevisionView, ClientError> {
        self.change("/api/share", request, said).await
    }

    /// `POST /api/get`.
    pub async fn get(
        &self,
        request: &GetRequest,
        said: impl FnMut(Progress),
    ) -> Result<GetReply, ClientError> {
        self.change("/api/get", request, said).await
    }

    /// `POST /api/create`.
    pub async fn create(
        &self,
        request: &CreateRequest,
        said: impl FnMut(Progress),
    ) -> Result<RunView, ClientError> {
        self.change("/api/create", request, said).await
    }

    /// `POST /api/runs/RUN/join`.
    pub async fn join(&self, run: &str, request: &JoinRequest) -> Result<RunView, ClientError> {
        self.change(&format!("/api/runs/{}/join", segment(run)), request, drop).await
    }

    /// `POST /api/runs/RUN/leave`.
    pub async fn leave(&self, run: &str) -> Result<RunView, ClientError> {
        self.change(&format!("/api/runs/{}/leave", segment(run)), &(), drop).await
    }

    /// `POST /api/opt-out`.
    pub async fn opt_out(
        &self,
        request: &ConsentRequest,
        said: impl FnMut(Progress),
    ) -> Result<ConsentReply, ClientError> {
        self.change("/api/opt-out", request, said).await
    }

    /// `POST /api/opt-in`.
    pub async fn opt_in(
        &self,
        request: &ConsentRequest,
        said: impl FnMut(Progress),
    ) -> Result<OptInReply, ClientError> {
        self.change("/api/opt-in", request, said).await
    }

    /// `POST /api/identities`.
    pub async fn identities(
        &self,
        request: &IdRequest,
        said: impl FnMut(Progress),
    ) -> Result<IdReply, ClientError> {
        self.change("/api/identities", request, said).await
    }

    /// `POST /api/say`.
    pub async fn say(
        &self,
        request: &OwnRequest,
        said: impl FnMut(Progress),
    ) -> Result<OwnReply, ClientError> {
        self.change("/api/say", request, said).await
    }

    /// `POST /api/records`.
    pub async fn records(&self, request: &RecordsRequest) -> Result<RecordsReply, ClientError> {
        self.change("/api/records", request, drop).await
    }

    /// `POST /api/export`.
    pub async fn export(&self, request: &ExportRequest) -> Result<ExportReply, ClientError> {
        self.change("/api/export", request, drop).await
    }

    /// `POST /api/check`.
    pub async fn check(
        &self,
        request: &CheckRequest,
        said: impl FnMut(Progress),
    ) -> Result<CheckReply, ClientError> {
        self.change("/api/check", request, said).await
    }

    /// `POST /api/scan`.
    pub async fn scan(
        &self,
        request: &ScanRequest,
        said: impl FnMut(Progress),
    ) -> Result<ScanReply, ClientError> {
        self.change("/api/scan", request, said).await
    }

    /// `POST /api/runs/RUN/audit`.
    pub async fn audit(
        &self,
        run: &str,
        request: &AuditRequest,
        said: impl FnMut(Progress),
    ) -> Result<AuditReply, ClientError> {
        self.change(&format!("/api/runs/{}/audit", segment(run)), request, said).await
    }

    /// `POST /api/run-act`.
    pub async fn run_act(
        &self,
        request: &RunActRequest,
        said: impl FnMut(Progress),
    ) -> Result<RunActReply, ClientError> {
        self.change("/api/run-act", request, said).await
    }

    /// `POST /api/eval`.
    pub async fn eval(
        &self,
        request: &EvalRequest,
        said: impl FnMut(Progress),
    ) -> Result<EvalReply, ClientError> {
        self.change("/api/eval", request, said).await
    }

    /// `POST /api/prove`.
    pub async fn prove(&self, request: &ProveRequest) -> Result<ProveReply, ClientError> {
        self.change("/api/prove", request, drop).await
    }

    /// `POST /api/shutdown`: the node begins to stop.
    pub async fn shutdown(&self) -> Result<(), ClientError> {
        let mut lines = self.ask(Method::POST, "/api/shutdown", Bytes::new()).await?;
        lines.whole().await
    }

    /// A call that is answered with one document.
    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::GET, path, Bytes::new()).await?.whole().await
    }

    /// A call that is answered with lines.
    async fn change<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
        mut said: impl FnMut(Progress),
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(request).expect("a request is always JSON");
        let mut lines = self.ask(Method::POST, path, body.into()).await?;
        loop {
            let Some(line) = lines.next().await? else {
                return Err(self.lost("the answer ended early"));
            };
            match line {
                Line::Progress(progress) => said(progress),
                Line::Done(value) => return Ok(value),
                Line::Failed(failure) => return Err(ClientError::Failed(failure)),
            }
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Lines, ClientError> {
        let host = self.address.host().ok_or_else(|| {
            ClientError::Address(AddressError::Damaged(self.dir.join("api.json")))
        })?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, self.address.token.authorization())
            .body(Full::new(body))
            .map_err(|_| ClientError::Address(AddressError::Damaged(self.dir.join("api.json"))))?;
        let socket = TcpStream::connect(host)
            .await
            .map_err(|_| ClientError::NotRunning(self.dir.clone()))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(socket)).await.map_err(|e| self.lost(e))?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            // Whoever reads the answer is told what broke it.
            let _ = connection.await;
        }));
        let response = sender.send_request(request).await.map_err(|e| self.lost(e))?;
        let status = response.status();
        let client = self.clone();
        let body = response.into_body();
        let mut lines = Lines { client, body, read: Vec::new(), seen: 0, _connection: connection };
        if status == StatusCode::OK {
            return Ok(lines);
        }
        let failure: Failure = lines.whole().await?;
        Err(ClientError::Failed(failure))
    }

    fn lost(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
        ClientError::Lost { dir: self.dir.clone(), source: source.into() }
    }

    fn foreign(&self, rule: impl ToString) -> ClientError {
        ClientError::Foreign { url: self.address.url.clone(), rule: rule.to_string() }
    }
}

impl Watch {
    /// The run as it is now, then again after each change; nothing once the node stops.
    pub async fn next(&mut self) -> Result<Option<RunView>, ClientError> {
        self.0.next().await
    }
}

/// An answer that is still arriving.
#[derive(Debug)]
struct Lines {
    client: Client,
    body: Incoming,
    /// Bytes that arrived and were not taken yet; those before `seen` hold no line end.
    read: Vec<u8>,
    seen: usize,
    _connection: AbortOnDropHandle<()>,
}

impl Lines {
    /// The next line; nothing at the end.
    async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if let Some(end) = self.read[self.seen..].iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=self.seen + end).collect();
                self.seen = 0;
                return self.parse(&line).map(Some);
            }
            self.seen = self.read.len();
            if self.more().await? {
                continue;
            }
            if self.read.is_empty() {
                return Ok(None);
            }
            return Err(self.client.lost("the answer ended within a line"));
        }
    }

    /// All of the answer as one document.
    async fn whole<T: DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        while self.more().await? {}
        self.parse(&self.read)
    }

    /// Reads on; says whether there was more.
    async fn more(&mut self) -> Result<bool, ClientError> {
        let Some(frame) = self.body.frame().await else {
            return Ok(false);
        };
        if let Ok(data) = frame.map_err(|e| self.client.lost(e))?.into_data() {
            if self.read.len() + data.len() > API_LINE_BYTES_MAX {
                return Err(self.client.foreign("its answer is too long"));
            }
            self.read.extend_from_slice(&data);
        }
        Ok(true)
    }

    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(bytes).map_err(|e| self.client.foreign(e))
    }
}

/// A text as one segment of a path (RFC 3986, section 2.1).
fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_s_name_stays_one_segment() {
        assert_eq!(segment("digits-1_a~"), "digits-1_a~");
        assert_eq!(segment("../a b/ü%"), "%2E%2E%2Fa%20b%2F%C3%BC%25");
    }
}
