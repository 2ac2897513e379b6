//! Datagrams on their way out, coupled into as few messages as the kernel takes them in.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::AsFd;

use crate::runtime::sys::{BATCH, Train, send_trains};

/// Datagrams in one message at most (`UDP_MAX_SEGMENTS` before Linux 6.9).
const MAX_COUPLED: u64 = 64;

/// Bytes in one message at most: less than an IPv4 packet has room for.
const MAX_BYTES: usize = 65_000;

/// Datagrams for one destination, in the order they came.
#[derive(Default)]
pub(super) struct Outgoing<'a> {
    messages: Vec<&'a [u8]>,
    trains: Vec<Coupled>,
    /// The train that leaves next.
    next: usize,
}

/// Messages that leave together, cut into datagrams of `segment` bytes.
#[derive(Clone)]
struct Coupled {
    messages: Range<usize>,
    segment: usize,
    bytes: usize,
    datagrams: u64,
}

/// How much has left, and how much never will.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Sent {
    pub(super) datagrams: u64,
    pub(super) bytes: u64,
    pub(super) lost: u64,
}

/// The other machine has said that nothing listens there. Nothing of what is left has been sent.
#[derive(Debug)]
pub(super) struct Refused;

impl<'a> Outgoing<'a> {
    /// Adds a message: datagrams of `segment` bytes, the last of which may be shorter.
    pub(super) fn push(&mut self, message: &'a [u8], segment: usize) {
        let coupled = Coupled::new(self.messages.len(), message.len(), segment);
        self.messages.push(message);
        match self.trains.last_mut() {
            Some(last) if last.takes(&coupled) => last.append(&coupled),
            _ => self.trains.push(coupled),
        }
    }

    /// The datagrams that have neither been sent nor given up.
    pub(super) fn left(&self) -> u64 {
        self.trains[self.next..].iter().map(|train| train.datagrams).sum()
    }

    /// What is left, each datagram for itself.
    pub(super) fn singles(&self) -> Vec<&'a [u8]> {
        let trains = self.trains[self.next..].iter();
        let messages = trains.flat_map(|train| {
            let messages = self.messages[train.messages.clone()].iter();
            messages.map(|message| (*message, train.segment))
        });
        messages.flat_map(|(message, segment)| cut(message, segment)).collect()
    }

    /// Sends what is left, `to` an address or to where the socket is connected. `coupling` says
    /// whether the kernel is to be given several datagrams in one; it is cleared when it does not
    /// take them so.
    pub(super) fn send(
        &mut self,
        socket: impl AsFd,
        to: Option<std::net::SocketAddr>,
        coupling: &mut bool,
    ) -> (Sent, Result<(), Refused>) {
        let mut sent = Sent::default();
        if !*coupling {
            self.uncouple();
        }
        while let Some(train) = self.trains.get(self.next) {
            match self.send_some(&socket, to) {
                Ok(count) => self.advance(count, &mut sent),
                Err(error) if is_refusal(&error) => return (sent, Err(Refused)),
                Err(error) if train.is_segmented() && !would_block(&error) => {
                    *coupling = false;
                    self.uncouple();
                }
                Err(_) => {
                    sent.lost += train.datagrams;
                    self.next += 1;
                }
            }
        }
        (sent, Ok(()))
    }

    fn send_some(&self, socket: impl AsFd, to: Option<std::net::SocketAddr>) -> io::Result<usize> {
        let trains = &self.trains[self.next..];
        let trains = &trains[..trains.len().min(BATCH)];
        let parts: Vec<IoSlice<'_>> = trains
            .iter()
            .flat_map(|train| &self.messages[train.messages.clone()])
            .map(|message| IoSlice::new(message))
            .collect();
        let mut rest = parts.as_slice();
        let trains: Vec<Train<'_>> = trains
            .iter()
            .map(|train| {
                let (parts, others) = rest.split_at(train.messages.len());
                rest = others;
                Train { parts, segment: train.segment_to_tell() }
            })
            .collect();
        send_trains(socket, to, &trains)
    }

    fn advance(&mut self, count: usize, sent: &mut Sent) {
        for train in &self.trains[self.next..][..count] {
            sent.datagrams += train.datagrams;
            sent.bytes += train.bytes as u64;
        }
        self.next += count;
    }

    /// Makes a train of each datagram that is left.
    fn uncouple(&mut self) {
        let singles = self.singles();
        let train = |(index, single): (usize, &&[u8])| Coupled::new(index, single.len(), 0);
        self.trains = singles.iter().enumerate().map(train).collect();
        self.messages = singles;
        self.next = 0;
    }
}

