//! The two shapes of an answer: one JSON document, or lines of JSON as the work goes on.
//!
//! Invariants: work that has begun goes on when its client hangs up, until the node stops; the last
//! line of an answer is the result or the failure, and comes after all progress that was kept.
//! What it is not: which call does what (see `server`).

use std::convert::Infallible;
use std::future::Future;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Json, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dto::{Failure, Line, Progress};
use super::{Answer, ProgressSender};

/// The media type of JSON lines.
const LINES: &str = "application/x-ndjson";

/// A JSON body; what is wrong with one is answered as a [`Failure`].
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        match Json::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(e) => Err(refusal(e.status(), one_line(&e.body_text()), true)),
        }
    }
}

/// Where work that outlives its connection is kept, and how it is told to stop.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl Tasks {
    pub(super) fn new(cancel: CancellationToken) -> Self {
        Self { tracker: TaskTracker::new(), cancel }
    }

    /// Waits until all work has stopped; to be called after the cancel token was cancelled.
    pub(super) async fn stopped(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Starts work and answers with its progress and its end.
    pub(super) fn lines<T, F>(&self, work: impl FnOnce(ProgressSender) -> F) -> Response
    where
        T: Serialize + Send + 'static,
        F: Future<Output = Answer<T>> + Send + 'static,
    {
        let (sender, progress) = ProgressSender::channel();
        let (ended, end) = oneshot::channel();
        let (work, cancel) = (work(sender), self.cancel.clone());
        self.tracker.spawn(async move {
            let stopping = || Err(failure("the node is stopping"));
            let result = cancel.run_until_cancelled(work).await.unwrap_or_else(stopping);
            // A client that hung up no longer wants to know.
            let _ = ended.send(result);
        });
        let lines = stream::unfold(Some(Under { progress, end }), |under| async {
            let mut under = under?;
            let (line, last) = under.next().await;
            Some((json_line(&line), (!last).then_some(under)))
        });
        respond(lines)
    }

    /// Answers with every value that comes, one a line, until there are no more.
    pub(super) fn watch<T>(&self, values: mpsc::Receiver<T>) -> Response
    where
        T: Serialize + Send + 'static,
    {
        let lines = stream::unfold(values, |mut values| async {
            values.recv().await.map(|value| (json_line(&value), values))
        });
        respond(lines.take_until(self.cancel.clone().cancelled_owned()))
    }
}

/// A plain answer.
pub(super) fn answer<T: Serialize>(answer: Answer<T>) -> Response {
    match answer {
        Ok(value) => Json(value).into_response(),
        Err(Failure { error, usage: true }) => refusal(StatusCode::BAD_REQUEST, error, true),
        Err(Failure { error, usage: false }) => {
            refusal(StatusCode::INTERNAL_SERVER_ERROR, error, false)
        }
    }
}

/// An answer that says why there is none.
pub(super) fn refusal(status: StatusCode, error: String, usage: bool) -> Response {
    (status, Json(Failure { error, usage })).into_response()
}

/// Work under way.
struct Under<T> {
    progress: mpsc::Receiver<Progress>,
    end: oneshot::Receiver<Answer<T>>,
}

impl<T> Under<T> {
    /// The next line, and whether it is the last.
    async fn next(&mut self) -> (Line<T>, bool) {
        let end = tokio::select! {
            // Progress that was kept comes before the end.
            biased;
            Some(progress) = self.progress.recv() => return (Line::Progress(progress), false),
            end = &mut self.end => end,
        };
        match end {
            Ok(Ok(value)) => (Line::Done(value), true),
            Ok(Err(failure)) => (Line::Failed(failure), true),
            Err(_) => (Line::Failed(failure("the node broke off; its log says why")), true),
        }
    }
}

fn respond(lines: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let body = Body::from_stream(lines.map(Ok::<_, Infallible>));
    ([(CONTENT_TYPE, LINES)], body).into_response()
}

fn json_line<T: Serialize>(value: &T) -> Bytes {
    // Only a map with keys that are no strings cannot be JSON, and no answer has one.
    let mut line = serde_json::to_vec(value).expect("an answer is always JSON");
    line.push(b'\n');
    line.into()
}

fn failure(error: &str) -> Failure {
    Failure { error: error.to_owned(), usage: false }
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ")
}
