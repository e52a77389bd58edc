//! Both ends of the local API over a real loopback socket, in front of a service that only pretends.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::{FileHash, PublicKey, RevisionId, RoundId, RunId, SecretKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::dto::*;
use super::*;

const TOKEN: &str = "7f7f7f7f";

/// A service whose answers say what was asked.
#[derive(Default)]
struct Fake {
    stopped: AtomicBool,
    /// `create` waits until it may go on, and says when it did.
    go_on: Notify,
    went_on: Notify,
}

fn key() -> PublicKey {
    SecretKey::from_seed(&[7; 32]).public()
}

fn refused<T>(error: &str, usage: bool) -> Answer<T> {
    Err(Failure { error: error.to_owned(), usage })
}

fn run_view(name: &str, round: u64) -> RunView {
    RunView {
        run: RunId::of(name.as_bytes()),
        name: name.to_owned(),
        creator: key(),
        stewards: vec![key()],
        rounds_count: 3,
        round,
        finished: round == 3,
        parts: vec![],
        motions: Vec::new(),
        forks: Vec::new(),
        trainers: vec![],
        evaluating: None,
        doing: String::new(),
        model: FileHash::of(b""),
        published: None,
        history: vec![],
    }
}

impl Service for Fake {
    async fn status(&self) -> Answer<Status> {
        refused("the metadata is damaged", false)
    }
    async fn models(&self) -> Answer<Vec<RevisionView>> {
        Ok(vec![])
    }
    async fn share(&self, request: ShareRequest, progress: ProgressSender) -> Answer<RevisionView> {
        progress.send("hashing", 1, Some(2), "bytes");
        progress.send("hashing", 2, Some(2), "bytes");
        Ok(RevisionView {
            owner: key(),
            name: request.path,
            revision: RevisionId::of(b""),
            seq: 1,
            files: vec![],
            bytes: 2,
            local: true,
            forked: false,
            left_out: 0,
        })
    }
    async fn get(&self, request: GetRequest, _: ProgressSender) -> Answer<GetReply> {
        refused(&format!("{} is no model", request.model), true)
    }
    async fn create(&self, _: CreateRequest, progress: ProgressSender) -> Answer<RunView> {
        progress.send("creating", 0, None, "rounds");
        self.go_on.notified().await;
        self.went_on.notify_one();
        Ok(run_view("made", 0))
    }
    async fn join(&self, run: String, request: JoinRequest) -> Answer<RunView> {
        Ok(run_view(&format!("{run} on {}", request.data), 0))
    }
    async fn leave(&self, run: String) -> Answer<RunView> {
        Ok(run_view(&run, 1))
    }
    async fn runs(&self) -> Answer<Vec<RunView>> {
        Ok(vec![run_view("one", 1), run_view("two", 2)])
    }
    async fn run(&self, run: String) -> Answer<RunView> {
        Ok(run_view(&run, 1))
    }
    async fn watch(&self, run: String) -> Answer<mpsc::Receiver<RunView>> {
        if run == "unknown" {
            return refused("no such run", true);
        }
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            for round in 1..=3 {
                sender.send(run_view(&run, round)).await.expect("the reader is there");
            }
        });
        Ok(receiver)
    }
    async fn scan(&self, _: ScanRequest, _: ProgressSender) -> Answer<ScanReply> {
        refused("there is nothing to scan", true)
    }

    async fn opt_out(&self, _: ConsentRequest, _: ProgressSender) -> Answer<ConsentReply> {
        panic!("a fault of ours");
    }
    async fn prove(&self, _: ProveRequest) -> Answer<ProveReply> {
        refused("nothing can be proved", false)
    }
    async fn opt_in(&self, _: ConsentRequest, _: ProgressSender) -> Answer<OptInReply> {
        refused("not today", false)
    }
    async fn identities(&self, _: IdRequest, _: ProgressSender) -> Answer<IdReply> {
        refused("there are none", true)
    }
    async fn say(&self, _: OwnRequest, _: ProgressSender) -> Answer<OwnReply> {
        refused("nothing to say", true)
    }
    async fn records(&self, _: RecordsRequest) -> Answer<RecordsReply> {
        Ok(RecordsReply { records: vec![], total: 0 })
    }
    async fn export(&self, _: ExportRequest) -> Answer<ExportReply> {
        Err(Failure { error: "no".into(), usage: false })
    }

    async fn check(&self, _: CheckRequest, _: ProgressSender) -> Answer<CheckReply> {
        Ok(CheckReply { works: 1, allowed: 1, refused: 0, refusals: vec![] })
    }
    async fn run_act(&self, request: RunActRequest, _: ProgressSender) -> Answer<RunActReply> {
        Ok(RunActReply::Followed { run: RunId::of(b""), name: request.run })
    }
    async fn audit(
        &self,
        run: String,
        request: AuditRequest,
        progress: ProgressSender,
    ) -> Answer<AuditReply> {
        progress.send(&run, 1, Some(1), "rounds");
        let (run, model) = (RunId::of(b""), FileHash::of(b""));
        let first = request.trusted_round.unwrap_or(0) + 1;
        let (signatures, updates, id, elapsed_ms) = (1, 3, RoundId::of(b""), 1);
        Ok(AuditReply { run, first, rounds: 1, signatures, updates, model, id, elapsed_ms })
    }
    async fn eval(&self, _: EvalRequest, _: ProgressSender) -> Answer<EvalReply> {
        std::future::pending().await
    }
    fn shutdown(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}