impl Coupled {
    fn new(index: usize, bytes: usize, segment: usize) -> Self {
        let segment = if segment == 0 { bytes } else { segment.min(bytes) };
        let datagrams = bytes.div_ceil(segment.max(1)).max(1) as u64;
        Self { messages: index..index + 1, segment, bytes, datagrams }
    }

    const fn is_segmented(&self) -> bool {
        self.datagrams > 1
    }

    fn segment_to_tell(&self) -> u16 {
        match self.is_segmented() {
            true => u16::try_from(self.segment).unwrap_or(0),
            false => 0,
        }
    }

    /// Whether cutting both together gives the same datagrams: all of one size so far, and what
    /// comes is of that size, or one shorter datagram, after which nothing fits any more.
    const fn takes(&self, next: &Self) -> bool {
        let same =
            next.segment == self.segment || (next.segment < self.segment && !next.is_segmented());
        self.segment > 0
            && next.bytes > 0
            && self.bytes.is_multiple_of(self.segment)
            && same
            && self.bytes + next.bytes <= MAX_BYTES
            && self.datagrams + next.datagrams <= MAX_COUPLED
    }

    const fn append(&mut self, next: &Self) {
        self.messages.end = next.messages.end;
        self.bytes += next.bytes;
        self.datagrams += next.datagrams;
    }
}

/// The datagrams of a message; an empty message is one too.
fn cut(message: &[u8], segment: usize) -> impl Iterator<Item = &[u8]> {
    let empty = message.is_empty().then_some(message);
    empty.into_iter().chain(message.chunks(segment.max(1)))
}

fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

    use proptest::prelude::*;

    use super::*;
    use crate::runtime::sys::{Inbox, accept_coalesced};

    /// What the trains come to when the kernel cuts them.
    fn datagrams(outgoing: &Outgoing<'_>) -> Vec<Vec<u8>> {
        let trains = outgoing.trains.iter();
        let whole = trains.map(|train| {
            let bytes = outgoing.messages[train.messages.clone()].concat();
            assert_eq!(bytes.len(), train.bytes);
            assert!(train.datagrams <= MAX_COUPLED && train.messages.len() as u64 <= MAX_COUPLED);
            let pieces: Vec<_> = cut(&bytes, train.segment).map(<[u8]>::to_vec).collect();
            assert_eq!(pieces.len() as u64, train.datagrams);
            pieces
        });
        whole.flatten().collect()
    }

    fn messages() -> impl Strategy<Value = Vec<(usize, usize)>> {
        let size =
            prop_oneof![4 => 0..4_usize, 4 => Just(1200), 2 => Just(9000), 1 => 0..50_000_usize];
        let segment = prop_oneof![Just(0_usize), 1..4_usize, Just(1200), Just(9000)];
        prop::collection::vec((size, segment), 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn coupling_changes_no_datagram_and_no_order(messages in messages()) {
            let payload: Vec<u8> = (0..=250).cycle().take(60_000).collect();
            let mut outgoing = Outgoing::default();
            let mut expected = Vec::new();
            for (start, (size, segment)) in messages.iter().enumerate() {
                let message = &payload[start..][..*size.min(&50_000)];
                // What the kernel hands over together is never more than it takes together.
                let segment = (*segment).max(message.len().div_ceil(64));
                outgoing.push(message, segment);
                expected.extend(cut(message, segment).map(<[u8]>::to_vec));
            }
            prop_assert_eq!(outgoing.left(), expected.len() as u64);
            prop_assert_eq!(&outgoing.singles(), &expected);
            prop_assert_eq!(&datagrams(&outgoing), &expected);
            outgoing.uncouple();
            prop_assert_eq!(datagrams(&outgoing), expected);
        }
    }

    fn pair(ip: std::net::IpAddr) -> (UdpSocket, UdpSocket) {
        let (one, other) = (UdpSocket::bind((ip, 0)).unwrap(), UdpSocket::bind((ip, 0)).unwrap());
        one.connect(other.local_addr().unwrap()).unwrap();
        (one, other)
    }

    fn ips() -> [std::net::IpAddr; 2] {
        [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
    }

    #[test]
    fn what_is_sent_coupled_arrives_datagram_by_datagram_with_its_sender() {
        for ip in ips() {
            let (sender, receiver) = pair(ip);
            let sizes = [100, 100, 100, 30, 0, 0, 700, 700, 1];
            let payloads: Vec<Vec<u8>> =
                (0_u8..).zip(sizes).map(|(n, size)| vec![n; size]).collect();
            let mut outgoing = Outgoing::default();
            payloads.iter().for_each(|payload| outgoing.push(payload, payload.len()));
            assert_eq!(outgoing.trains.len(), 4);
            let (sent, refused) = outgoing.send(&sender, None, &mut true);
            assert!(refused.is_ok());
            assert_eq!((sent.datagrams, sent.lost), (9, 0));

            let mut inbox = Inbox::new();
            assert_eq!(inbox.receive(&receiver).unwrap(), sizes.len());
            for (index, payload) in payloads.iter().enumerate() {
                assert_eq!(inbox.sender(index), Some(sender.local_addr().unwrap()));
                assert_eq!(inbox.payload(index), (payload.as_slice(), payload.len()));
            }
        }
    }

    #[test]
    fn what_the_kernel_has_put_together_goes_on_as_the_same_datagrams() {
        for ip in ips() {
            let (sender, between) = pair(ip);
            let (onward, receiver) = pair(ip);
            let _ = accept_coalesced(&between);
            let payloads: Vec<Vec<u8>> = (0_u8..5).map(|n| vec![n; 300]).collect();
            let mut outgoing = Outgoing::default();
            payloads.iter().for_each(|payload| outgoing.push(payload, payload.len()));
            outgoing.send(&sender, None, &mut true).1.unwrap();

            let mut inbox = Inbox::new();
            let count = inbox.receive(&between).unwrap();
            let mut outgoing = Outgoing::default();
            for index in 0..count {
                let (message, segment) = inbox.payload(index);
                outgoing.push(message, segment);
            }
            let target = receiver.local_addr().unwrap();
            // The other way round: uncoupled, and to an address rather than a connected socket.
            outgoing.send(UdpSocket::bind((ip, 0)).unwrap(), Some(target), &mut false).1.unwrap();
            drop(onward);

            let mut last = Inbox::new();
            assert_eq!(last.receive(&receiver).unwrap(), payloads.len());
            for (index, payload) in payloads.iter().enumerate() {
                assert_eq!(last.payload(index).0, payload);
            }
        }
    }

    #[test]
    fn a_datagram_too_large_is_lost_alone() {
        let (sender, receiver) = pair(Ipv4Addr::LOCALHOST.into());
        let payloads = [vec![1; 10], vec![2; 65_530], vec![1; 10]];
        let mut outgoing = Outgoing::default();
        payloads.iter().for_each(|payload| outgoing.push(payload, payload.len()));
        let (sent, refused) = outgoing.send(&sender, None, &mut true);
        assert!(refused.is_ok());
        assert_eq!(sent, Sent { datagrams: 2, bytes: 20, lost: 1 });
        assert_eq!(Inbox::new().receive(&receiver).unwrap(), 2);
    }

    #[test]
    fn a_refusal_keeps_what_has_not_been_sent() {
        let (sender, receiver) = pair(Ipv4Addr::LOCALHOST.into());
        drop(receiver);
        let mut first = Outgoing::default();
        first.push(b"one", 3);
        assert!(first.send(&sender, None, &mut true).1.is_ok());
        let mut second = Outgoing::default();
        second.push(b"two", 3);
        assert!(second.send(&sender, None, &mut true).1.is_err());
        assert_eq!(second.left(), 1);
    }
}
