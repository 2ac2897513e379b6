use super::*;
use crate::health::decode_escapes;

fn read(kind: Kind, text: &str) -> Result<Value, Code> {
    let words: Vec<_> = text.split(' ').map(str::as_bytes).collect();
    kind.read(&words).map_err(|problem| problem.code)
}

fn host(text: &str) -> Value {
    Value::Host(text.parse().unwrap())
}

#[test]
fn integers_are_read_as_strtol_reads_them() {
    let integer = |text| read(Kind::Integer(i64::MIN, i64::MAX), text);
    for (text, value) in [("0x10", 16), ("010", 8), ("-3", -3), ("+3", 3), ("", 0), ("0", 0)] {
        assert_eq!(integer(text), Ok(Value::Integer(value)), "{text:?}");
    }
    for text in ["6s", "1.5", "6;", "08", "0x", "--1", "+-1", "-", "x", "0x-1"] {
        assert_eq!(integer(text), Err(Code::InvalidInteger), "{text:?}");
    }
    assert_eq!(integer("9223372036854775808"), Err(Code::OutOfRange));
}

#[test]
fn durations_are_seconds_or_carry_a_unit() {
    let duration = |text| read(Kind::Duration(1), text);
    for (text, millis) in [
        ("6", 6000),
        ("0x10", 16_000),
        ("100ms", 100),
        ("2s", 2000),
        ("3m", 180_000),
        ("365m", 21_900_000),
        ("1h", 3_600_000),
        ("14d", 1_209_600_000),
    ] {
        let expected = Value::Duration(Duration::from_millis(millis));
        assert_eq!(duration(text), Ok(expected), "{text}");
    }
    for text in ["s", "-1s", "1.5s", "1 s ", "5w", "1S", "\u{b5}s"] {
        let word = text.trim_end();
        let code = Kind::Duration(1).read(&[word.as_bytes()]).map_err(|p| p.code);
        assert_eq!(code, Err(Code::InvalidDuration), "{text}");
    }
    for text in ["0", "-1", "366h0", "8761h", "366d", "18446744073709551615h"] {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn addresses_are_read_as_inet_aton_reads_them_and_ipv6_too() {
    for (text, address) in [
        ("192.0.2.1", "192.0.2.1"),
        ("10.1", "10.0.0.1"),
        ("10.1.258", "10.1.1.2"),
        ("0x7f.1", "127.0.0.1"),
        ("3232235777", "192.168.1.1"),
        ("010.0.0.1", "8.0.0.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
    ] {
        assert_eq!(read(Kind::Host, text), Ok(host(address)), "{text}");
    }
    for text in ["256.0.0.1", "1.2.3.4.5", "10.16777216", "4294967296", "", "1..2", ":::", "1.2.3."]
    {
        assert_eq!(read(Kind::Host, text), Err(Code::InvalidAddress), "{text}");
    }
    assert_eq!(read(Kind::Host, "localhost"), Err(Code::HostName));
}

#[test]
fn a_netmask_keeps_leading_bits_only() {
    let prefix = |text| {
        read(Kind::Mask, text).map(|value| match value {
            Value::Mask(mask) => mask.map(|mask| mask.prefix),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(prefix("255.255.255.255"), Ok(Some(32)));
    assert_eq!(prefix("255.255.240.0"), Ok(Some(20)));
    assert_eq!(prefix("128.0.0.0"), Ok(Some(1)));
    assert_eq!(prefix("24"), Ok(Some(24)));
    assert_eq!(prefix("/24"), Ok(Some(24)));
    assert_eq!(prefix("0.0.0.0"), Ok(None));
    for text in ["255.0.255.0", "0.0.0.255", "129", "", "/", "x"] {
        assert_eq!(prefix(text), Err(Code::InvalidMask), "{text}");
    }
}

#[test]
fn a_sorry_server_may_have_a_port_of_its_own() {
    let endpoint = |text| read(Kind::Endpoints, text);
    let one = |text: &str, port| Ok(Value::Endpoints(vec![(text.parse().unwrap(), port)]));
    assert_eq!(endpoint("192.0.2.9"), one("192.0.2.9", None));
    assert_eq!(endpoint("192.0.2.9:8080"), one("192.0.2.9", Some(8080)));
    assert_eq!(endpoint("2001:db8::9"), one("2001:db8::9", None));
    assert_eq!(endpoint("[2001:db8::9]:80"), one("2001:db8::9", Some(80)));
    assert!(endpoint("192.0.2.9:0").is_err());
    assert!(endpoint("192.0.2.9:").is_err());
}

#[test]
fn only_the_known_escapes_are_decoded() {
    assert_eq!(decode_escapes(br#"a\r\n\t\\\'\"z"#), b"a\r\n\t\\'\"z");
    assert_eq!(decode_escapes(br"\d+\x\"), br"\d+\x\");
}

proptest::proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(text: String) {
        let encoded = encode(&text);
        let inner = &encoded[1..encoded.len() - 1];
        proptest::prop_assert_eq!(decode_escapes(inner.as_bytes()), text.as_bytes());
        proptest::prop_assert!(!inner.contains(['\r', '\n', '\t']));
    }
}
