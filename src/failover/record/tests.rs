use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::failover::Role;

#[derive(Clone, Default)]
struct Shelf {
    entries: Arc<Mutex<Vec<Entry>>>,
    full: Arc<Mutex<bool>>,
}

impl Sink for Shelf {
    fn take(&mut self, entry: Entry) -> bool {
        let full = *self.full.lock().unwrap();
        if !full {
            self.entries.lock().unwrap().push(entry);
        }
        !full
    }
}

const SOURCE: ([u8; 4], u16) = ([192, 0, 2, 2], 539);

fn config() -> Config {
    let builder = Config::builder(Role::Primary)
        .keepalive(Duration::from_millis(100))
        .dead_time(Duration::from_millis(300))
        .path(SOURCE.into())
        .boot(1);
    #[cfg(feature = "auth")]
    let builder = builder.key(crate::wire::pulse::Key::new(SECRET).unwrap());
    builder.build().unwrap()
}

#[cfg(feature = "auth")]
const SECRET: &[u8] = b"a secret nobody must find";

fn recorder(shelf: &Shelf) -> Recorder {
    let machine = Pulse::new(Instant::ZERO, config());
    Recorder::recording(machine, Box::new(shelf.clone()))
}

fn drain(recorder: &mut Recorder) -> Vec<Output> {
    std::iter::from_fn(|| recorder.poll_output()).collect()
}

/// It takes over, is told things, and changes its configuration.
fn live(recorder: &mut Recorder) {
    for now in (0..=4).map(|tick| Instant::from_millis(tick * 100)) {
        recorder.handle_timeout(now);
        for output in drain(recorder) {
            if let Output::Acquire { id, .. } = output {
                recorder.handle_completion(now, id, Ok(()));
                drain(recorder);
            }
        }
        recorder.handle_datagram(now, PathId(0), SOURCE.into(), b"noise");
        drain(recorder);
    }
    let other = config().to_builder().keepalive(Duration::from_millis(50)).build().unwrap();
    recorder.handle_config(Instant::from_millis(410), other).unwrap();
    drain(recorder);
}

/// The lines as they are written and read again.
fn lines(shelf: &Shelf) -> Vec<Line> {
    let mut disguise = Disguise::new();
    let entries = shelf.entries.lock().unwrap().clone();
    let written = entries.into_iter().map(|entry| disguise.line(entry));
    written
        .map(|line| {
            let text = serde_json::to_string(&line).unwrap();
            serde_json::from_str(&text).unwrap()
        })
        .collect()
}

fn differences(lines: Vec<Line>) -> Vec<Difference> {
    let mut replay = Replay::new();
    lines.into_iter().filter_map(|line| replay.play(line).unwrap().difference).collect()
}

#[test]
fn what_was_recorded_replays_the_same() {
    let shelf = Shelf::default();
    let mut recorder = recorder(&shelf);
    live(&mut recorder);
    assert_eq!(recorder.state(), State::Active);
    let lines = lines(&shelf);
    assert!(matches!(lines[0], Line::Begin { lost: 0, .. }));
    assert!(lines.len() > 10);
    assert_eq!(differences(lines), []);
}

#[test]
fn another_decision_is_noticed() {
    let shelf = Shelf::default();
    live(&mut recorder(&shelf));
    let mut lines = lines(&shelf);
    let sent = lines.iter_mut().find_map(|line| match line {
        Line::Step(step) if !step.outputs.is_empty() => Some(step),
        _ => None,
    });
    sent.unwrap().outputs.pop();
    assert!(matches!(differences(lines)[..], [Difference::Outputs(_)]));
}

