//! What a client sees, and who owns the address.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use piranha::runtime::kernel::Namespace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::Outcome;

/// How often the client pings, and how often it requests.
pub(crate) const PACE: Duration = Duration::from_millis(1);

/// Where directors of ours send heartbeats to.
const HEARTBEAT_PORT: u16 = 5390;

/// `ETH_P_ALL`: what comes in on a port of a bridge is seen by nobody who asks for less.
const EVERY_PROTOCOL: u16 = 3;

/// The port of the program that answers requests on each director.
const PORT: u16 = 7007;

/// Moments at which something was seen.
type Moments = Arc<Mutex<Vec<Instant>>>;

/// Threads that end with it.
#[derive(Default)]
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    answers: Vec<Moments>,
    owners: Vec<Moments>,
    words: Moments,
}

impl Watch {
    /// Has a program on the director in `namespace` answer requests at `vip`, present or not.
    pub(crate) fn answer(&mut self, namespace: &Namespace, vip: Ipv4Addr) -> Outcome<()> {
        let socket = namespace.run(|| responder(vip))??;
        self.spawn(move |stop| {
            let mut buffer = [0; 64];
            while !stop.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let _lost_like_any_other = socket.send_to(&buffer[..length], from);
                }
            }
        });
        Ok(())
    }

    /// Pings and requests `vip` from `namespace`.
    pub(crate) fn ask(&mut self, namespace: &Namespace, vip: Ipv4Addr) -> Outcome<()> {
        let ping =
            namespace.run(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)))??;
        let request = namespace.run(|| Socket::new(Domain::IPV4, Type::DGRAM, None))??;
        self.exchange(ping, SocketAddrV4::new(vip, 0), echo_request(), move |answer| {
            // The answer comes with its IPv4 header: type 0 behind it, and from the VIP.
            answer.get(20) == Some(&0) && answer.get(12..16) == Some(&vip.octets()[..])
        })?;
        self.exchange(request, SocketAddrV4::new(vip, PORT), *b"are you ", |_| true)
    }

    /// Watches whether the station in `namespace` has `vip`.
    pub(crate) fn own(&mut self, namespace: &Namespace, vip: Ipv4Addr) {
        let (namespace, moments) = (namespace.clone(), Moments::default());
        self.owners.push(moments.clone());
        self.spawn(move |stop| {
            let watch = || {
                while !stop.load(Ordering::Relaxed) {
                    if UdpSocket::bind((vip, 0)).is_ok() {
                        moments.lock().expect("no panic").push(Instant::now());
                    }
                    thread::sleep(PACE / 2);
                }
            };
            namespace.run(watch).expect("the namespace is there");
        });
    }

    /// Listens on the wire, in `namespace`, for heartbeats and advertisements of `station`.
    pub(crate) fn hear(&mut self, namespace: &Namespace, station: Ipv4Addr) -> Outcome<()> {
        let everything = Some(Protocol::from(i32::from(EVERY_PROTOCOL.to_be())));
        let socket = namespace.run(|| Socket::new(Domain::PACKET, Type::DGRAM, everything))??;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let socket = UdpSocket::from(std::os::fd::OwnedFd::from(socket));
        let moments = self.words.clone();
        self.spawn(move |stop| {
            let mut packet = [0; 64];
            while !stop.load(Ordering::Relaxed) {
                let received = rustix::io::read(&socket, &mut packet);
                if received.is_ok_and(|length| is_word(&packet[..length], station)) {
                    moments.lock().expect("no panic").push(Instant::now());
                }
            }
        });
        Ok(())
    }

    /// From the last word of the station that was listened to until everything was answered again.
    pub(crate) fn silence(&self, begin: Instant) -> Option<Duration> {
        let last = *self.words.lock().expect("no panic").last()?;
        let pauses = self.answers.iter().filter_map(|answers| longest_pause(answers, begin));
        pauses.map(|(_, end)| end.saturating_duration_since(last)).max()
    }

    /// Whether every kind of question was answered all the time for the last `while_`.
    pub(crate) fn is_answered_for(&self, while_: Duration) -> bool {
        let now = Instant::now();
        self.answers.iter().all(|answers| {
            let answers = answers.lock().expect("no panic");
            let recent: Vec<_> = answers.iter().filter(|at| now - **at < while_).collect();
            recent.len() as u128 * 2 > while_.as_millis() / PACE.as_millis()
        })
    }

    /// The longest time without an answer since `begin`, of all kinds of questions the longest.
    pub(crate) fn gap(&self, begin: Instant) -> Duration {
        let pauses = self.answers.iter().filter_map(|answers| longest_pause(answers, begin));
        pauses.map(|(start, end)| end - start).max().unwrap_or_default()
    }

    /// For how long since `begin` both directors had the address.
    pub(crate) fn two_owners(&self, begin: Instant) -> Duration {
        let [first, second] = &self.owners[..] else { return Duration::ZERO };
        let slots = |moments: &Moments| -> std::collections::BTreeSet<u128> {
            let moments = moments.lock().expect("no panic");
            let since = moments.iter().filter_map(|at| at.checked_duration_since(begin));
            since.map(|since| since.as_millis()).collect()
        };
        let both = slots(first).intersection(&slots(second)).count();
        Duration::from_millis(both as u64)
    }

    fn exchange(
        &mut self,
        socket: Socket,
        to: SocketAddrV4,
        question: [u8; 8],
        is_answer: impl Fn(&[u8]) -> bool + Send + 'static,
    ) -> Outcome<()> {
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from(std::os::fd::OwnedFd::from(socket));
        let moments = Moments::default();
        self.answers.push(moments.clone());
        self.spawn(move |stop| {
            let mut next = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                let _no_route_is_no_answer = socket.send_to(&question, SocketAddr::V4(to));
                next += PACE;
                while Instant::now() < next {
                    await_input(&socket, next);
                    collect(&socket, &moments, &is_answer);
                }
                // After a pause of the machine questions are not made up for.
                next = next.max(Instant::now() - PACE);
            }
        });
        Ok(())
    }

    fn spawn(&mut self, work: impl FnOnce(&AtomicBool) + Send + 'static) {
        let stop = self.stop.clone();
        self.threads.push(thread::spawn(move || work(&stop)));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _reported_where_it_happened = thread.join();
        }
    }
}

