use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::ipvs::{Load, Persistence, Thresholds};
use crate::net::Weight;
use crate::scheduler::Servers;

/// Round robin, just enough of it.
struct Turn(usize);

impl Scheduler for Turn {
    fn name(&self) -> &'static str {
        "turn"
    }

    fn pick(&mut self, _: &Flow, servers: &Servers) -> Option<usize> {
        let count = servers.len();
        let next = (0..count)
            .map(|step| (self.0 + step) % count)
            .find(|&position| servers.at(position).is_some_and(Server::is_eligible))?;
        self.0 = next + 1;
        Some(next)
    }

    fn start(&mut self, _: &Servers) {}
}

fn server(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 80))
}

fn from(client: u8) -> Flow {
    Flow { source: SocketAddr::from(([192, 0, 2, client], 4000)), ..Flow::default() }
}

fn key() -> ServiceKey {
    ServiceKey::tcp("192.0.2.80:80".parse().unwrap())
}

fn with_servers(service: Service, count: u8) -> VirtualService {
    let mut service = VirtualService::new(service, Box::new(Turn(0)));
    for n in 1..=count {
        service.add(Destination::new(server(n))).unwrap();
    }
    service
}

fn persistent(secs: u64) -> Service {
    Service::new(key()).with_persistence(Persistence::new(Duration::from_secs(secs)).unwrap())
}

fn secs(secs: u64) -> Instant {
    Instant::from_millis(secs * 1000)
}

fn load(service: &mut VirtualService, n: u8) -> Load {
    let status = service.status(Instant::ZERO, true);
    let found = status.destinations.iter().find(|d| d.address == server(n));
    found.unwrap().load
}

#[test]
fn a_retry_goes_to_a_server_not_tried_before_until_none_is_left() {
    let mut service = with_servers(Service::new(key()), 3);
    let mut tried = Vec::new();
    while let Some(ticket) = service.admit(Instant::ZERO, &from(1), &tried) {
        assert!(!tried.contains(&ticket.address()));
        tried.push(ticket.address());
        service.fail(ticket);
    }
    assert_eq!(tried.len(), 3);
    let status = service.status(Instant::ZERO, true);
    assert_eq!((status.refused, status.counters.connections), (1, 0));
    assert!(status.destinations.iter().all(|d| d.failures == 1 && d.load == Load::default()));
}

#[test]
fn a_persistent_client_returns_to_its_server_also_when_that_is_quiesced_or_overloaded() {
    let mut service = with_servers(persistent(60), 3);
    let first = service.admit(secs(0), &from(1), &[]).unwrap();
    let home = first.address();
    let full = Destination::new(home).with_thresholds(Thresholds::new(1, 1).unwrap());
    for edit in [full, Destination::new(home).with_weight(Weight::ZERO)] {
        service.edit_destination(edit).unwrap();
        let again = service.admit(secs(1), &from(1), &[]).unwrap();
        assert_eq!(again.address(), home);
        let other = service.admit(secs(1), &from(2), &[]).unwrap();
        assert_ne!(other.address(), home);
        service.close(again);
        service.close(other);
    }
    service.close(first);
}

#[test]
fn a_client_is_forgotten_one_timeout_after_its_last_connection_began() {
    let mut service = with_servers(persistent(10), 2);
    let ticket = service.admit(secs(0), &from(1), &[]).unwrap();
    let home = ticket.address();
    service.close(ticket);
    let ticket = service.admit(secs(9), &from(1), &[]).unwrap();
    assert_eq!(ticket.address(), home);
    service.close(ticket);
    let persistent = |service: &mut VirtualService, now| {
        let status = service.status(now, true);
        status.destinations.iter().map(|d| d.load.persistent).sum::<u32>()
    };
    assert_eq!(persistent(&mut service, secs(18)), 1);
    assert_eq!(persistent(&mut service, secs(19)), 0);
}

#[test]
fn a_template_in_use_outlives_its_timeout() {
    let mut service = with_servers(persistent(10), 2);
    let open = service.admit(secs(0), &from(1), &[]).unwrap();
    let home = open.address();
    let again = service.admit(secs(500), &from(1), &[]).unwrap();
    assert_eq!(again.address(), home);
    service.close(open);
    service.close(again);
}

