//! Heartbeats that are none, thousands for each genuine one.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::daemon::Daemon;
use crate::pair::Pair;

/// How long the flood lasts: three dead times.
const FLOOD: Duration = Duration::from_secs(3);

const TERMS: &str = "keepalive = 100ms\ndeadtime = 1s\n";

/// How many datagrams go to each director at once, and how long after each other: up to 20,000 a
/// second, two thousand for each genuine one, on a machine that has to do the rest of the test too.
const VOLLEY: usize = 40;
const PAUSE: Duration = Duration::from_millis(2);

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_flood_of_bad_heartbeats_delays_no_good_one_beyond_the_dead_time() {
    let pair = Pair::with(TERMS);
    let directors = pair.started();
    let stranger = |_| {
        let socket = pair.client.inside(|| UdpSocket::bind("10.77.0.3:0").expect("an own address"));
        let forged = [b'P', b'U', b'L', b'S', 2].into_iter().chain([7; 99]).collect();
        (socket, forged)
    };
    flood(&pair, directors, stranger, "wrong_source");
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_flood_in_the_name_of_the_partner_with_tags_that_are_wrong_does_no_more() {
    let pair = Pair::with(TERMS);
    pair.seal(b"0123456789abcdef");
    let directors = pair.started();
    let genuine = pair.wire.overhear("10.77.0.1:5390");
    let impostor = |victim: u8| {
        // Every word of it is right but the last.
        let mut forged = genuine.clone();
        if let Some(last) = forged.last_mut() {
            *last ^= 1;
        }
        let source = SocketAddr::from(([10, 77, 0, 3 - victim], 5390));
        (pair.client.inside(|| speak_as(source)), forged)
    };
    flood(&pair, directors, impostor, "bad_tag");
}

/// A socket that sends from an address of somebody else.
fn speak_as(source: SocketAddr) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
    socket.set_ip_transparent_v4(true).expect("root may");
    socket.bind(&source.into()).expect("any address may be taken");
    socket.into()
}

/// Sends what `forger` makes for each of the directors, and sees that nothing comes of it but that it
/// is refused for `reason`.
fn flood(
    pair: &Pair,
    directors: (Daemon, Daemon),
    forger: impl Fn(u8) -> (UdpSocket, Vec<u8>),
    reason: &str,
) {
    let sent = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for victim in [1, 2] {
            let (socket, forged) = forger(victim);
            let (sent, over) = (&sent, &over);
            scope.spawn(move || {
                let victim = SocketAddr::from(([10, 77, 0, victim], 5390));
                socket.connect(victim).expect("a route");
                while !over.load(Ordering::Relaxed) {
                    let left = (0..VOLLEY).filter(|_| socket.send(&forged).is_ok()).count();
                    sent.fetch_add(left, Ordering::Relaxed);
                    std::thread::sleep(PAUSE);
                }
            });
        }
        let begun = Instant::now();
        while begun.elapsed() < FLOOD {
            let held = pair.is_held_by(1) && pair.is_free_of(2);
            if !held {
                over.store(true, Ordering::Relaxed);
            }
            assert!(held, "after {:?}", begun.elapsed());
            std::thread::sleep(Duration::from_millis(50));
        }
        over.store(true, Ordering::Relaxed);
    });
    println!("{} forged datagrams in {FLOOD:?}", sent.load(Ordering::Relaxed));
    let (mut primary, mut backup) = directors;
    for director in [&mut primary, &mut backup] {
        assert!(director.expect("heartbeats refused").contains(reason));
    }
    for director in [primary, backup] {
        director.signal("KILL");
        let (_, log) = director.end();
        assert!(!log.contains("partner dead"), "{log}");
    }
}
