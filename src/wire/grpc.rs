//! The two messages of gRPC's health checking protocol (`grpc.health.v1`), in protobuf behind
//! gRPC's prefix of five bytes (its protocol over HTTP/2, "Length-Prefixed-Message").

/// What a server says of a service.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Serving {
    /// It is not known; also the default, which is not sent.
    Unknown,
    /// It takes calls.
    Serving,
    /// It takes none.
    NotServing,
    /// There is no such service; `Watch` alone says so.
    ServiceUnknown,
    /// Any other number.
    Other(u64),
}

impl Serving {
    /// Its name in the protocol.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Serving => "SERVING",
            Self::NotServing => "NOT_SERVING",
            Self::ServiceUnknown => "SERVICE_UNKNOWN",
            Self::Other(_) => "another status",
        }
    }

    const fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Unknown,
            1 => Self::Serving,
            2 => Self::NotServing,
            3 => Self::ServiceUnknown,
            other => Self::Other(other),
        }
    }
}

/// The bytes are not the answer of a health service.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("malformed gRPC message")]
pub struct Malformed;

const PREFIX: usize = 5;
/// Field 1 of both messages: the name of the service, and the status.
const SERVICE: u64 = 1 << 3 | LENGTH;
const STATUS: u64 = 1 << 3 | VARINT;
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED_32: u64 = 5;

/// `HealthCheckRequest` for `service`; the empty one is the server as a whole.
#[must_use]
pub fn health_request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        push_varint(&mut message, SERVICE);
        push_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], &message].concat()
}

/// The status in a `HealthCheckResponse`. Fields that are not known are passed over.
///
/// # Errors
/// [`Malformed`] for anything else, a compressed message, and more than one message.
pub fn health_status(body: &[u8]) -> Result<Serving, Malformed> {
    let (&[compressed, a, b, c, d], mut message) =
        body.split_first_chunk::<PREFIX>().ok_or(Malformed)?;
    if compressed != 0 || u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        return Err(Malformed);
    }
    let mut status = 0;
    while !message.is_empty() {
        match take_varint(&mut message)? {
            STATUS => status = take_varint(&mut message)?,
            tag => skip(&mut message, tag & 7)?,
        }
    }
    Ok(Serving::from_number(status))
}

fn push_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(0x80 | number.to_le_bytes()[0]);
        number >>= 7;
    }
    message.push(number.to_le_bytes()[0]);
}

fn take_varint(message: &mut &[u8]) -> Result<u64, Malformed> {
    let mut number = 0;
    for place in 0..10 {
        let (&byte, rest) = message.split_first().ok_or(Malformed)?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Malformed)
}

fn skip(message: &mut &[u8], kind: u64) -> Result<(), Malformed> {
    let length = match kind {
        VARINT => return take_varint(message).map(drop),
        FIXED_64 => 8,
        FIXED_32 => 4,
        LENGTH => take_varint(message)?,
        _ => return Err(Malformed),
    };
    let length = usize::try_from(length).map_err(|_beyond| Malformed)?;
    *message = message.get(length..).ok_or(Malformed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_those_of_protoc() {
        assert_eq!(health_request(""), [0, 0, 0, 0, 0]);
        assert_eq!(health_request("shop"), b"\0\0\0\0\x06\x0a\x04shop");
        assert_eq!(health_status(b"\0\0\0\0\x02\x08\x01"), Ok(Serving::Serving));
        assert_eq!(health_status(b"\0\0\0\0\0"), Ok(Serving::Unknown));
        let further = b"\0\0\0\0\x0d\x12\x01x\x1d\0\0\0\0\x08\x02\x21";
        assert_eq!(health_status(further), Err(Malformed), "eight bytes are missing");
        assert_eq!(health_status(b"\0\0\0\0\x05\x12\x01x\x08\x02"), Ok(Serving::NotServing));
    }

    #[test]
    fn what_is_compressed_cut_or_too_long_is_malformed() {
        for bytes in [
            &b""[..],
            b"\0\0\0\0",
            b"\x01\0\0\0\x02\x08\x01",
            b"\0\0\0\0\x03\x08\x01",
            b"\0\0\0\0\x01\x08\x01",
            b"\0\0\0\0\x01\x08",
            b"\0\0\0\0\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\0\0\0\0\x02\x0f\x01",
        ] {
            assert_eq!(health_status(bytes), Err(Malformed), "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = health_status(&bytes);
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            let _ = health_status(&[&[0], &length[..], &bytes].concat());
        }
    }
}