struct Running {
    dir: tempfile::TempDir,
    client: Client,
    host: String,
    service: Arc<Fake>,
    cancel: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
}

async fn start() -> Running {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::bind(0).await.expect("a free port");
    let address = server.address(Token::new(TOKEN));
    address.write(dir.path()).expect("written");
    let host = address.host().expect("ours").to_owned();
    let (service, cancel) = (Arc::new(Fake::default()), CancellationToken::new());
    let serve = server.serve(Arc::clone(&service), Token::new(TOKEN), cancel.clone());
    let client = Client::open(dir.path()).expect("it is there");
    Running { dir, client, host, service, cancel, serving: tokio::spawn(serve) }
}

/// The status and body of a request written by hand.
async fn by_hand(running: &Running, head: &str, body: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(&running.host).await.expect("it listens");
    let length = body.len();
    let text = format!("{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    // A server that refuses early may close before it has read all.
    let _ = socket.write_all(text.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).expect("text");
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

fn share(path: &str) -> ShareRequest {
    ShareRequest { path: path.to_owned(), name: None }
}

#[tokio::test]
async fn progress_arrives_before_the_result() {
    let running = start().await;
    let mut said = Vec::new();
    let view = running.client.share(&share("/x"), |p| said.push(p.done)).await.expect("shared");
    assert_eq!((view.name.as_str(), said), ("/x", vec![1, 2]));
    let request = AuditRequest { trusted_round: Some(7), trusted_id: None };
    let audit = running.client.audit("a b/c", &request, |p| assert_eq!(p.what, "a b/c")).await;
    let audit = audit.expect("audited");
    assert_eq!((audit.first, audit.updates), (8, 3));
    let request = RunActRequest { run: "a run".into(), act: RunAct::Follow };
    let followed = running.client.run_act(&request, drop).await.expect("followed");
    assert!(matches!(followed, RunActReply::Followed { name, .. } if name == "a run"));
    let join = JoinRequest { data: "d.csv".to_owned(), shows: false, invitation: None };
    let joined = running.client.join("run", &join).await.expect("joined");
    assert_eq!(joined.name, "run on d.csv");
    assert_eq!(running.client.leave("run").await.expect("left").name, "run");
    assert_eq!(running.client.runs().await.expect("runs").len(), 2);
    running.client.shutdown().await.expect("told");
    assert!(running.service.stopped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_failure_keeps_whose_fault_it_was() {
    let running = start().await;
    let get = GetRequest { model: "x".to_owned(), out: None, overwrite: false };
    let error = running.client.get(&get, drop).await.expect_err("refused");
    assert_eq!((error.to_string().as_str(), error.usage()), ("x is no model", true));
    let error = running.client.status().await.expect_err("damaged");
    assert_eq!((error.to_string().as_str(), error.usage()), ("the metadata is damaged", false));
    let error = running.client.watch("unknown").await.expect_err("unknown");
    assert!(error.usage());
    let consent = ConsentRequest::default();
    let error = running.client.opt_out(&consent, drop).await.expect_err("a panic");
    assert!(error.to_string().contains("broke off"), "{error}");
    assert!(!running.client.opt_in(&consent, drop).await.expect_err("refused").usage());
}

#[tokio::test]
async fn a_watch_ends_with_the_run() {
    let running = start().await;
    let mut watch = running.client.watch("digits").await.expect("there");
    let mut rounds = Vec::new();
    while let Some(view) = watch.next().await.expect("a view") {
        rounds.push((view.round, view.finished));
    }
    assert_eq!(rounds, [(1, false), (2, false), (3, true)]);
}

#[tokio::test]
async fn strangers_are_refused() {
    let running = start().await;
    let host = format!("Host: {}", running.host);
    let post = "POST /api/share HTTP/1.1";
    let json = "Content-Type: application/json";
    let token = format!("Authorization: Bearer {TOKEN}");
    let body = serde_json::to_string(&share("/x")).expect("json");

    let (status, said) = by_hand(&running, &format!("{post}\r\n{host}\r\n{json}"), &body).await;
    assert_eq!(status, 401);
    let said: Failure = serde_json::from_str(&said).expect("a failure");
    assert!(said.error.contains("token"), "{said:?}");

    let evil = format!("GET /api/runs HTTP/1.1\r\nHost: evil.example\r\n{token}");
    assert_eq!(by_hand(&running, &evil, "").await.0, 403);
    let page = format!("{post}\r\n{host}\r\n{json}\r\n{token}\r\nOrigin: https://evil.example");
    assert_eq!(by_hand(&running, &page, &body).await.0, 403);
    let own = format!("{post}\r\n{host}\r\n{json}\r\n{token}\r\nOrigin: http://{}", running.host);
    assert_eq!(by_hand(&running, &own, &body).await.0, 200);
    // A read, too: looking at a run has effects, and any page can make a browser read.
    let read = format!("GET /api/runs HTTP/1.1\r\n{host}");
    assert_eq!(by_hand(&running, &read, "").await.0, 401);
    let unknown = format!("GET /api/nothing HTTP/1.1\r\n{host}\r\n{token}");
    assert_eq!(by_hand(&running, &unknown, "").await.0, 404);
}

#[tokio::test]
async fn bodies_that_are_wrong_are_named() {
    let running = start().await;
    let json = "Content-Type: application/json";
    let head = format!(
        "POST /api/share HTTP/1.1\r\nHost: {}\r\n{json}\r\nAuthorization: Bearer {TOKEN}",
        running.host
    );
    let (status, said) = by_hand(&running, &head, "{\"path\": 7}").await;
    let said: Failure = serde_json::from_str(&said).expect("a failure");
    assert!(status == 422 && said.usage && said.error.contains("path"), "{status} {said:?}");
    assert_eq!(by_hand(&running, &head, "{").await.0, 400);
    assert_eq!(by_hand(&running, &head.replace(json, "X-Y: z"), "{}").await.0, 415);
    let long = share(&"x".repeat(protocol::limits::API_REQUEST_BYTES_MAX));
    let error = running.client.share(&long, drop).await.expect_err("too long");
    assert!(error.usage(), "{error}");
    let long = serde_json::to_string(&long).expect("json");
    assert_eq!(by_hand(&running, &head, &long).await.0, 413);
}

#[tokio::test]
async fn work_goes_on_without_its_client_and_stops_with_the_node() {
    let running = start().await;
    let create = CreateRequest { spec: String::new(), dir: String::new() };
    let heard = Notify::new();
    let asking = running.client.create(&create, |_| heard.notify_one());
    tokio::select! {
        _ = asking => panic!("it waits"),
        () = heard.notified() => {} // Dropping the request hangs up.
    }
    running.service.go_on.notify_one();
    running.service.went_on.notified().await;

    let eval = EvalRequest { model: String::new(), data: String::new() };
    let client = running.client.clone();
    let asking = tokio::spawn(async move { client.eval(&eval, drop).await.map(|_| ()) });
    // The answer to a call made later shows that the server has taken the earlier one, or will not.
    running.client.runs().await.expect("runs");
    running.cancel.cancel();
    running.serving.await.expect("no panic").expect("a clean end");
    let error = asking.await.expect("no panic").expect_err("stopped").to_string();
    assert!(error.contains("stopping") || error.contains("no node is running"), "{error}");
    let error = running.client.runs().await.expect_err("gone").to_string();
    let dir = running.dir.path().display();
    let expected = format!("no node is running in {dir}: start one with `accord up --dir {dir}`");
    assert_eq!(error, expected);
}

#[tokio::test]
async fn no_file_means_no_node() {
    let error = Client::open(Path::new("/nowhere/at/all")).expect_err("nothing there");
    assert!(matches!(error, ClientError::NotRunning(_)), "{error}");
    let taken = Server::bind(0).await.expect("a free port");
    let error = Server::bind(taken.port()).await.expect_err("taken").to_string();
    assert!(error.contains("--api-port"), "{error}");
}
