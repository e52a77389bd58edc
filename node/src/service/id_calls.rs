//! Requests about this node's identities.
//!
//! Invariants: keys are on disk before a record names them; what is written elsewhere never
//! replaces a file. What it is not: the files (see `identity`), or what identities say.

use std::path::PathBuf;

use protocol::{FeedId, PublicKey};

use super::{NodeService, identity_failure, misused, own_failure};
use crate::announce::announce_record;
use crate::api::dto::{FeedView, IdReply, IdRequest, IdView, KeyAccess, Passphrase};
use crate::api::{Answer, ProgressSender};
use crate::home::{ME, fresh_seed};
use crate::identity::{
    Access, Identities, IdentityError, Keyring, Speaker, is_sealed, read_away, read_recovery,
    rotate, write_away,
};
use crate::ledger::{LedgerBook, Made, OwnError, ids, meet_all};

/// What opens an identity, as the request names it.
pub(super) fn access(keys: &KeyAccess) -> Access {
    let recovery = keys.recovery.as_ref().map(PathBuf::from);
    Access { passphrase: keys.passphrase.clone(), recovery }
}

/// The peers that were asked for what this node lacks.
#[derive(Debug, Clone, Copy, Default)]
struct Peers {
    connected: usize,
    /// Those that have nothing more.
    met: usize,
}

impl Peers {
    fn cannot_tell(self, name: &str) -> String {
        let who = match self.connected {
            0 => "no peer is connected".to_owned(),
            1 => "the connected peer did not answer to the end".to_owned(),
            count => format!("none of {count} connected peers answered to the end"),
        };
        format!(
            "{who}, so this node cannot tell what {name} said last, and its feed would fork if it \
             signed now: connect to a node (accord up --peer MULTIADDR), or give --offline if no \
             other node has more of it"
        )
    }
}

/// What was done, to which identity, with which new records.
type Done = (String, String, Made);

impl NodeService {
    pub(super) async fn act_on_identity(
        &self,
        request: IdRequest,
        progress: &ProgressSender,
    ) -> Answer<IdReply> {
        let identities = self.home.identities();
        let (did, name, made) = match request {
            IdRequest::List { name } => (String::new(), name, Made::new()),
            other => {
                let mut met = Peers::default();
                if matches!(other, IdRequest::Rotate { .. } | IdRequest::Recover { .. }) {
                    met = self.meet_peers(progress).await;
                    progress.begin("replacing the keys");
                }
                let ledger = &self.means.ledger;
                let act = || {
                    let _alone = self.home.changing();
                    act(&identities, ledger, other, met)
                };
                let (did, name, made) = tokio::task::block_in_place(act).map_err(own_failure)?;
                (did, Some(name), made)
            }
        };
        for (_, envelope) in &made {
            announce_record(&self.means.net, envelope).await;
        }
        let names = match name {
            Some(name) => vec![name],
            None => identities.names().map_err(identity_failure)?,
        };
        let view = |name: &String| self.view_identity(&identities, name);
        let views: Vec<IdView> = names.iter().map(view).collect::<Answer<_>>()?;
        let peers = self.means.net.peers().await.len();
        Ok(IdReply { did, identities: views, records: ids(&made), peers })
    }

    /// Takes what connected peers have and this node lacks. Keys are replaced on what the identity
    /// said last, wherever it said it.
    async fn meet_peers(&self, progress: &ProgressSender) -> Peers {
        let net = &self.means.net;
        let keys: Vec<PublicKey> = net.peers().await.into_iter().map(|peer| peer.key).collect();
        let connected = keys.len();
        if connected > 0 {
            progress.begin("asking other nodes for what this one lacks");
        }
        Peers { connected, met: meet_all(net, &self.means.ledger, keys).await }
    }

    fn view_identity(&self, identities: &Identities, name: &str) -> Answer<IdView> {
        let mut view = IdView {
            name: name.to_owned(),
            key: None,
            fault: None,
            sealed: false,
            root_elsewhere: false,
            rotations: 0,
            feed: 0,
            feeds: Vec::new(),
            doubt: None,
        };
        match identities.summary(name) {
            Err(error @ (IdentityError::Unknown(_) | IdentityError::Name(_))) => {
                return Err(misused(error));
            }
            Err(error) => view.fault = Some(error.to_string()),
            Ok(summary) => {
                view.key = Some(summary.author);
                (view.sealed, view.root_elsewhere) = (summary.sealed, summary.root_elsewhere);
                (view.rotations, view.feed) = (summary.rotations, summary.feed);
                let author = summary.author;
                let (feeds, doubt) = self.means.ledger.feeds(author, summary.feed);
                let show = |(feed, records, forked_at): (FeedId, u64, Option<u64>)| FeedView {
                    feed: feed.feed,
                    records,
                    forked_at,
                };
                view.feeds = feeds.into_iter().map(show).collect();
                view.doubt = doubt.map(str::to_owned);
            }
        }
        Ok(view)
    }
}

