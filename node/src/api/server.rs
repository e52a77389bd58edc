//! The local API's serving end: one route a call.
//!
//! Invariants: it listens on loopback only; every call is guarded; bodies are bounded; what changes
//! something is `POST` and answers in lines. What it is not: the work itself (see [`Service`]).

use std::future::IntoFuture;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use axum::{Router, middleware};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use protocol::limits::{API_REQUEST_BYTES_MAX, API_STOP_TIMEOUT_MS};

use super::dto::{AuditRequest, JoinRequest};
use super::guard::{Guard, guard};
use super::stream::{JsonBody, Tasks, answer, refusal};
use super::{Address, Answer, ProgressSender, ServeError, Service, Token};

/// The API's socket, before anything is served.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    port: u16,
}

impl Server {
    /// Takes a port of 127.0.0.1; 0 takes a free one.
    pub async fn bind(port: u16) -> Result<Self, ServeError> {
        let bind = |source| ServeError::Bind { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(bind)?;
        let port = listener.local_addr().map_err(bind)?.port();
        Ok(Self { listener, port })
    }

    /// The port of 127.0.0.1 that it listens on.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens, to be written where clients look for it.
    pub fn address(&self, token: Token) -> Address {
        let url = format!("http://127.0.0.1:{}", self.port);
        Address { url, token, pid: std::process::id() }
    }

    /// Serves until `cancel` is cancelled and work under way has stopped.
    pub async fn serve<S: Service>(
        self,
        service: Arc<S>,
        token: Token,
        cancel: CancellationToken,
    ) -> Result<(), ServeError> {
        // Work stops with the server, however the server ends.
        let cancel = cancel.child_token();
        let stop = cancel.clone().drop_guard();
        let tasks = Tasks::new(cancel.clone());
        let guarded = middleware::from_fn_with_state(Guard::new(self.port, token), guard);
        let routes = routes(Api { service, tasks: tasks.clone() })
            .layer(DefaultBodyLimit::max(API_REQUEST_BYTES_MAX))
            .layer(guarded);
        let served = serve_until(self.listener, routes, cancel).await.map_err(ServeError::Broken);
        drop(stop);
        tasks.stopped().await;
        served
    }
}

/// What every handler needs.
struct Api<S> {
    service: Arc<S>,
    tasks: Tasks,
}

impl<S> Clone for Api<S> {
    fn clone(&self) -> Self {
        Self { service: Arc::clone(&self.service), tasks: self.tasks.clone() }
    }
}

fn routes<S: Service>(api: Api<S>) -> Router {
    Router::new()
        .route("/api/status", plain(|s: Arc<S>| async move { s.status().await }))
        .route("/api/models", plain(|s: Arc<S>| async move { s.models().await }))
        .route("/api/runs", plain(|s: Arc<S>| async move { s.runs().await }))
        .route("/api/runs/{run}", get(run::<S>))
        .route("/api/runs/{run}/watch", get(watch::<S>))
        .route("/api/runs/{run}/join", post(join::<S>))
        .route(
            "/api/runs/{run}/leave",
            of_run(|s: Arc<S>, run, _| async move { s.leave(run).await }),
        )
        .route("/api/runs/{run}/audit", post(audit::<S>))
        .route("/api/run-act", asked(|s: Arc<S>, r, p| async move { s.run_act(r, p).await }))
        .route("/api/share", asked(|s: Arc<S>, r, p| async move { s.share(r, p).await }))
        .route("/api/get", asked(|s: Arc<S>, r, p| async move { s.get(r, p).await }))
        .route("/api/create", asked(|s: Arc<S>, r, p| async move { s.create(r, p).await }))
        .route("/api/opt-out", asked(|s: Arc<S>, r, p| async move { s.opt_out(r, p).await }))
        .route("/api/opt-in", asked(|s: Arc<S>, r, p| async move { s.opt_in(r, p).await }))
        .route("/api/identities", asked(|s: Arc<S>, r, p| async move { s.identities(r, p).await }))
        .route("/api/say", asked(|s: Arc<S>, r, p| async move { s.say(r, p).await }))
        .route("/api/records", asked(|s: Arc<S>, r, _| async move { s.records(r).await }))
        .route("/api/export", asked(|s: Arc<S>, r, _| async move { s.export(r).await }))
        .route("/api/check", asked(|s: Arc<S>, r, p| async move { s.check(r, p).await }))
        .route("/api/scan", asked(|s: Arc<S>, r, p| async move { s.scan(r, p).await }))
        .route("/api/eval", asked(|s: Arc<S>, r, p| async move { s.eval(r, p).await }))
        .route("/api/prove", asked(|s: Arc<S>, r, _| async move { s.prove(r).await }))
        .route("/api/shutdown", post(shutdown::<S>))
        .fallback(async || {
            refusal(StatusCode::NOT_FOUND, "the local API has no such call".to_owned(), true)
        })
        .with_state(api)
}

/// A call that only reads.
fn plain<S, T, F>(
    call: impl FnOnce(Arc<S>) -> F + Clone + Send + Sync + 'static,
) -> MethodRouter<Api<S>>
where
    S: Service,
    T: Serialize,
    F: Future<Output = Answer<T>> + Send,
{
    get(async |State(api): State<Api<S>>| answer(call(api.service).await))
}

/// A call with a body, answered in lines.
fn asked<S, R, T, F>(
    call: impl FnOnce(Arc<S>, R, ProgressSender) -> F + Clone + Send + Sync + 'static,
) -> MethodRouter<Api<S>>
where
    S: Service,
    R: DeserializeOwned + Send + 'static,
    T: Serialize + Send + 'static,
    F: Future<Output = Answer<T>> + Send + 'static,
{
    post(async |State(api): State<Api<S>>, JsonBody(request): JsonBody<R>| {
        api.tasks.lines(|progress| call(api.service, request, progress))
    })
}

/// A call about a run, without a body, answered in lines.
fn of_run<S, T, F>(
    call: impl FnOnce(Arc<S>, String, ProgressSender) -> F + Clone + Send + Sync + 'static,
) -> MethodRouter<Api<S>>
where
    S: Service,
    T: Serialize + Send + 'static,
    F: Future<Output = Answer<T>> + Send + 'static,
{
    post(async |State(api): State<Api<S>>, Path(run): Path<String>| {
        api.tasks.lines(|progress| call(api.service, run, progress))
    })
}

async fn join<S: Service>(
    State(api): State<Api<S>>,
    Path(run): Path<String>,
    JsonBody(request): JsonBody<JoinRequest>,
) -> Response {
    api.tasks.lines(|_| async move { api.service.join(run, request).await })
}

async fn audit<S: Service>(
    State(api): State<Api<S>>,
    Path(run): Path<String>,
    JsonBody(request): JsonBody<AuditRequest>,
) -> Response {
    api.tasks.lines(|progress| async move { api.service.audit(run, request, progress).await })
}

async fn run<S: Service>(State(api): State<Api<S>>, Path(run): Path<String>) -> Response {
    answer(api.service.run(run).await)
}

async fn watch<S: Service>(State(api): State<Api<S>>, Path(run): Path<String>) -> Response {
    match api.service.watch(run).await {
        Ok(views) => api.tasks.watch(views),
        Err(failure) => answer::<()>(Err(failure)),
    }
}

async fn shutdown<S: Service>(State(api): State<Api<S>>) -> Response {
    api.service.shutdown();
    answer(Ok(()))
}

/// Serves until `cancel`, and a moment longer for answers under way: a client that does not read its
/// answer does not keep the node from stopping.
pub(crate) async fn serve_until(
    listener: TcpListener,
    routes: Router,
    cancel: CancellationToken,
) -> io::Result<()> {
    let serving = axum::serve(listener, routes)
        .with_graceful_shutdown(cancel.clone().cancelled_owned())
        .into_future();
    let patience = async {
        cancel.cancelled().await;
        tokio::time::sleep(Duration::from_millis(API_STOP_TIMEOUT_MS)).await;
    };
    tokio::select! {
        served = serving => served,
        () = patience => Ok(()),
    }
}
