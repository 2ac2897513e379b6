use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const DOCUMENT: &str = include_str!("../../../docs/pulse-protocol.md");

/// The vectors that the specification publishes, by name.
fn vectors() -> BTreeMap<&'static str, Vec<u8>> {
    DOCUMENT
        .split("```vector ")
        .skip(1)
        .filter_map(|block| block.split("```").next()?.split_once('\n'))
        .map(|(name, hex)| (name, hex.split_whitespace().map(byte).collect()))
        .collect()
}

fn byte(hex: &str) -> u8 {
    u8::from_str_radix(hex, 16).unwrap()
}

fn hello() -> Heartbeat {
    Heartbeat {
        cluster: 0x1122_3344_5566_7788,
        boot: 0xa1a2_a3a4_a5a6_a7a8,
        counter: 1,
        echo: None,
        path: 0,
        role: Role::Primary,
        state: State::Starting,
        priority: 100,
        interval: Duration::from_millis(2000),
        digest: [0; 8],
        step: Step::None,
        unfit: false,
    }
}

#[test]
fn version_1_is_what_a_capture_of_0_8_6_on_x86_shows() {
    if cfg!(target_endian = "little") {
        assert_eq!(Magic::Running.encode(), [0xda, 0xdb, 0xad, 0xbd]);
        assert_eq!(Magic::Stopped.encode(), [0xbd, 0xda, 0xbd, 0xad]);
    }
    assert_eq!(Magic::decode(&0xdead_dadau32.to_ne_bytes()), Err(DecodeError::OtherService));
    assert_eq!(
        Magic::decode(&0xbdad_dbdau32.swap_bytes().to_ne_bytes()),
        Err(DecodeError::BadMagic),
        "the other byte order"
    );
    assert_eq!(Magic::decode(&[0; 3]), Err(DecodeError::Truncated));
    assert_eq!(Magic::decode(&[0; 5]), Err(DecodeError::Oversized));
}

#[test]
fn the_plain_vector_of_the_specification_holds() {
    let bytes = &vectors()["hello"];
    assert_eq!(hello().encode(None).as_slice(), bytes);
    assert_eq!(Sealed::parse(bytes).unwrap().open(None), Ok(hello()));
}

#[test]
fn any_change_of_size_magic_or_version_is_named() {
    let good = hello().encode(None);
    let error = |bytes: &[u8]| Sealed::parse(bytes).err();
    assert_eq!(error(&good[..103]), Some(DecodeError::Truncated));
    assert_eq!(error(&[&good[..], &[0]].concat()), Some(DecodeError::Oversized));
    let mut bad = good;
    bad[0] = b'p';
    assert_eq!(error(&bad), Some(DecodeError::BadMagic));
    let mut bad = good;
    bad[4] = 3;
    assert_eq!(error(&bad), Some(DecodeError::Version));
}

#[test]
fn an_unfit_sender_says_so_in_one_bit() {
    let unfit = Heartbeat { unfit: true, ..hello() };
    let mut bytes = hello().encode(None);
    bytes[5] |= 4;
    assert_eq!(unfit.encode(None), bytes);
    assert_eq!(Sealed::parse(&bytes).unwrap().open(None), Ok(unfit));
}

#[test]
fn values_the_layout_does_not_have_are_malformed() {
    // Flags, role, state, interval above an hour, step, reserved, echo without its flag, tag
    // without its flag.
    for (at, value) in [(5, 8), (6, 0), (7, 8), (56, 1), (62, 6), (63, 1), (40, 1), (103, 1)] {
        let mut bytes = hello().encode(None);
        bytes[at] = value;
        let opened = Sealed::parse(&bytes).unwrap().open(None);
        assert_eq!(opened, Err(DecodeError::BadField), "byte {at} set to {value}");
    }
}

#[cfg(feature = "auth")]
mod authenticated {
    use super::*;

    fn key() -> Key {
        let secret: Vec<u8> = (0..32).collect();
        Key::new(&secret).unwrap()
    }

    fn active() -> Heartbeat {
        Heartbeat {
            counter: 513,
            echo: Some(Echo { boot: 0xb1b2_b3b4_b5b6_b7b8, counter: 512 }),
            path: 1,
            state: State::Active,
            interval: Duration::from_millis(100),
            digest: [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef],
            ..hello()
        }
    }

    #[test]
    fn the_sealed_vectors_of_the_specification_hold() {
        let released = Heartbeat {
            role: Role::Backup,
            state: State::Standby,
            path: 0,
            boot: 0xb1b2_b3b4_b5b6_b7b8,
            counter: 77,
            echo: Some(Echo { boot: 0xa1a2_a3a4_a5a6_a7a8, counter: 78 }),
            step: Step::Released(9),
            ..active()
        };
        for (name, heartbeat) in [("active", active()), ("released", released)] {
            let bytes = &vectors()[name];
            assert_eq!(heartbeat.encode(Some(&key())).as_slice(), bytes, "{name}");
            let opened = Sealed::parse(bytes).unwrap().open(Some(&key()));
            assert_eq!(opened, Ok(heartbeat), "{name}");
        }
    }

    #[test]
    fn keyed_and_unkeyed_nodes_do_not_believe_each_other() {
        let sealed = active().encode(Some(&key()));
        let plain = active().encode(None);
        let open = |bytes, key| Sealed::parse(bytes).unwrap().open(key);
        assert_eq!(open(&sealed, None), Err(DecodeError::KeyMissing));
        assert_eq!(open(&plain, Some(&key())), Err(DecodeError::Unauthenticated));
    }

    #[test]
    fn no_single_bit_of_a_sealed_datagram_can_be_changed() {
        let sealed = active().encode(Some(&key()));
        for bit in 0..sealed.len() * 8 {
            let mut forged = sealed;
            forged[bit / 8] ^= 1 << (bit % 8);
            let opened = Sealed::parse(&forged).and_then(|sealed| sealed.open(Some(&key())));
            assert!(opened.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_key_shows_nothing_of_itself_and_must_not_be_short() {
        assert_eq!(format!("{:?}", key()), "Key(..)");
        assert_eq!(Key::new(&[7; 15]).unwrap_err(), KeyError { length: 15 });
    }
}

proptest! {
    #[test]
    fn what_is_decoded_encodes_to_the_same_bytes(
        mut bytes in prop::array::uniform32(any::<u8>()),
        step in 0u8..7,
        flags in 0u8..4,
    ) {
        let mut datagram = hello().encode(None);
        bytes[30] &= 3;
        datagram[8..40].copy_from_slice(&bytes);
        datagram[62] = step;
        datagram[5] = flags;
        if let Ok(heartbeat) = Sealed::parse(&datagram).unwrap().open(None) {
            prop_assert_eq!(heartbeat.encode(None), datagram);
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Magic::decode(&bytes);
        let _ = Sealed::parse(&bytes).map(|sealed| sealed.open(None));
    }
}
