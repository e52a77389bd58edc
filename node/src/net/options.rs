//! How a node's network is set up: identity, ports, first peers, discovery.
//!
//! Invariants: a port that is asked for is either ours or an error that names it; port 0 means one
//! that is free for both TCP and UDP. What it is not: a place for limits (see `protocol::limits`).

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use libp2p::Multiaddr;
use protocol::SecretKey;

use super::NetError;

/// Free ports tried before giving up; a UDP twin of a free TCP port is nearly always free too.
const FREE_PORT_ATTEMPTS_MAX: usize = 32;

/// What [`super::Net::start`] needs to know.
#[derive(Debug, Clone)]
pub struct NetOptions {
    /// The node's key: its libp2p `PeerId` and its iroh `EndpointId` at once.
    pub key: SecretKey,
    /// The port of the control plane, TCP and QUIC alike; 0 picks a free one.
    pub control_port: u16,
    /// The UDP port of the data plane; 0 picks a free one.
    pub data_port: u16,
    /// The address to listen on, for both planes.
    pub bind: IpAddr,
    /// Configured and remembered peers, dialled until they answer. `/p2p/` is optional.
    pub peers: Vec<Multiaddr>,
    /// Whether to look for peers on the local network.
    pub mdns: bool,
    /// Whether to take part in the distributed hash table.
    pub dht: bool,
}

/// The control port to use: `port` if it is free for TCP and UDP, or any such port for 0.
///
/// libp2p shares its TCP port with whoever asks (`SO_REUSEPORT`), so only a plain bind tells.
pub(super) fn control_port(bind: IpAddr, port: u16) -> Result<u16, NetError> {
    if port != 0 {
        let taken = |source| NetError::PortTaken { port, flag: "--port", source };
        TcpListener::bind((bind, port)).map_err(taken)?;
        UdpSocket::bind((bind, port)).map_err(taken)?;
        return Ok(port);
    }
    let mut last = io::Error::other("no port was tried");
    for _ in 0..FREE_PORT_ATTEMPTS_MAX {
        let probe = TcpListener::bind((bind, 0)).and_then(|listener| listener.local_addr());
        let free = match probe {
            Ok(address) => address.port(),
            Err(source) => return Err(NetError::Bind { address: bind, source }),
        };
        match UdpSocket::bind((bind, free)) {
            Ok(_) => return Ok(free),
            Err(source) => last = source,
        }
    }
    Err(NetError::Bind { address: bind, source: last })
}

/// The address of the data plane, checked to be free unless the port is 0.
pub(super) fn data_address(bind: IpAddr, port: u16) -> Result<SocketAddr, NetError> {
    UdpSocket::bind((bind, port)).map_err(|source| match port {
        0 => NetError::Bind { address: bind, source },
        port => NetError::PortTaken { port, flag: "--data-port", source },
    })?;
    Ok(SocketAddr::new(bind, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_taken_port_is_named_with_its_flag() {
        let tcp = TcpListener::bind((LOOPBACK, 0)).expect("a free port");
        let port = tcp.local_addr().expect("bound").port();
        let error = control_port(LOOPBACK, port).expect_err("taken").to_string();
        assert!(error.starts_with(&format!("port {port} is taken: ")), "{error}");
        assert!(error.ends_with("choose another with --port"), "{error}");

        let udp = UdpSocket::bind((LOOPBACK, 0)).expect("a free port");
        let port = udp.local_addr().expect("bound").port();
        let error = data_address(LOOPBACK, port).expect_err("taken").to_string();
        assert!(error.starts_with(&format!("port {port} is taken: ")), "{error}");
        assert!(error.ends_with("choose another with --data-port"), "{error}");
    }

    #[test]
    fn port_zero_is_a_free_port() {
        let port = control_port(LOOPBACK, 0).expect("free");
        assert_ne!(port, 0);
        assert_eq!(control_port(LOOPBACK, port).expect("still free"), port);
    }
}
