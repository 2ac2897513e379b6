use std::net::SocketAddr;

use proptest::prelude::*;

use super::super::abi::{CONTROL_FAMILY, CONTROL_FAMILY_ID, command, errno, info};
use super::super::attribute::Writer;
use super::*;
use crate::ipvs::{Destination, Service, ServiceKey};

const FAMILY: u16 = 0x25;

fn key(port: u16) -> ServiceKey {
    ServiceKey::tcp(SocketAddr::from(([192, 0, 2, 1], port)))
}

fn add(port: u16) -> Request {
    Request::AddService(Service::new(key(port)))
}

/// A message as the kernel sends it.
fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + payload.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn ack(sequence: u32, errno: i32) -> Vec<u8> {
    message(message::ERROR, 0, sequence, &[(-errno).to_ne_bytes(), [0; 4]].concat())
}

fn done(sequence: u32, flags: u16) -> Vec<u8> {
    message(message::DONE, flags, sequence, &[0; 4])
}

fn family(sequence: u32, number: u16) -> Vec<u8> {
    let mut payload = vec![1, 2, 0, 0];
    Writer(&mut payload).u16(CONTROL_FAMILY_ID, number);
    [message(CONTROL_FAMILY, 0, sequence, &payload), ack(sequence, 0)].concat()
}

/// What goes out next, as sequence numbers with the family of each.
fn sent(exchange: &mut Exchange) -> Vec<(u32, u16)> {
    let mut bytes = Vec::new();
    exchange.poll_transmit(&mut bytes);
    Messages::new(&bytes).map(|m| m.unwrap()).map(|m| (m.sequence, m.kind)).collect()
}

/// An exchange that knows the family, with these requests submitted.
fn ready(requests: impl IntoIterator<Item = Request>) -> Exchange {
    let mut exchange = Exchange::new();
    for request in requests {
        exchange.submit(request);
    }
    assert_eq!(sent(&mut exchange), [(0, CONTROL_FAMILY)]);
    exchange.handle_datagram(&family(0, FAMILY));
    exchange
}

fn outcomes(exchange: &mut Exchange) -> Vec<(u64, Option<String>)> {
    let outcome = || exchange.poll_outcome();
    std::iter::from_fn(outcome)
        .map(|outcome| (outcome.ticket.0, outcome.result.err().map(|e| e.reason().to_string())))
        .collect()
}

#[test]
fn requests_go_out_fifty_at_a_time_and_each_has_its_own_outcome() {
    let mut exchange = ready((1..=60).map(add));
    let first = sent(&mut exchange);
    assert_eq!((first.len(), first[0], first[49].0), (MAX_BATCH, (1, FAMILY), 50));
    assert_eq!(sent(&mut exchange), [], "not before the answers");
    let acks = first.iter().map(|(n, _)| ack(*n, if *n == 3 { errno::EEXIST } else { 0 }));
    exchange.handle_datagram(&acks.collect::<Vec<_>>().concat());
    let known = outcomes(&mut exchange);
    assert_eq!(known.len(), 50);
    assert_eq!(known[2], (2, Some("already exists".to_owned())));
    assert_eq!(known.iter().filter(|(_, error)| error.is_some()).count(), 1);
    assert_eq!(sent(&mut exchange).len(), 10);
}

#[test]
fn of_the_changes_in_one_send_only_the_last_is_acknowledged_and_the_refused_are_told() {
    let mut exchange = ready((1..=4).map(add));
    let mut bytes = Vec::new();
    exchange.poll_transmit(&mut bytes);
    let asked = Messages::new(&bytes).map(|message| message.unwrap().flags & message::ACK != 0);
    assert_eq!(asked.collect::<Vec<_>>(), [false, false, false, true]);
    exchange.handle_datagram(&ack(2, errno::EEXIST));
    assert_eq!(outcomes(&mut exchange), [(0, None), (1, Some("already exists".to_owned()))]);
    exchange.handle_datagram(&ack(4, 0));
    assert_eq!(outcomes(&mut exchange), [(2, None), (3, None)]);
    assert!(exchange.is_idle());
}

#[test]
fn a_change_whose_refusal_may_have_been_lost_has_not_succeeded() {
    let mut exchange = ready((1..=3).map(add));
    assert_eq!(sent(&mut exchange).len(), 3);
    exchange.handle_datagram(&ack(1, errno::EEXIST));
    exchange.handle_loss(&Reason::AnswerLost);
    let known = outcomes(&mut exchange);
    let unknown = known.iter().filter(|(_, e)| *e == Some(Reason::AnswerLost.to_string()));
    assert_eq!((known.len(), unknown.count()), (3, 2));
}

#[test]
fn a_batch_stays_below_its_size() {
    let long = "fifteen-letters".parse::<crate::ipvs::SchedulerName>().unwrap();
    let requests = (1..=60).flat_map(|port| {
        let service = Service::new(key(port)).with_scheduler(long.clone());
        let server = Destination::new(SocketAddr::from(([10, 0, 0, 1], port)));
        [Request::AddService(service), Request::AddDestination(key(port), server)]
    });
    let mut exchange = ready(requests);
    let mut bytes = Vec::new();
    exchange.poll_transmit(&mut bytes);
    assert!(bytes.len() <= MAX_BATCH_BYTES);
}

