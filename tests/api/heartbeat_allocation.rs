//! A heartbeat allocates nothing: neither the one that is sent nor the one that is heard, believed
//! or not, nor what is told of them. Changes of state may.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test writes its files, and fails by a panic"
)]
#![allow(unsafe_code, reason = "a global allocator cannot be written without it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

use piranha::control::supervision::Terms;
use piranha::failover::guard::{Fault, Guard};
use piranha::failover::{Heartbeat, Output, PathId, Role, State, VirtualAddress, pulse, vrrp};
use piranha::runtime::configuration;
use piranha::runtime::heartbeat::{Link, Snapshot};
use piranha::runtime::node::Node;
use piranha::time::Instant;
use piranha::wire::ip::Packet;
use piranha::wire::pulse::Key;
use piranha::wire::vrrp::{HOPS, PROTOCOL};
use tokio::sync::watch;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, which counts what each thread asks for.
struct Counting;

// SAFETY: every call is passed to `System` unchanged; the count is a plain cell of the thread,
// needs no allocation itself and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, and so from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> usize {
    ALLOCATIONS.with(Cell::get)
}

const KEEPALIVE: Duration = Duration::from_millis(100);

/// What travels from one machine to the other, on a network that loses nothing.
struct Wire<M> {
    now: Instant,
    machines: [M; 2],
    /// What a machine sends, as the other one receives it.
    carry: fn(usize, &[u8], &mut Vec<u8>),
    addresses: [SocketAddr; 2],
    datagram: Vec<u8>,
}

impl<M: Heartbeat> Wire<M> {
    fn new(machines: [M; 2], carry: fn(usize, &[u8], &mut Vec<u8>)) -> Self {
        let addresses = [1, 2].map(address);
        Self { now: Instant::ZERO, machines, carry, addresses, datagram: Vec::with_capacity(4096) }
    }

    /// Lets `count` keepalives go by.
    fn run(&mut self, count: u32) {
        let end = self.now + KEEPALIVE * count;
        while let Some(due) = self.machines.iter().filter_map(Heartbeat::poll_timeout).min() {
            self.now = self.now.max(due);
            if self.now >= end {
                return;
            }
            for machine in 0..2 {
                self.machines[machine].handle_timeout(self.now);
                self.exchange();
            }
        }
    }

    /// Until neither has anything more to say.
    fn exchange(&mut self) {
        while let Some((from, output)) =
            (0..2).find_map(|from| Some((from, self.machines[from].poll_output()?)))
        {
            match output {
                Output::Send { path, payload } => {
                    (self.carry)(from, &payload, &mut self.datagram);
                    let source = self.addresses[from];
                    self.machines[1 - from].handle_datagram(self.now, path, source, &self.datagram);
                }
                Output::Acquire { id, .. } | Output::Release { id, .. } => {
                    self.machines[from].handle_completion(self.now, id, Ok(()));
                }
                _ => {}
            }
        }
    }

    fn states(&self) -> [State; 2] {
        [self.machines[0].state(), self.machines[1].state()]
    }
}

fn address(number: u8) -> SocketAddr {
    ([192, 0, 2, number], 539).into()
}

fn vips() -> Vec<VirtualAddress> {
    (1..=200).map(|n| VirtualAddress::new(IpAddr::from([198, 51, 100, n]), "eth0")).collect()
}

fn pulse_pair() -> Wire<pulse::Pulse> {
    let machine = |role, peer: u8, boot| {
        let config = pulse::Config::builder(role)
            .keepalive(KEEPALIVE)
            .dead_time(KEEPALIVE * 3)
            .key(Key::new(&[7; 32]).unwrap())
            .boot(boot)
            .addresses(vips())
            .path(address(peer))
            .path(address(peer))
            .build();
        pulse::Pulse::new(Instant::ZERO, config.unwrap())
    };
    let pair = [machine(Role::Primary, 2, 11), machine(Role::Backup, 1, 12)];
    Wire::new(pair, |_from, payload, datagram| {
        datagram.clear();
        datagram.extend_from_slice(payload);
    })
}

/// Each machine goes on as it is for a hundred keepalives, and tells of itself at each.
fn assert_quiet<M: Heartbeat>(wire: &mut Wire<M>) {
    let mut told = [0, 1].map(|machine| wire.machines[machine].status(wire.now));
    let (states, before) = (wire.states(), allocations());
    for _ in 0..100 {
        wire.run(1);
        for (machine, told) in wire.machines.iter().zip(&mut told) {
            machine.update_status(wire.now, told);
        }
    }
    assert_eq!(allocations() - before, 0);
    assert_eq!(wire.states(), states);
    let fresh = [0, 1].map(|machine| wire.machines[machine].status(wire.now));
    assert_eq!(told, fresh, "an updated status is what a new one would be");
}

#[test]
fn the_counter_counts() {
    let before = allocations();
    drop(Box::new(1));
    assert_eq!(allocations() - before, 1);
}

#[test]
fn heartbeats_of_an_authenticated_pair_allocate_nothing_from_one_change_to_the_next() {
    let mut wire = pulse_pair();
    wire.run(20);
    assert_eq!(wire.states(), [State::Active, State::Standby]);
    assert_quiet(&mut wire);
}

#[test]
fn a_guard_that_fails_makes_heartbeats_no_dearer() {
    let mut wire = pulse_pair();
    wire.run(20);
    let faults = [Fault::new(Guard::Link("eth0".to_owned()), "no carrier")];
    for machine in &mut wire.machines {
        machine.handle_guards(wire.now, &faults);
    }
    wire.exchange();
    wire.run(20);
    assert_quiet(&mut wire);
}

