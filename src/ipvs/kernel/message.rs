//! Netlink messages: a header of sixteen bytes, generic netlink's four, attributes.

use super::abi::message;
use super::reply::Malformed;

const HEADER: usize = 16;
pub(super) const GENERIC_HEADER: usize = 4;

/// One message of a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The error number an answer ends with: 0 for success.
    ///
    /// An ERROR message always carries one; a DONE message without one means success.
    pub(super) fn error(&self) -> Result<i32, Malformed> {
        match self.payload.first_chunk::<4>() {
            Some(code) => Ok(i32::from_ne_bytes(*code).saturating_neg()),
            None if self.kind == message::DONE => Ok(0),
            None => Err(Malformed("an acknowledgement is too short")),
        }
    }

    /// Generic netlink's command and the attributes behind its header.
    pub(super) fn generic(&self) -> Result<(u8, &'a [u8]), Malformed> {
        let (header, attributes) = self
            .payload
            .split_first_chunk::<GENERIC_HEADER>()
            .ok_or(Malformed("a message is shorter than its header"))?;
        Ok((header[0], attributes))
    }

    pub(super) const fn is_interrupted(&self) -> bool {
        self.flags & message::DUMP_INTERRUPTED != 0
    }
}

/// The messages of a datagram, in order; ends after the first that is not whole.
pub(super) struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    pub(super) const fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }

    fn take(&mut self) -> Result<Message<'a>, Malformed> {
        let broken = Malformed("a message reaches beyond its datagram");
        let rest = std::mem::take(&mut self.rest);
        let (header, _) = rest.split_first_chunk::<HEADER>().ok_or(broken)?;
        let &[l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..] = header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]);
        let length = usize::try_from(length).ok().ok_or(broken)?;
        let payload = rest.get(HEADER..length).ok_or(broken)?;
        self.rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Ok(Message {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            payload,
        })
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.rest.is_empty()).then(|| self.take())
    }
}

/// What stands in front of a request's attributes.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) family: u16,
    pub(super) command: u8,
    pub(super) version: u8,
    pub(super) dump: bool,
    pub(super) sequence: u32,
}

/// Appends a message; `attributes` appends what it carries.
pub(super) fn write(out: &mut Vec<u8>, head: Head, attributes: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    let answer = if head.dump { message::DUMP } else { message::ACK };
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&head.family.to_ne_bytes());
    out.extend_from_slice(&(message::REQUEST | answer).to_ne_bytes());
    out.extend_from_slice(&head.sequence.to_ne_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&[head.command, head.version, 0, 0]);
    attributes(out);
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_ne_bytes());
}

/// Makes the message at the start of `bytes` one that is answered only if it is refused.
pub(super) fn ask_for_refusal_only(bytes: &mut [u8]) {
    const FLAGS: usize = 6;
    if let Some(flags) = bytes.get_mut(FLAGS..).and_then(|rest| rest.first_chunk_mut::<2>()) {
        *flags = (u16::from_ne_bytes(*flags) & !message::ACK).to_ne_bytes();
    }
}