fn act(
    identities: &Identities,
    ledger: &LedgerBook,
    request: IdRequest,
    peers: Peers,
) -> Result<Done, OwnError> {
    match request {
        IdRequest::List { name } => {
            Ok((String::new(), name.unwrap_or_else(|| ME.into()), Made::new()))
        }
        IdRequest::Create { name, keys } => {
            let speaker = identities.create(&name, &access(&keys))?;
            Ok((format!("made {name} in {}", speaker.path()), name, Made::new()))
        }
        IdRequest::Passphrase { name, passphrase, new } => {
            let speaker = identities.open(&name, &Access { passphrase, recovery: None })?;
            let did = reseal(speaker, new)?;
            Ok((format!("{did} {name}"), name, Made::new()))
        }
        IdRequest::Rotate { name, keys } => {
            let mut speaker = identities.open(&name, &access(&keys))?;
            let made = rotate(&mut speaker, ledger, |_| ())?;
            Ok((format!("replaced the keys of {name}"), name, made))
        }
        IdRequest::Recover { file, name, passphrase, offline } => {
            let peers = (!offline).then_some(peers);
            recover(identities, ledger, file.into(), name, passphrase, peers)
        }
        IdRequest::Export { name, out, plain, keys } => {
            let speaker = identities.open(&name, &access(&keys))?;
            export(speaker, ledger, &PathBuf::from(&out), plain, keys.passphrase.as_ref())?;
            Ok((format!("wrote {name} to {out}"), name, Made::new()))
        }
        IdRequest::Import { file, name, passphrase } => {
            import(identities, ledger, &PathBuf::from(file), name, passphrase)
        }
    }
}

/// Keeps the keys under the new passphrase, or under none. Says what that was.
fn reseal(mut speaker: Speaker, new: Option<Passphrase>) -> Result<&'static str, IdentityError> {
    let did = match (speaker.is_sealed(), new.is_some()) {
        (false, false) => return Ok("nothing was changed: there is no passphrase on"),
        (false, true) => "put a passphrase on",
        (true, true) => "changed the passphrase of",
        (true, false) => "took the passphrase away from",
    };
    speaker.reseal(new)?;
    Ok(did)
}

/// The identity of a recovery file, with new keys, for the feed that the file names. One of `peers`
/// must have told what it has, if they are given.
fn recover(
    identities: &Identities,
    ledger: &LedgerBook,
    file: PathBuf,
    name: Option<String>,
    passphrase: Option<Passphrase>,
    peers: Option<Peers>,
) -> Result<Done, OwnError> {
    let mut ring = read_recovery(&file)?;
    if !ledger.has_feed(&ring.feed_id()) {
        let author = ring.author();
        return Err(OwnError::Waiting(format!(
            "the ledger here does not have the feed of {author} yet: connect to a node that has \
             it (accord up --peer MULTIADDR) and try again"
        )));
    }
    let name = name.unwrap_or_else(|| ring.name.clone());
    if let Some(peers) = peers.filter(|peers| peers.met == 0) {
        return Err(OwnError::Waiting(peers.cannot_tell(&name)));
    }
    let access = Access { passphrase, recovery: Some(file) };
    let here = identities.summary(&name).is_ok_and(|found| found.author == ring.author());
    let mut speaker = if here {
        identities.open(&name, &access)?
    } else {
        ring.name.clone_from(&name);
        (ring.device, ring.root_elsewhere) = (Some(identities.device()), true);
        identities.add(ring, &access)?
    };
    let made = rotate(&mut speaker, ledger, |_| ())?;
    Ok((format!("recovered {name} with new keys; the old ones are retired"), name, made))
}

fn export(
    mut speaker: Speaker,
    ledger: &LedgerBook,
    out: &std::path::Path,
    plain: bool,
    passphrase: Option<&Passphrase>,
) -> Result<(), OwnError> {
    if !plain && passphrase.is_none() {
        return Err(OwnError::Refused(
            "an export holds the keys: give --passphrase-file FILE or set ACCORD_PASSPHRASE, or \
             --plain if the file is safe"
                .into(),
        ));
    }
    // A rotation that a crash left recorded and not settled counts; one not recorded does not.
    let keys = ledger.keys_in_force(&speaker.ring.feed_id());
    if keys.is_some_and(|keys| speaker.ring.next.as_ref().is_some_and(|next| next.is(&keys))) {
        speaker.ring.settle();
        speaker.save()?;
    }
    let ring = Keyring { next: None, ..speaker.ring.kept() };
    write_away(out, &ring, passphrase.filter(|_| !plain))?;
    Ok(())
}

/// The identity of an export, with a feed of its own here; or the later keys of one that is here.
fn import(
    identities: &Identities,
    ledger: &LedgerBook,
    file: &std::path::Path,
    name: Option<String>,
    passphrase: Option<Passphrase>,
) -> Result<Done, OwnError> {
    let mut ring = read_away(file, passphrase.as_ref())?;
    let passphrase = passphrase.filter(|_| is_sealed(file).unwrap_or_default());
    let access = Access { passphrase, recovery: None };
    if let Some(name) = identities.name_of(ring.author())? {
        let mut speaker = identities.open(&name, &access)?;
        let did = match speaker.ring.catch_up(&ring) {
            true => format!("took over the new keys of {name}"),
            false => format!("{name} is here already; nothing was changed"),
        };
        speaker.save()?;
        return Ok((did, name, Made::new()));
    }
    ring.feed = loop {
        let seed = fresh_seed().map_err(IdentityError::Home)?;
        let feed = u32::from_le_bytes(*seed.first_chunk().expect("32 bytes are more"));
        if feed != 0 && !ledger.has_feed(&FeedId { author: ring.author(), feed }) {
            break feed;
        }
    };
    (ring.device, ring.next) = (Some(identities.device()), None);
    if let Some(name) = name {
        ring.name = name;
    }
    let name = ring.name.clone();
    let did = format!("took over {name}; here it signs feed {} of its own", ring.feed);
    identities.add(ring, &access)?;
    Ok((did, name, Made::new()))
}
