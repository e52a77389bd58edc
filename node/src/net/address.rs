//! Names and addresses of peers: libp2p's, iroh's and ours are the same 32 bytes.
//!
//! Also the message in which two nodes tell each other where their data plane listens
//! (`/accord/data-address/1`). Invariants: only inlined Ed25519 peer ids are peers; an address list
//! is bounded before it is decoded and after. What it is not: proof. iroh checks the key behind
//! an address when it connects.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use iroh::EndpointId;
use libp2p::identity::{self, ed25519};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use protocol::codec::{self, DecodeError};
use protocol::limits::{DATA_ADDRESS_BYTES_MAX, DATA_ADDRESSES_MAX};
use protocol::{PublicKey, SecretKey};
use serde::{Deserialize, Serialize};

/// The multihash code of an inlined value.
const IDENTITY_MULTIHASH: u64 = 0;

/// The key inlined in a peer id; `None` for any other kind of peer.
pub(super) fn key_of(peer: &PeerId) -> Option<PublicKey> {
    let multihash = peer.as_ref();
    if multihash.code() != IDENTITY_MULTIHASH {
        return None;
    }
    let key = identity::PublicKey::try_decode_protobuf(multihash.digest()).ok()?;
    PublicKey::from_bytes(key.try_into_ed25519().ok()?.to_bytes()).ok()
}

/// The peer id of a key.
pub(super) fn peer_of(key: &PublicKey) -> PeerId {
    let key = ed25519::PublicKey::try_from_bytes(key.as_bytes())
        .expect("a PublicKey is a valid curve point");
    identity::PublicKey::from(key).to_peer_id()
}

/// The iroh endpoint of a key.
pub(super) fn endpoint_of(key: &PublicKey) -> EndpointId {
    EndpointId::from_bytes(key.as_bytes()).expect("a PublicKey is a valid curve point")
}

/// The libp2p identity of a secret key.
pub(super) fn keypair_of(key: &SecretKey) -> identity::Keypair {
    identity::Keypair::ed25519_from_bytes(key.seed()).expect("a seed has 32 bytes")
}

/// The peer an address names at its end, if it names one.
pub(super) fn peer_in(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

/// The address with `/p2p/` and this peer at its end.
pub(super) fn with_peer(address: &Multiaddr, peer: PeerId) -> Multiaddr {
    match peer_in(address) {
        Some(_) => address.clone(),
        None => address.clone().with(Protocol::P2p(peer)),
    }
}

/// The IP address a multiaddress starts with.
pub(super) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => Some(ip.into()),
        Some(Protocol::Ip6(ip)) => Some(ip.into()),
        _ => None,
    }
}

/// What a node says of its data plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataAddress {
    /// Drawn at each start. A change tells that the peer restarted behind a connection that has
    /// not noticed yet, and must be greeted anew.
    pub(super) boot: u64,
    /// Where it listens, as `ip:port`.
    addresses: Vec<String>,
}

impl DataAddress {
    pub(super) fn new(boot: u64, addresses: &[SocketAddr]) -> Self {
        let addresses = addresses.iter().take(DATA_ADDRESSES_MAX).map(ToString::to_string);
        Self { boot, addresses: addresses.collect() }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let message: Self = codec::decode(bytes, DATA_ADDRESS_BYTES_MAX)?;
        if message.addresses.len() > DATA_ADDRESSES_MAX {
            let (bytes, bytes_max) = (message.addresses.len(), DATA_ADDRESSES_MAX);
            return Err(DecodeError::TooLong { bytes, bytes_max });
        }
        Ok(message)
    }

    /// The addresses worth trying. `seen_at` is where the control plane sees the peer: it stands
    /// in for an unspecified address and is tried with every port.
    pub(super) fn resolve(&self, seen_at: Option<IpAddr>) -> BTreeSet<SocketAddr> {
        let mut resolved = BTreeSet::new();
        for address in self.addresses.iter().filter_map(|text| text.parse::<SocketAddr>().ok()) {
            if !address.ip().is_unspecified() && address.port() != 0 {
                resolved.insert(address);
            }
            if let Some(ip) = seen_at.filter(|_| address.port() != 0) {
                resolved.insert(SocketAddr::new(ip, address.port()));
            }
        }
        resolved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_peer_everywhere() {
        let secret = SecretKey::from_seed(&[7; 32]);
        let peer = keypair_of(&secret).public().to_peer_id();
        assert_eq!(peer_of(&secret.public()), peer);
        assert_eq!(key_of(&peer), Some(secret.public()));
        let endpoint = iroh::SecretKey::from_bytes(&secret.seed()).public();
        assert_eq!(endpoint_of(&secret.public()), endpoint);
    }

    #[test]
    fn a_hashed_peer_id_is_no_peer() {
        // A SHA-256 multihash, as RSA keys have; and an inlined value that is not a key.
        let sha256 = [&[0x12, 32][..], &[1; 32]].concat();
        let hashed = PeerId::from_bytes(&sha256).expect("a valid peer id");
        assert_eq!(key_of(&hashed), None);
        let inlined = PeerId::from_bytes(&[0, 3, 1, 2, 3]).expect("a valid peer id");
        assert_eq!(key_of(&inlined), None);
    }

    #[test]
    fn addresses_are_bounded_and_resolved() {
        let some: Vec<SocketAddr> =
            vec!["0.0.0.0:7".parse().expect("ok"), "10.0.0.1:7".parse().expect("ok")];
        let message = DataAddress::new(1, &some);
        assert_eq!(DataAddress::from_bytes(&message.to_bytes()), Ok(message.clone()));
        let seen: IpAddr = "192.0.2.1".parse().expect("ok");
        let resolved: Vec<_> =
            message.resolve(Some(seen)).iter().map(ToString::to_string).collect();
        assert_eq!(resolved, ["10.0.0.1:7", "192.0.2.1:7"]);
        assert_eq!(message.resolve(None).len(), 1);

        let many = DataAddress { boot: 1, addresses: vec![String::new(); DATA_ADDRESSES_MAX + 1] };
        assert!(DataAddress::from_bytes(&many.to_bytes()).is_err());
        assert!(DataAddress::from_bytes(&[0xff; 9]).is_err());
    }
}
