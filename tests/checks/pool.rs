//! Many servers checked by one task, and probes that are shared, over real sockets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use piranha::runtime::checks::{Dialer, Method, Pool, Seat};

use super::*;

/// Checks that come quickly enough for a test.
fn quick() -> MonitorConfig {
    let every = Duration::from_millis(50);
    MonitorConfig::new(every, every).unwrap().with_slow_start(SlowStart::Off)
}

fn connect() -> Method {
    Method::Connect(Dialer::default())
}

type Outputs<K> = mpsc::Receiver<(K, Output)>;

fn pool<K: Clone + Send + 'static>(room: usize) -> (Pool<K>, Outputs<K>) {
    let (sender, outputs) = mpsc::channel(room);
    (Pool::spawn(sender).unwrap(), outputs)
}

async fn next<K>(outputs: &mut Outputs<K>) -> (K, Output) {
    tokio::time::timeout(AMPLE, outputs.recv()).await.expect("in time").expect("the pool runs")
}

/// The next change of health, in words.
async fn change<K: std::fmt::Display>(outputs: &mut Outputs<K>) -> String {
    loop {
        if let (key, Output::Changed { to, reason, .. }) = next(outputs).await {
            return format!("{key} {to}: {reason}");
        }
    }
}

async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(AMPLE, wait).await.expect("in time");
}

/// A server that counts who comes.
async fn counting(host: IpAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let address = tcp_on(host, move |_stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        async {}
    });
    (address.await, count)
}

#[tokio::test]
async fn each_server_that_dies_is_noticed_and_no_other() {
    let (pool, mut outputs) = pool(16);
    let mut servers = BTreeMap::new();
    for (number, host) in LOCALHOSTS.into_iter().cycle().take(20).enumerate() {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seat = pool.watch(number, address, connect(), quick());
        servers.insert(number, (seat, listener));
    }
    for _ in 0..20 {
        assert!(change(&mut outputs).await.ends_with("up: passed a check"));
    }
    for number in [3, 12] {
        servers.get_mut(&number).unwrap().1 = TcpListener::bind("127.0.0.1:0").await.unwrap();
    }
    let mut noticed = [change(&mut outputs).await, change(&mut outputs).await];
    noticed.sort();
    assert_eq!(noticed, ["12 down: connection refused", "3 down: connection refused"]);
    let (seat, _) = &servers[&7];
    assert_eq!(seat.status().health, Health::Up);
}

#[tokio::test]
async fn a_server_that_does_not_answer_times_out_in_connecting() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let full = listener.local_addr().unwrap().as_socket().unwrap();
    // With a backlog of nothing the first connections fill it, and later ones get no answer.
    let mut held = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(SHORT, TcpStream::connect(full)).await {
        held.push(stream);
    }
    let (pool, mut outputs) = pool(16);
    let _seat = pool.watch('a', full, connect(), quick());
    assert_eq!(change(&mut outputs).await, "a down: connecting timed out after 50ms");
}

#[tokio::test]
async fn services_that_ask_the_same_share_their_probes() {
    for host in LOCALHOSTS {
        let (address, count) = counting(host).await;
        let (pool, mut outputs) = pool(64);
        let first = pool.watch(0, address, connect(), quick());
        let others: Vec<Seat<i32>> = (1..10).map(|key| first.share(key, quick())).collect();
        for _ in 0..10 {
            change(&mut outputs).await;
        }
        until(|| first.status().counters.passed >= 5).await;
        let passed: u64 = others.iter().map(|seat| seat.status().counters.passed).sum();
        let probes = u64::try_from(count.load(Ordering::Relaxed)).unwrap();
        assert!(passed >= 9 * 4, "each was served: {passed}");
        assert!(probes < passed / 2, "{probes} probes for {passed} results");
    }
}

#[tokio::test]
async fn a_pool_drives_any_check_and_survives_one_that_panics() {
    struct Panics;

    #[async_trait]
    impl Check for Panics {
        async fn probe(&self, _target: SocketAddr, _limit: Duration) -> Result<(), Failure> {
            panic!("a defect");
        }
    }

    let (address, _) = counting(LOCALHOSTS[0]).await;
    let (pool, mut outputs) = pool(16);
    let _panics = pool.watch('a', address, Method::Check(Arc::new(Panics)), quick());
    assert_eq!(change(&mut outputs).await, "a down: the check panicked");
    let check = build(&CheckSpec::Connect, Protocol::Tcp).unwrap();
    let _sound = pool.watch('b', address, Method::Check(check.into()), quick());
    assert_eq!(change(&mut outputs).await, "b up: passed a check");
}

#[tokio::test]
async fn an_owner_that_is_slow_loses_nothing() {
    let (address, _) = counting(LOCALHOSTS[0]).await;
    let (pool, mut outputs) = pool(1);
    let seats: Vec<_> = (0..50).map(|key| pool.watch(key, address, connect(), quick())).collect();
    let mut up = std::collections::BTreeSet::new();
    while up.len() < seats.len() {
        if let (key, Output::Weight(Some(Weight::ONE))) = next(&mut outputs).await {
            assert!(up.insert(key), "{key} was told twice");
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn whoever_leaves_is_not_checked_any_more_and_the_pool_ends_with_its_owner() {
    let (address, count) = counting(LOCALHOSTS[0]).await;
    let (pool, mut outputs) = pool(16);
    let seat = pool.watch('a', address, connect(), quick());
    change(&mut outputs).await;
    drop(seat);
    let other = pool.watch('b', address, connect(), quick());
    until(|| other.status().counters.passed >= 3).await;
    let seen = count.load(Ordering::Relaxed);
    assert!(seen <= 1 + 4, "{seen} probes");
    drop(pool);
    while tokio::time::timeout(AMPLE, outputs.recv()).await.expect("it ends").is_some() {}
}

#[tokio::test]
async fn a_drained_server_says_so_and_a_snapshot_of_it_is_gone_on_with() {
    let (address, _) = counting(LOCALHOSTS[0]).await;
    let (pool, mut outputs) = pool(16);
    let seat = pool.watch('a', address, connect(), quick());
    assert_eq!(change(&mut outputs).await, "a up: passed a check");
    assert_eq!(next(&mut outputs).await, ('a', Output::Weight(Some(Weight::ONE))));
    seat.set_override(Override::Drain);
    assert_eq!(next(&mut outputs).await, ('a', Output::Override(Override::Drain)));
    assert_eq!(next(&mut outputs).await, ('a', Output::Weight(Some(Weight::ZERO))));
    let _again = pool.resume('b', address, connect(), quick(), seat.snapshot());
    assert_eq!(change(&mut outputs).await, "b up: remembered");
    assert_eq!(next(&mut outputs).await, ('b', Output::Override(Override::Drain)));
}

/// In a runtime of one thread, as `lvs` has it: who is never let in there hears of no death.
#[test]
fn more_checks_than_the_machine_bears_leave_others_of_their_thread_their_turn() {
    let (done, turns) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let every = Duration::from_millis(10);
            let config = MonitorConfig::new(every, every).unwrap();
            let (pool, mut outputs) = pool(4096);
            // Nobody listens, so each is refused at once and is due again before all have been asked.
            let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
            let seats: Vec<_> =
                (0..4000).map(|key| pool.watch(key, free, connect(), config)).collect();
            for _ in 0..500 {
                while outputs.try_recv().is_ok() {}
                tokio::task::yield_now().await;
            }
            assert!(seats.iter().all(|seat| seat.status().health == Health::Down));
            let _ = done.send(());
        });
    });
    turns.recv_timeout(Duration::from_secs(120)).expect("500 turns beside the checks");
}