#[test]
fn datagrams_that_are_refused_allocate_nothing_once_the_reason_is_known() {
    let mut wire = pulse_pair();
    wire.run(20);
    let forged = [[0; 104], [0x50; 104]];
    let refuse = |wire: &mut Wire<pulse::Pulse>| {
        for (source, datagram) in
            [1, 3].into_iter().flat_map(|n| forged.iter().map(move |d| (n, d)))
        {
            let path = PathId(0);
            wire.machines[1].handle_datagram(wire.now, path, address(source), datagram);
            wire.machines[1].handle_datagram(wire.now, path, address(source), &datagram[1..]);
        }
    };
    refuse(&mut wire);
    let mut told = wire.machines[1].status(wire.now);
    let before = allocations();
    for _ in 0..1000 {
        refuse(&mut wire);
        wire.machines[1].update_status(wire.now, &mut told);
    }
    assert_eq!(allocations() - before, 0);
    assert_eq!(told.rejected, wire.machines[1].status(wire.now).rejected);
}

#[test]
fn advertisements_of_vrrp_allocate_nothing_from_one_change_to_the_next() {
    let machine = |role, number: u8| {
        let config = vrrp::Config::builder(role, vrrp::Version::V3, 51)
            .interval(KEEPALIVE)
            .addresses(vips())
            .path(vrrp::Path::multicast([192, 0, 2, number].into()))
            .build();
        vrrp::Vrrp::new(Instant::ZERO, config.unwrap())
    };
    let pair = [machine(Role::Primary, 1), machine(Role::Backup, 2)];
    let mut wire = Wire::new(pair, |from, payload, datagram| {
        let source = IpAddr::from([192, 0, 2, if from == 0 { 1 } else { 2 }]);
        let destination = vrrp::Path::multicast(source).destination();
        // Only the header is made anew: the packet itself is the network's business.
        let empty = Packet { source, destination, hops: HOPS, protocol: PROTOCOL, payload: &[] };
        let mut header = empty.encode().unwrap();
        let length = u16::try_from(header.len() + payload.len()).unwrap();
        header[2..4].copy_from_slice(&length.to_be_bytes());
        datagram.clear();
        datagram.extend_from_slice(&header);
        datagram.extend_from_slice(payload);
        ALLOCATIONS.with(|count| count.set(count.get() - 1));
    });
    wire.run(20);
    assert_eq!(wire.states(), [State::Active, State::Standby]);
    assert_quiet(&mut wire);
}

/// The two ends of a pair on loopback addresses of its own, as `pulse` runs them.
fn nodes(directory: &std::path::Path) -> [Node; 2] {
    let [.., high, low] = std::process::id().to_be_bytes();
    let key = directory.join("key");
    let mut file = std::fs::File::options();
    let file = file.write(true).create_new(true).mode(0o600).open(&key);
    std::io::Write::write_all(&mut file.unwrap(), &[7; 32]).unwrap();
    ["primary", "backup"].map(|role| {
        let text = format!(
            "role = {role}\nprimary = 127.{high}.{low}.1\nbackup = 127.{high}.{low}.2\n\
             backup_active = 1\nheartbeat_port = 5390\nheartbeat_key = {}\n\
             keepalive = 5ms\ndeadtime = 2s\n\
             virtual v {{\n    active = 1\n    address = 127.{high}.{low}.3 lo\n    port = 80\n    \
             server s {{\n        address = 127.{high}.{low}.4\n        active = 1\n    }}\n}}\n",
            key.display()
        );
        let path = directory.join(role);
        std::fs::write(&path, text).unwrap();
        let config = configuration::read(&path).unwrap().config;
        let terms = Terms::new(&config, configuration::digest(&config));
        let link = Link::rehearsal(terms.clone());
        Node::new(&config, terms, link, false, Arc::new(|_event| ())).unwrap()
    })
}

type Snapshots = watch::Receiver<Option<Arc<Snapshot>>>;

/// Waits for a snapshot that is as wanted, without keeping it.
async fn until(snapshots: &mut Snapshots, wanted: impl Fn(&Snapshot) -> bool) {
    let limit = tokio::time::sleep(Duration::from_secs(60));
    tokio::pin!(limit);
    loop {
        tokio::select! {
            changed = snapshots.changed() => changed.unwrap(),
            () = &mut limit => panic!("no such snapshot within a minute"),
        }
        if snapshots.borrow_and_update().as_deref().is_some_and(&wanted) {
            return;
        }
    }
}

/// Both run on this thread, which is the one that is counted.
#[test]
fn a_running_pair_allocates_nothing_from_one_change_to_the_next() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let [first, second] = nodes(directory.path());
        let (mut primary, mut backup) = (first.snapshots(), second.snapshots());
        let counted = async {
            until(&mut primary, |snapshot| snapshot.status.state == State::Active).await;
            until(&mut backup, |snapshot| snapshot.status.state == State::Standby).await;
            let heard = |snapshot: &Snapshot| snapshot.status.paths[0];
            let after = |at| move |snapshot: &Snapshot| heard(snapshot) > at;
            // What is made once: a further snapshot to write in, the refusals told of.
            for _ in 0..5 {
                let at = backup.borrow().as_deref().and_then(heard);
                until(&mut backup, after(at)).await;
            }
            let before = allocations();
            for _ in 0..20 {
                let at = backup.borrow().as_deref().and_then(heard);
                until(&mut backup, after(at)).await;
            }
            assert_eq!(allocations() - before, 0);
        };
        tokio::select! {
            () = counted => {}
            _ = first.run() => panic!("the primary ended"),
            _ = second.run() => panic!("the backup ended"),
        }
    });
}