#[test]
fn a_listing_goes_out_alone() {
    let mut exchange = ready([add(1), Request::ListServices, add(2), add(3)]);
    for expected in [vec![1], vec![2], vec![3, 4]] {
        let batch: Vec<_> = sent(&mut exchange).iter().map(|(n, _)| *n).collect();
        assert_eq!(batch, expected);
        for sequence in batch {
            exchange.handle_datagram(&ack(sequence, 0));
        }
    }
    assert!(exchange.is_idle());
}

#[test]
fn an_interrupted_listing_is_read_again_and_given_up_in_the_end() {
    let mut exchange = ready([Request::ListServices]);
    for sequence in 1..=u32::from(MAX_ATTEMPTS) {
        assert_eq!(outcomes(&mut exchange), []);
        assert_eq!(sent(&mut exchange), [(sequence, FAMILY)]);
        exchange.handle_datagram(&done(sequence, message::DUMP_INTERRUPTED));
    }
    let given_up = Some("the table changed each time it was read".to_owned());
    assert_eq!(outcomes(&mut exchange), [(0, given_up)]);
}

#[test]
fn after_a_loss_reads_are_asked_again_and_the_outcome_of_changes_is_unknown() {
    let mut exchange = ready([add(1), Request::GetInfo, add(2)]);
    assert_eq!(sent(&mut exchange).len(), 3);
    exchange.handle_datagram(&ack(1, 0));
    assert!(!exchange.take_socket_spent());
    exchange.handle_loss(&Reason::AnswerLost);
    assert!(exchange.take_socket_spent() && !exchange.take_socket_spent());
    let lost = Reason::AnswerLost.to_string();
    assert_eq!(outcomes(&mut exchange), [(0, None), (2, Some(lost))]);
    assert_eq!(sent(&mut exchange), [(4, FAMILY)]);
    // What comes late for the first try is nobody's.
    exchange.handle_datagram(&ack(2, 0));
    assert_eq!((exchange.counters().strays, exchange.counters().retries), (1, 1));
    let mut payload = vec![command::SET_INFO, 1, 0, 0];
    Writer(&mut payload).u32(info::VERSION, 0x01_0201);
    exchange.handle_datagram(&[message(FAMILY, 0, 4, &payload), ack(4, 0)].concat());
    assert_eq!(outcomes(&mut exchange), [(1, None)]);
}

#[test]
fn what_netlink_acknowledges_not_is_known_by_what_comes_behind() {
    use super::super::DaemonRole;
    let mut exchange = ready([Request::StopDaemon(DaemonRole::Backup), add(1)]);
    assert_eq!(sent(&mut exchange).len(), 2, "the request and its fence");
    exchange.handle_datagram(&ack(2, 0));
    assert_eq!(outcomes(&mut exchange), [(0, None)]);
    assert_eq!(sent(&mut exchange), [(3, FAMILY)]);
}

#[test]
fn a_family_that_changed_its_number_is_looked_up_and_nothing_is_sent_twice_in_vain() {
    let mut exchange = ready([add(1), add(2)]);
    assert_eq!(sent(&mut exchange), [(1, FAMILY), (2, FAMILY)]);
    exchange.handle_datagram(&[ack(1, errno::ENOENT), ack(2, errno::ENOENT)].concat());
    assert_eq!(sent(&mut exchange), [(3, CONTROL_FAMILY)]);
    exchange.handle_datagram(&family(3, FAMILY + 1));
    assert_eq!(sent(&mut exchange), [(4, FAMILY + 1), (5, FAMILY + 1)]);
    // Now it means what it says.
    exchange.handle_datagram(&[ack(4, errno::ENOENT), ack(5, 0)].concat());
    assert_eq!(sent(&mut exchange), [(6, CONTROL_FAMILY)]);
    exchange.handle_datagram(&family(6, FAMILY + 1));
    let refused = "the kernel has no scheduler wlc: it found no module ip_vs_wlc".to_owned();
    assert_eq!(outcomes(&mut exchange), [(1, None), (0, Some(refused))]);
    assert!(exchange.is_idle());
}

#[test]
fn without_the_family_every_request_fails_and_says_what_to_do() {
    let mut exchange = Exchange::new();
    exchange.submit(Request::ListServices);
    exchange.submit(add(1));
    assert_eq!(sent(&mut exchange).len(), 1);
    exchange.handle_datagram(&ack(0, errno::ENOENT));
    let known = outcomes(&mut exchange);
    assert_eq!(known.len(), 2);
    assert!(known[1].1.as_ref().unwrap().contains("modprobe ip_vs"));
    assert!(exchange.is_idle());
}

#[test]
fn an_answer_cut_short_is_a_loss() {
    let mut exchange = ready([Request::ListServices]);
    sent(&mut exchange);
    let whole = done(1, 0);
    exchange.handle_datagram(&whole[..whole.len() - 2]);
    assert!(exchange.take_socket_spent());
    assert_eq!(sent(&mut exchange), [(2, FAMILY)]);
}

proptest! {
    #[test]
    fn no_datagram_confuses_it_for_good(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..20),
    ) {
        let mut exchange = ready([Request::ListServices, add(1), Request::ListDaemons]);
        let mut bytes = Vec::new();
        for datagram in &datagrams {
            exchange.poll_transmit(&mut bytes);
            exchange.handle_datagram(datagram);
        }
        // Losing everything, again and again, ends with an outcome for each.
        for _ in 0..3 * MAX_ATTEMPTS {
            exchange.poll_transmit(&mut bytes);
            exchange.handle_loss(&Reason::NoAnswer);
        }
        prop_assert!(exchange.is_idle());
        prop_assert_eq!(outcomes(&mut exchange).len(), 3);
    }
}
