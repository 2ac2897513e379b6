use proptest::prelude::*;

use super::*;
use crate::wire::ip::Packet;

/// What Debian's keepalived 2.2.7 sent, the header of IPv4 included: priority 100, virtual router
/// 51, 10.77.0.100 and .101; then its farewell.
const RECORDED_V4: [(&str, Version, &str); 5] = [
    (
        "version 3",
        Version::V3,
        "45c0002400010000ff70d0480a4d0001e000001231336402000a6a7c0a4d00640a4d0065",
    ),
    (
        "version 3, unicast",
        Version::V3,
        "45c0002400010000ff70a60c0a4d00010a4d000231336402000a40400a4d00640a4d0065",
    ),
    (
        "version 2",
        Version::V2,
        "45c0002c00010000ff70d0400a4d0001e0000012213364020001\
         65660a4d00640a4d00650000000000000000",
    ),
    (
        "version 2 with the password s3cret",
        Version::V2,
        "45c0002c00010000ff70d0400a4d0001e0000012213364020101\
         284c0a4d00640a4d00657333637265740000",
    ),
    (
        "version 2, unicast",
        Version::V2,
        "45c0002c00010000ff70a6040a4d00010a4d0002213364020001\
         65660a4d00640a4d00650000000000000000",
    ),
];

/// The same over IPv6, without a header: its address fd77::100.
const RECORDED_V6: &str = "31336401000a6f2afd770000000000000000000000000100";
const FAREWELL_V6: &str = "31330001000ad32afd770000000000000000000000000100";