#[test]
fn a_persistent_client_moves_when_its_server_fails_it_or_is_removed() {
    let mut service = with_servers(persistent(60), 3);
    let ticket = service.admit(secs(0), &from(1), &[]).unwrap();
    let dead = ticket.address();
    service.fail(ticket);
    let ticket = service.admit(secs(0), &from(1), &[dead]).unwrap();
    let home = ticket.address();
    assert_ne!(home, dead);
    service.close(ticket);
    let ticket = service.admit(secs(1), &from(1), &[]).unwrap();
    assert_eq!(ticket.address(), home, "it stays where the retry ended");
    service.remove(home).unwrap();
    let next = service.admit(secs(2), &from(1), &[]).unwrap();
    assert_ne!(next.address(), home);
    service.close(ticket);
    service.close(next);
}

#[test]
fn a_server_added_again_takes_up_the_connections_of_its_former_self() {
    let mut service = with_servers(Service::new(key()), 1);
    let old = service.admit(secs(0), &from(1), &[]).unwrap();
    let joined = service.join(&old);
    service.remove(server(1)).unwrap();
    let late = service.join(&old);
    service.add(Destination::new(server(1))).unwrap();
    assert_eq!(load(&mut service, 1).active, 2);
    let new = service.admit(secs(0), &from(1), &[]).unwrap();
    service.close(old);
    service.close(joined);
    service.close(late);
    assert_eq!(load(&mut service, 1).active, 1);
    service.close(new);
    assert_eq!(load(&mut service, 1), Load::default());
}

#[test]
fn a_joined_connection_counts_as_load_but_not_as_scheduled() {
    let mut service = with_servers(Service::new(key()), 1);
    let control = service.admit(secs(0), &from(1), &[]).unwrap();
    service.established(&control);
    let data = service.join(&control);
    assert_eq!(load(&mut service, 1).active, 2);
    service.close(data);
    service.close(control);
    assert_eq!(service.status(secs(0), true).counters.connections, 1);
}

#[test]
fn conflicting_changes_are_refused_and_change_nothing() {
    let mut service = with_servers(Service::new(key()), 1);
    let direct = Destination::new(server(2)).with_forwarding(Forwarding::Direct);
    let before = service.entry();
    assert_eq!(service.add(Destination::new(server(1))), Err(Conflict::Exists));
    assert_eq!(service.add(direct), Err(Conflict::Forwarding));
    assert_eq!(service.edit_destination(Destination::new(server(2))), Err(Conflict::Missing));
    assert_eq!(service.remove(server(2)), Err(Conflict::Missing));
    assert_eq!(service.entry(), before);
}

#[test]
fn udp_flows_are_never_active() {
    let udp = Service::new(ServiceKey::udp("192.0.2.80:53".parse().unwrap()));
    let mut service = with_servers(udp, 1);
    let ticket = service.admit(secs(0), &from(1), &[]).unwrap();
    assert_eq!((load(&mut service, 1).active, load(&mut service, 1).inactive), (0, 1));
    service.close(ticket);
}

#[derive(Clone, Debug)]
enum Step {
    Admit(u8),
    Deactivate(usize),
    Close(usize),
    Fail(usize),
    Join(usize),
    Remove(u8),
    Add(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_u8).prop_map(Step::Admit),
        2 => any::<usize>().prop_map(Step::Deactivate),
        3 => any::<usize>().prop_map(Step::Close),
        1 => any::<usize>().prop_map(Step::Fail),
        1 => any::<usize>().prop_map(Step::Join),
        1 => (1..4_u8).prop_map(Step::Remove),
        1 => (1..4_u8).prop_map(Step::Add),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_counts_return_to_zero_when_all_connections_have_ended(
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut service = with_servers(persistent(5), 3);
        let mut open: Vec<Ticket> = Vec::new();
        for (at, step) in steps.into_iter().enumerate() {
            let now = secs(at as u64);
            match step {
                Step::Admit(client) => open.extend(service.admit(now, &from(client), &[])),
                Step::Deactivate(n) if !open.is_empty() => {
                    let n = n % open.len();
                    service.deactivate(&mut open[n]);
                }
                Step::Close(n) if !open.is_empty() => service.close(open.swap_remove(n % open.len())),
                Step::Fail(n) if !open.is_empty() => service.fail(open.swap_remove(n % open.len())),
                Step::Join(n) if !open.is_empty() => {
                    let joined = service.join(&open[n % open.len()]);
                    open.push(joined);
                }
                Step::Remove(n) => { let _ = service.remove(server(n)); }
                Step::Add(n) => { let _ = service.add(Destination::new(server(n))); }
                _ => {}
            }
            let status = service.status(now, true);
            let total: u32 = status.destinations.iter().map(|d| d.load.total()).sum();
            prop_assert!(total as usize <= open.len());
        }
        for ticket in open {
            service.close(ticket);
        }
        let status = service.status(secs(100_000), true);
        prop_assert!(status.destinations.iter().all(|d| d.load == Load::default()), "{status:?}");
    }
}