#[test]
fn after_a_gap_the_recording_begins_anew_and_says_how_much_is_missing() {
    let shelf = Shelf::default();
    let mut recorder = recorder(&shelf);
    live(&mut recorder);
    *shelf.full.lock().unwrap() = true;
    for tick in 5..8 {
        recorder.handle_timeout(Instant::from_millis(tick * 100));
        drain(&mut recorder);
    }
    *shelf.full.lock().unwrap() = false;
    recorder.handle_timeout(Instant::from_millis(900));
    drain(&mut recorder);
    let lines = lines(&shelf);
    assert!(lines.iter().any(|line| matches!(line, Line::Begin { lost: 3, .. })));
    assert_eq!(differences(lines), []);
}

#[test]
fn outputs_that_were_asked_for_after_the_next_input_are_no_difference() {
    let shelf = Shelf::default();
    let mut recorder = recorder(&shelf);
    recorder.handle_timeout(Instant::ZERO);
    recorder.handle_command(Instant::ZERO, Command::Stop);
    drain(&mut recorder);
    assert_eq!(differences(lines(&shelf)), []);
}

#[cfg(feature = "auth")]
#[test]
fn neither_a_key_nor_what_it_sealed_is_written() {
    let shelf = Shelf::default();
    live(&mut recorder(&shelf));
    let entries = shelf.entries.lock().unwrap().clone();
    let sealed = entries.iter().find_map(|entry| match entry {
        Entry::Step(step) => step.outputs.iter().find_map(|output| match output {
            Output::Send { payload, .. } => Some(String::from(payload.clone())),
            _ => None,
        }),
        Entry::Begin { .. } => None,
    });
    let tag = &sealed.unwrap()[144..];
    let text: String =
        lines(&shelf).iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    assert!(!text.contains(tag));
    assert!(!text.contains(&String::from(Payload::from(SECRET))));
}

#[test]
fn a_machine_that_cannot_be_is_refused() {
    let shelf = Shelf::default();
    live(&mut recorder(&shelf));
    let begin = serde_json::to_value(&lines(&shelf)[0]).unwrap();
    for (place, value) in [
        ("/begin/machine/link/paths", serde_json::json!([])),
        ("/begin/machine/last_id", serde_json::json!(u64::MAX)),
        ("/begin/machine/config/keepalive", serde_json::json!({"secs": 0, "nanos": 0})),
    ] {
        let mut broken = begin.clone();
        *broken.pointer_mut(place).unwrap() = value;
        assert!(serde_json::from_value::<Line>(broken).is_err(), "{place}");
    }
}

mod router {
    use super::*;
    use crate::failover::VirtualAddress;
    use crate::failover::vrrp::{self, Password, Path, Version, Vrrp};
    use crate::wire::ip::Packet;
    use crate::wire::vrrp::{Advertisement, Ends, HOPS, PROTOCOL};