fn responder(vip: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_freebind_v4(true)?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    socket.bind(&SocketAddr::from((vip, PORT)).into())?;
    Ok(socket.into())
}

fn collect(socket: &UdpSocket, moments: &Moments, is_answer: &impl Fn(&[u8]) -> bool) {
    let mut buffer = [0; 256];
    while let Ok((length, _)) = socket.recv_from(&mut buffer) {
        if is_answer(&buffer[..length]) {
            moments.lock().expect("no panic").push(Instant::now());
        }
    }
}

fn await_input(socket: &UdpSocket, until: Instant) {
    let left = until.saturating_duration_since(Instant::now());
    let nanoseconds = i64::from(left.subsec_nanos());
    let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: nanoseconds };
    let _woken_or_not = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&timeout));
}

/// An ICMP echo request without data; its checksum is that of its first word.
const fn echo_request() -> [u8; 8] {
    [8, 0, 0xf7, 0xff, 0, 0, 0, 0]
}

/// Whether an IPv4 packet is a heartbeat or an advertisement of `station`.
fn is_word(packet: &[u8], station: Ipv4Addr) -> bool {
    let from_it = packet.get(12..16) == Some(&station.octets()[..]);
    let is_advertisement = packet.get(9) == Some(&112);
    let port = HEARTBEAT_PORT.to_be_bytes();
    let is_heartbeat = packet.get(9) == Some(&17) && packet.get(22..24) == Some(&port[..]);
    from_it && (is_advertisement || is_heartbeat)
}

/// Where the longest pause since `begin` began and ended.
fn longest_pause(moments: &Moments, begin: Instant) -> Option<(Instant, Instant)> {
    let moments = moments.lock().expect("no panic");
    let before = moments.iter().rev().find(|at| **at <= begin);
    let after = moments.iter().filter(|at| **at > begin);
    let all: Vec<_> = before.into_iter().chain(after).copied().collect();
    let pauses = all.windows(2).map(|pair| (pair[0], pair[1]));
    pauses.max_by_key(|(start, end)| *end - *start)
}
