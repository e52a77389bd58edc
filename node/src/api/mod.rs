//! The local API: JSON over HTTP on loopback, for the CLI, the demo and scripts.
//!
//! Role: [`Service`] says what a node can be asked, [`Server`] puts it behind HTTP, [`Client`] asks
//! it from another process, [`dto`] is the data both speak.
//!
//! Invariants: only loopback; every call that changes something or reads the user's files carries
//! the token; no page of a foreign origin gets an answer. What it is not: a way for other nodes in.

mod address;
mod client;
pub mod dto;
mod error;
mod guard;
mod pick;
mod progress;
mod server;
mod stream;
#[cfg(test)]
mod tests;
mod token;

use std::future::Future;

use tokio::sync::mpsc;

pub use address::Address;
pub use client::{Client, Watch};
pub use error::{AddressError, ClientError, ServeError};
pub use pick::pick_run;
pub use progress::ProgressSender;
pub use server::Server;
pub(crate) use server::serve_until;
pub use token::Token;

use dto::{
    AuditReply, AuditRequest, CheckReply, CheckRequest, ConsentReply, ConsentRequest,
    CreateRequest, EvalReply, EvalRequest, ExportReply, ExportRequest, Failure, GetReply,
    GetRequest, IdReply, IdRequest, JoinRequest, OptInReply, OwnReply, OwnRequest, ProveReply,
    ProveRequest, RecordsReply, RecordsRequest, RevisionView, RunActReply, RunActRequest, RunView,
    ScanReply, ScanRequest, ShareRequest, Status,
};

/// What a request comes to.
pub type Answer<T> = Result<T, Failure>;

/// What a running node can be asked to do. A `run` is an id, the beginning of one, or a name, as a
/// person typed it (see [`pick_run`]). Paths are absolute.
///
/// A request goes on when its client hangs up; it is dropped where it awaits when the node stops.
pub trait Service: Send + Sync + 'static {
    /// How the node is.
    fn status(&self) -> impl Future<Output = Answer<Status>> + Send;
    /// The repos it knows.
    fn models(&self) -> impl Future<Output = Answer<Vec<RevisionView>>> + Send;
    /// Publishes a file or directory as the next revision of a repo.
    fn share(
        &self,
        request: ShareRequest,
        progress: ProgressSender,
    ) -> impl Future<Output = Answer<RevisionView>> + Send;
    /// Fetches a revision from peers, verified.
    fn get(
        &self,
        request: GetRequest,
        progress: ProgressSender,
    ) -> impl Future<Output = Answer<GetReply>> + Send;
    /// Creates a run from its spec.
    fn create(
        &self,
        request: CreateRequest,
        progress: ProgressSender,
    ) -> impl Future<Output = Answer<RunView>> + Send;
    /// Trains in a run from now on.
    fn join(
        &self,
        run: String,
        request: JoinRequest,
    ) -> impl Future<Output = Answer<RunView>> + Send;
    /// Trains in it no more.
    fn leave(&self, run: String) -> impl Future<Output = Answer<RunView>> + Send;
    /// The runs it knows.
    fn runs(&self) -> impl Future<Output = Answer<Vec<RunView>>> + Send;
    /// One run.
    fn run(&self, run: String) -> impl Future<Output = Answer<RunView>> + Send;
    /// Something about a run: its members, its log, and changes of who has which part.
    fn run_act(
        &self,
        request: RunActRequest,
        progress: ProgressSender,
    ) -> impl Future<Output = Answer<RunActReply>> + Send;
    /// One run as it is now, and again after each change, until the reader or the node is gone.
    fn watch(&self, run: String) -> impl Future<Output = Answer<mpsc::Receiver<RunView>>> + Send;
    /// Asks the gate about each item of a data set.
    fn scan(
        &self,
        request: ScanRequest,
        progress: ProgressSender,
    ) -> impl Future<Output = Answer<ScanReply>> + Send;
    /// Registers that works may not be used.
    fn opt_out(
        &self,
        request: ConsentRequest,
        progress: ProgressSender,
    ) -> impl Future<Output = Answer<ConsentReply>> + Send;
    /// Registers that works may be used.
    fn opt_in(
        &self,
        request: ConsentRequest,
        progress: ProgressSender,
    ) -> impl Future<Output = Answer<OptInReply>> + Send;
    /// Does something with an identity of this node.
    fn identities(
        &self,
        request: IdRequest,
        progress: ProgressSender,
    ) -> impl Future<Output = Answer<IdReply>> + Send;
    /// Makes a record that is not about files.
    fn say(
        &self,
        request: OwnRequest,
        progress: ProgressSender,
    ) -> impl Future<Output = Answer<OwnReply>> + Send;
    /// Records of the ledger, with what has become of them.
    fn records(&self, request: RecordsRequest)
    -> impl Future<Output = Answer<RecordsReply>> + Send;
    /// What an identity said of a site, in another scheme's words.
    fn export(&self, request: ExportRequest) -> impl Future<Output = Answer<ExportReply>> + Send;
    /// What the gate says of works.
    fn check(
        &self,
        request: CheckRequest,
        progress: ProgressSender,
    ) -> impl Future<Output = Answer<CheckReply>> + Send;
    /// Verifies every certificate of a run and computes every aggregate again.
    fn audit(
        &self,
        run: String,
        request: AuditRequest,
        progress: ProgressSender,
    ) -> impl Future<Output = Answer<AuditReply>> + Send;
    /// Evaluates a model on a table.
    fn eval(
        &self,
        request: EvalRequest,
        progress: ProgressSender,
    ) -> impl Future<Output = Answer<EvalReply>> + Send;
    /// Makes a proof that a person keeps.
    fn prove(&self, request: ProveRequest) -> impl Future<Output = Answer<ProveReply>> + Send;
    /// Begins to stop the node; returns at once.
    fn shutdown(&self);
}