fn bytes(hex: &str) -> Vec<u8> {
    let hex: Vec<_> = hex.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    let pairs = hex.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn ends_v6() -> Ends {
    Ends { source: "fe80::ff:fe00:1".parse().unwrap(), destination: GROUP_V6.into() }
}

fn encoded(advertisement: &Advertisement<Addresses<'_>>, ends: &Ends) -> Vec<u8> {
    let Advertisement { version, router, priority, interval, addresses, password } = *advertisement;
    let addresses = addresses.iter();
    Advertisement { version, router, priority, interval, addresses, password }.encode(ends)
}

#[test]
fn what_keepalived_sends_is_read_and_written_the_same() {
    for (what, version, hex) in RECORDED_V4 {
        let bytes = bytes(hex);
        let packet = Packet::decode(&bytes).unwrap();
        assert_eq!((packet.hops, packet.protocol), (HOPS, PROTOCOL));
        let ends = Ends { source: packet.source, destination: packet.destination };
        let advertisement = Advertisement::decode(packet.payload, &ends).expect(what);
        assert_eq!((advertisement.version, advertisement.router), (version, 51), "{what}");
        assert_eq!(advertisement.priority, 100, "{what}");
        let interval = if version == Version::V2 { 1000 } else { 100 };
        assert_eq!(advertisement.interval.as_millis(), interval, "{what}");
        let addresses: Vec<_> = advertisement.addresses.iter().map(|a| a.to_string()).collect();
        assert_eq!(addresses, ["10.77.0.100", "10.77.0.101"], "{what}");
        let password = what.contains("password").then(|| Password::new(b"s3cret").unwrap());
        assert_eq!(advertisement.password, password, "{what}");
        assert_eq!(encoded(&advertisement, &ends), packet.payload, "{what}");
    }
}

#[test]
fn what_keepalived_sends_over_ipv6_is_read_and_written_the_same() {
    for (hex, priority) in [(RECORDED_V6, 100), (FAREWELL_V6, RESIGNED)] {
        let message = bytes(hex);
        let advertisement = Advertisement::decode(&message, &ends_v6()).unwrap();
        assert_eq!((advertisement.version, advertisement.priority), (Version::V3, priority));
        let addresses: Vec<_> = advertisement.addresses.iter().collect();
        assert_eq!(addresses, ["fd77::100".parse::<IpAddr>().unwrap()]);
        assert_eq!(encoded(&advertisement, &ends_v6()), message);
    }
}

#[test]
fn version_3_over_ipv4_is_read_with_and_without_the_pseudo_header() {
    let ends = Ends { source: [192, 0, 2, 1].into(), destination: GROUP_V4.into() };
    let with_pseudo_header = sample(Version::V3).encode(&ends);
    let mut without = with_pseudo_header.clone();
    without[6..8].fill(0);
    let sum = Checksum::of(&without).finish();
    without[6..8].copy_from_slice(&sum.to_be_bytes());
    assert_ne!(with_pseudo_header, without);
    for message in [with_pseudo_header, without] {
        assert!(Advertisement::decode(&message, &ends).is_ok());
    }
}

#[test]
fn what_is_wrong_is_told_by_its_reason() {
    let ends = Ends { source: [192, 0, 2, 1].into(), destination: GROUP_V4.into() };
    let good = sample(Version::V2).encode(&ends);
    let verdict = |message: &[u8], ends| Advertisement::decode(message, ends).map(|_| ());
    let altered = |place: usize, value: u8| {
        let mut message = good.clone();
        message[place] = value;
        message[6..8].fill(0);
        let sum = Checksum::of(&message).finish();
        message[6..8].copy_from_slice(&sum.to_be_bytes());
        verdict(&message, &ends)
    };
    assert_eq!(verdict(&good, &ends), Ok(()));
    assert_eq!(verdict(&good[..good.len() - 1], &ends), Err(DecodeError::Truncated));
    assert_eq!(verdict(&[&good[..], &[0]].concat(), &ends), Err(DecodeError::Oversized));
    assert_eq!(altered(0, 0x41), Err(DecodeError::Version));
    assert_eq!(altered(0, 0x22), Err(DecodeError::BadField), "the type");
    assert_eq!(altered(1, 0), Err(DecodeError::BadField), "virtual router 0");
    assert_eq!(altered(5, 0), Err(DecodeError::BadField), "no interval");
    assert_eq!(altered(4, 2), Err(DecodeError::AuthenticationType));
    let mut flipped = good.clone();
    flipped[9] ^= 1;
    assert_eq!(verdict(&flipped, &ends), Err(DecodeError::Checksum));
    assert_eq!(verdict(&good, &ends_v6()), Err(DecodeError::Version), "version 2 over IPv6");
}

#[test]
fn a_password_has_one_to_eight_bytes_and_is_in_no_message() {
    assert_eq!(Password::new(b""), None);
    assert_eq!(Password::new(b"123456789"), None);
    let password = Password::new(b"12345678").unwrap();
    assert_eq!(format!("{password:?}"), "Password(..)");
}

fn sample(version: Version) -> Advertisement<std::vec::IntoIter<IpAddr>> {
    let addresses = vec![IpAddr::from([192, 0, 2, 80])];
    let interval = Duration::from_secs(1);
    let password = None;
    let addresses = addresses.into_iter();
    Advertisement { version, router: 7, priority: 100, interval, addresses, password }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        (version, source, destination) in prop_oneof![
            (Just(Version::V2), any::<[u8; 4]>(), any::<[u8; 4]>())
                .prop_map(|(version, a, b)| (version, IpAddr::from(a), IpAddr::from(b))),
            (Just(Version::V3), any::<[u8; 4]>(), any::<[u8; 4]>())
                .prop_map(|(version, a, b)| (version, IpAddr::from(a), IpAddr::from(b))),
            (Just(Version::V3), any::<[u8; 16]>(), any::<[u8; 16]>())
                .prop_map(|(version, a, b)| (version, IpAddr::from(a), IpAddr::from(b))),
        ],
        router in 1u8..,
        priority: u8,
        units in 1u32..=255,
        count in 0u16..300,
        word: Option<[u8; 8]>,
    ) {
        let ends = Ends { source, destination };
        let family = Family::of(source);
        let address = |n: u16| match family {
            Family::Ipv4 => IpAddr::from([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]]),
            Family::Ipv6 => IpAddr::from([0xfd77, 0, 0, 0, 0, 0, 0, n]),
        };
        let all: Vec<_> = (0..count).map(address).collect();
        let password = word.filter(|_| version == Version::V2).map(Password);
        let interval = version.unit() * units;
        let addresses = all.clone().into_iter();
        let sent = Advertisement { version, router, priority, interval, addresses, password };
        let message = sent.encode(&ends);
        let heard = Advertisement::decode(&message, &ends).unwrap();
        prop_assert_eq!((heard.version, heard.router, heard.priority), (version, router, priority));
        prop_assert_eq!((heard.interval, heard.password), (interval, password));
        let named: Vec<_> = heard.addresses.iter().collect();
        prop_assert_eq!(named.len(), heard.addresses.len());
        prop_assert_eq!(&named[..], &all[..all.len().min(capacity(family))]);
    }

    #[test]
    fn any_bytes_are_survived_and_what_is_read_is_written_the_same(
        mut message in proptest::collection::vec(any::<u8>(), 0..64),
        count in 0u8..4,
        version in prop_oneof![Just(0x21u8), Just(0x31)],
        four: bool,
    ) {
        let ends = match four {
            true => Ends { source: [192, 0, 2, 1].into(), destination: GROUP_V4.into() },
            false => ends_v6(),
        };
        let _ = Advertisement::decode(&message, &ends);
        // As far as the checksum nothing random would come.
        if message.len() >= HEADER {
            (message[0], message[3]) = (version, count);
            message[4] &= 0x01;
            message[6..8].fill(0);
            let version = if version == 0x21 { Version::V2 } else { Version::V3 };
            let sum = checksum(&message, &ends, version);
            message[6..8].copy_from_slice(&sum.to_be_bytes());
        }
        if let Ok(heard) = Advertisement::decode(&message, &ends)
            && (heard.version == Version::V3 || heard.password.is_some())
        {
            prop_assert_eq!(encoded(&heard, &ends), message);
        }
    }
}
