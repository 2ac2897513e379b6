//! What a guard says to the partner in the name of a process that died.
//!
//! The heartbeat hands a farewell over with each [beat](super::beat), sealed and ready to be sent.
//! The guard sends it when the process is dead and the addresses are down; the partner then takes
//! over at once, or with VRRP after the skew time. It goes out from the address and port the
//! heartbeats came from: as long as those cannot be had the process is not dead, and nothing is said.
//! VRRP has no ports; there the end of the beats alone tells the death.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::thread;
use std::time::Duration;

use rustix::pipe::PIPE_BUF;

use super::vrrp;
use crate::failover::Payload;

/// A farewell on one path.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    /// Where heartbeats come from; port 0 for those of VRRP.
    pub(super) own: SocketAddr,
    /// Where they go to.
    pub(super) peer: SocketAddr,
    pub(super) payload: Payload,
}

/// The address, its port, its scope.
const END: usize = 16 + 2 + 4;
/// Both ends, and how long the payload is that follows.
const HEAD: usize = 2 * END + 2;

/// How often the port is tried: the kernel closes what a dead process had open one after the other.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(1);

/// Makes `message` the one of a beat: how many words there are, and the words. As many as go into a
/// pipe in one piece: a router of VRRP with more than two hundred addresses has none.
pub(super) fn write(words: impl Iterator<Item = Word>, message: &mut Vec<u8>) {
    message.clear();
    message.push(0);
    for word in words {
        let Ok(length) = u16::try_from(word.payload.len()) else { continue };
        if message.len() + HEAD + word.payload.len() > PIPE_BUF {
            continue;
        }
        for end in [word.own, word.peer] {
            message.extend_from_slice(&write_end(end));
        }
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(&word.payload);
        message[0] += 1;
    }
}

/// The words of the last of the messages in `bytes`; `None` if it is not whole, or there is none.
pub(super) fn read(mut bytes: &[u8]) -> Option<Vec<Word>> {
    let mut last = None;
    while let Some((count, rest)) = bytes.split_first() {
        bytes = rest;
        last = Some((0..*count).map(|_| read_word(&mut bytes)).collect::<Option<_>>()?);
    }
    last
}

/// Says each word once. The partner takes more for a repetition, and counts it as that.
///
/// # Errors
/// The operating system's, for the first that could not be said; the others are.
pub(super) fn say(words: &[Word]) -> io::Result<()> {
    let said: Vec<_> = words.iter().map(say_one).collect();
    said.into_iter().collect()
}

fn say_one(word: &Word) -> io::Result<()> {
    if word.own.port() == 0 {
        return vrrp::say(word.own.ip(), word.peer, &word.payload);
    }
    let mut tries = 1;
    let socket = loop {
        match UdpSocket::bind(word.own) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < TRIES => {
                tries += 1;
                thread::sleep(PAUSE);
            }
            bound => break bound?,
        }
    };
    socket.send_to(&word.payload, word.peer).map(|_| ())
}

fn write_end(end: SocketAddr) -> [u8; END] {
    let (address, scope) = match end {
        SocketAddr::V4(end) => (end.ip().to_ipv6_mapped(), 0),
        SocketAddr::V6(end) => (*end.ip(), end.scope_id()),
    };
    let mut bytes = [0; END];
    bytes[..16].copy_from_slice(&address.octets());
    bytes[16..18].copy_from_slice(&end.port().to_be_bytes());
    bytes[18..].copy_from_slice(&scope.to_be_bytes());
    bytes
}

fn read_word(bytes: &mut &[u8]) -> Option<Word> {
    let (own, rest) = bytes.split_first_chunk()?;
    let (peer, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (payload, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    *bytes = rest;
    Some(Word { own: read_end(own), peer: read_end(peer), payload: payload.into() })
}

fn read_end(bytes: &[u8; END]) -> SocketAddr {
    let [octets @ .., p0, p1, s0, s1, s2, s3] = *bytes;
    let port = u16::from_be_bytes([p0, p1]);
    match IpAddr::from(Ipv6Addr::from(octets)).to_canonical() {
        IpAddr::V4(address) => (address, port).into(),
        IpAddr::V6(address) => {
            SocketAddrV6::new(address, port, 0, u32::from_be_bytes([s0, s1, s2, s3])).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::pulse::Heartbeat;

    fn word(own: &str, peer: &str, byte: u8) -> Word {
        let payload = [byte; Heartbeat::LEN].into();
        Word { own: own.parse().unwrap(), peer: peer.parse().unwrap(), payload }
    }

    fn message(words: &[Word]) -> Vec<u8> {
        let mut message = vec![7; 9];
        write(words.iter().cloned(), &mut message);
        message
    }

    #[test]
    fn of_several_messages_the_last_one_holds() {
        let words =
            [word("192.0.2.1:539", "192.0.2.2:539", 1), word("[fe80::1%3]:5", "[::1]:6", 2)];
        let all = [message(&words[..1]), message(&[]), message(&words)].concat();
        assert_eq!(read(&all).as_deref(), Some(&words[..]));
        assert_eq!(read(&[all, message(&[])].concat()), Some(Vec::new()));
        assert_eq!(read(&message(&words)[..HEAD]), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn a_message_goes_into_a_pipe_in_one_piece_however_many_paths_there_are() {
        let words = vec![word("192.0.2.1:539", "192.0.2.2:539", 1); 200];
        let message = message(&words);
        assert!(message.len() <= PIPE_BUF);
        assert!(read(&message).unwrap().len() >= 20);
    }

    #[test]
    fn words_of_any_length_go_together_and_one_that_is_too_long_goes_without_the_others() {
        let of = |length: usize| Word {
            payload: vec![9; length].into(),
            ..word("[::1]:0", "[::2]:0", 1)
        };
        let all = [of(8), of(PIPE_BUF), of(0), of(1000)];
        assert_eq!(read(&message(&all)).unwrap(), [of(8), of(0), of(1000)]);
    }

    #[test]
    fn nothing_is_said_while_the_port_is_not_free() {
        let alive = UdpSocket::bind("127.0.0.1:0").unwrap();
        let partner = UdpSocket::bind("127.0.0.1:0").unwrap();
        let own = alive.local_addr().unwrap();
        let payload: Payload = [3; Heartbeat::LEN].into();
        let word = Word { own, peer: partner.local_addr().unwrap(), payload };
        assert_eq!(say(std::slice::from_ref(&word)).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(alive);
        say(std::slice::from_ref(&word)).unwrap();
        let mut heard = [0; 200];
        assert_eq!(partner.recv_from(&mut heard).unwrap(), (Heartbeat::LEN, own));
        assert_eq!(heard[..Heartbeat::LEN], [3; Heartbeat::LEN]);
    }
}