    const WORD: &[u8] = b"s3cr3t";
    const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9));
    const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn config(version: Version) -> vrrp::Config {
        let builder = vrrp::Config::builder(Role::Backup, version, 7)
            .path(Path::multicast(OWN))
            .addresses(vec![VirtualAddress::new(VIP, "eth0")]);
        let password = Password::new(WORD).filter(|_| version == Version::V2);
        password.into_iter().fold(builder, vrrp::Builder::password).build().unwrap()
    }

    /// The packet of another router.
    fn packet(version: Version, password: Option<&[u8]>, priority: u8) -> Vec<u8> {
        let source = SOURCE.0.into();
        let destination = Path::multicast(source).destination();
        let advertisement = Advertisement {
            version,
            router: 7,
            priority,
            interval: Duration::from_secs(1),
            addresses: [VIP].into_iter(),
            password: password.and_then(Password::new),
        };
        let payload = &advertisement.encode(&Ends { source, destination });
        Packet { source, destination, hops: HOPS, protocol: PROTOCOL, payload }.encode().unwrap()
    }

    /// It hears right, wrong and missing passwords and noise, takes over, and is told things.
    fn live(version: Version, shelf: &Shelf) -> Recorder<Vrrp> {
        let machine = Vrrp::new(Instant::ZERO, config(version));
        let mut recorder = Recorder::recording(machine, Box::new(shelf.clone()));
        let drain = |recorder: &mut Recorder<Vrrp>| -> Vec<Output> {
            std::iter::from_fn(|| recorder.poll_output()).collect()
        };
        let right = (version == Version::V2).then_some(WORD);
        let mut cut = packet(version, right, 150);
        cut.truncate(cut.len() - 3);
        let heard =
            [packet(version, right, 150), packet(version, Some(b"wrong"), 200), cut, vec![0x2f; 9]];
        for datagram in &heard {
            let now = Instant::from_millis(10);
            recorder.handle_datagram(now, PathId(0), SOURCE.into(), datagram);
            drain(&mut recorder);
        }
        while recorder.state() != State::Active {
            let now = recorder.poll_timeout().unwrap();
            recorder.handle_timeout(now);
            for output in drain(&mut recorder) {
                if let Output::Acquire { id, .. } = output {
                    recorder.handle_completion(now, id, Ok(()));
                    drain(&mut recorder);
                }
            }
        }
        let other = config(version).to_builder().priority(120).build().unwrap();
        recorder.handle_config(Instant::from_millis(9000), other).unwrap();
        drain(&mut recorder);
        recorder
    }

    #[test]
    fn what_was_recorded_replays_the_same_in_both_versions() {
        for version in [Version::V2, Version::V3] {
            let shelf = Shelf::default();
            live(version, &shelf);
            let lines = lines(&shelf);
            assert!(lines.len() >= 8, "{lines:?}");
            assert_eq!(differences(lines), [], "{version:?}");
        }
    }

    #[test]
    fn a_copy_in_the_middle_is_the_machine_that_was_replayed_until_then() {
        let shelf = Shelf::default();
        let recorder = live(Version::V2, &shelf);
        let machine = recorder.machine().copy();
        let at = Instant::from_millis(9000);
        shelf.entries.lock().unwrap().push(Entry::Begin { at, lost: 0, machine });
        assert_eq!(differences(lines(&shelf)), []);
    }

    #[test]
    fn another_priority_of_the_rival_is_another_decision() {
        let shelf = Shelf::default();
        live(Version::V3, &shelf);
        let mut lines = lines(&shelf);
        let heard = lines.iter_mut().find_map(|line| match line {
            Line::Step(step) => match &mut step.input {
                Input::Datagram { bytes, .. } => Some(bytes),
                _ => None,
            },
            Line::Begin { .. } => None,
        });
        *heard.unwrap() = packet(Version::V3, None, 0).into();
        assert_ne!(differences(lines), []);
    }

    #[test]
    fn no_password_is_written() {
        let shelf = Shelf::default();
        live(Version::V2, &shelf);
        let line = |line: &Line| serde_json::to_string(line).unwrap();
        let text: String = lines(&shelf).iter().map(line).collect();
        assert!(!text.contains(&String::from(Payload::from(WORD))));
        assert!(!text.contains(&String::from(Payload::from(b"wrong".as_slice()))));
    }

    #[test]
    fn a_machine_that_cannot_be_is_refused() {
        let shelf = Shelf::default();
        live(Version::V3, &shelf);
        let begin = serde_json::to_value(&lines(&shelf)[0]).unwrap();
        assert!(serde_json::from_value::<Line>(begin.clone()).is_ok());
        for (place, value) in [
            ("/begin/router/listener/heard", serde_json::json!([])),
            ("/begin/router/followed", serde_json::json!([])),
            ("/begin/router/last_id", serde_json::json!(u64::MAX)),
            ("/begin/router/config/interval", serde_json::json!({"secs": 0, "nanos": 0})),
            ("/begin/router/followed_interval", serde_json::json!({"secs": u64::MAX, "nanos": 0})),
        ] {
            let mut broken = begin.clone();
            *broken.pointer_mut(place).unwrap() = value;
            assert!(serde_json::from_value::<Line>(broken).is_err(), "{place}");
        }
    }
}
