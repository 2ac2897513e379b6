//! Heartbeats that are none, at the rate the wire carries.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::pair::Pair;

/// How long the flood lasts: six dead times.
const FLOOD: Duration = Duration::from_secs(3);

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_flood_of_bad_heartbeats_delays_no_good_one_beyond_the_dead_time() {
    let pair = Pair::new();
    let (mut primary, mut backup) = pair.started();
    let sent = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let flood = |from: &str, to: &str| {
        let socket = pair.client.inside(|| UdpSocket::bind(from)).expect("an own address");
        socket.connect(to).expect("a route");
        let forged = [b'P', b'U', b'L', b'S', 2].into_iter().chain([7; 99]).collect::<Vec<u8>>();
        while !over.load(Ordering::Relaxed) {
            sent.fetch_add(u64::from(socket.send(&forged).is_ok()), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for to in ["10.77.0.1:5390", "10.77.0.2:5390"] {
            scope.spawn(move || flood("10.77.0.3:0", to));
        }
        let begun = Instant::now();
        while begun.elapsed() < FLOOD {
            assert!(pair.is_held_by(1) && pair.is_free_of(2), "after {:?}", begun.elapsed());
            std::thread::sleep(Duration::from_millis(50));
        }
        over.store(true, Ordering::Relaxed);
    });
    println!("{} forged datagrams in {FLOOD:?}", sent.load(Ordering::Relaxed));
    for director in [&mut primary, &mut backup] {
        assert!(director.expect("heartbeats refused").contains("wrong_source"));
    }
    for director in [primary, backup] {
        director.signal("KILL");
        let (_, log) = director.end();
        assert!(!log.contains("partner dead"), "{log}");
    }
}
