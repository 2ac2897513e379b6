//! Connecting to the partner.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpSocket;

use super::greet::keep_alive;
use super::state::Peer;
use super::tls::{Admits, Connection};
use crate::control::peer::{Opening, Target};
use crate::control::protocol::{Problem, ProblemCode};

/// How long the other node may take to be connected with.
const LIMIT: Duration = Duration::from_secs(5);

/// Connects to what `to` is on the partner, in the name of `user`.
pub(super) async fn partner(
    peer: &Arc<Peer>,
    to: Target,
    user: &str,
) -> Result<Connection, Problem> {
    let Some(partner) = peer.trust.partner() else { return Err(alone()) };
    let known = Arc::clone(peer);
    let connected = node(peer, partner.address, Arc::new(move |key| known.trust.is_partner(key)));
    let opened = async {
        let mut connection = connected.await?;
        connection.write_line(&Opening::new(to, user)).await?;
        Ok::<_, io::Error>(connection)
    };
    match within(opened).await {
        Ok(connection) => {
            if let Err(error) = peer.trust.saw_key(connection.theirs) {
                peer.warn(format!("cannot remember the partner's new key: {error}"));
            }
            peer.heard();
            Ok(connection)
        }
        Err(error) => {
            let message = format!("{} ({}) {error}", partner.node, partner.address);
            peer.missed(error.to_string());
            Err(unreachable(message))
        }
    }
}

/// Connects to the node at `address`, whatever it will be asked.
pub(super) async fn node(
    peer: &Arc<Peer>,
    address: SocketAddr,
    admits: Admits,
) -> io::Result<Connection> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(own) = own_end(&peer.addresses, address) {
        socket.bind(own)?;
    }
    let stream = socket.connect(address).await?;
    keep_alive(&stream);
    Connection::connect(stream, &peer.identity(), admits).await
}

/// The address from which the node at `address` is connected with: one on which this node
/// listens, so that it is reached where it came from.
fn own_end(listening: &[SocketAddr], address: SocketAddr) -> Option<SocketAddr> {
    let fits = |own: &&SocketAddr| own.is_ipv4() == address.is_ipv4() && !own.ip().is_unspecified();
    listening.iter().find(fits).map(|own| SocketAddr::new(own.ip(), 0))
}

/// Bounds what has to do with reaching the other node.
pub(super) async fn within<T>(work: impl Future<Output = io::Result<T>>) -> Result<T, Unreached> {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(result) => result.map_err(Unreached::Failed),
        Err(_late) => Err(Unreached::Late),
    }
}

/// Why the other node was not reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreached {
    #[error("cannot be reached: {0}")]
    Failed(io::Error),
    #[error("does not answer within {LIMIT:?}")]
    Late,
}

fn unreachable(message: String) -> Problem {
    let mend = "see that `piranha sync serve` runs there, that both nodes are paired (`piranha pair \
                status` on each), and that nothing filters the port";
    Problem::new(ProblemCode::State, message, mend)
}

pub(super) fn alone() -> Problem {
    let mend = "pair them: `piranha pair new` on one node, `piranha pair join` on the other";
    Problem::new(ProblemCode::State, "this node is paired with no other", mend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_connected_with_from_where_this_one_listens_if_that_is_an_address() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let listening = [address("0.0.0.0:1"), address("[fd00::1]:3638"), address("10.0.0.1:3638")];
        let own = |to: &str| own_end(&listening, address(to)).map(|own| own.to_string());
        assert_eq!(own("10.0.0.2:3638").as_deref(), Some("10.0.0.1:0"));
        assert_eq!(own("[fd00::2]:3638").as_deref(), Some("[fd00::1]:0"));
        assert_eq!(own_end(&listening[..1], address("10.0.0.2:1")), None);
    }
}
