//! Attributes of rtnetlink: length, type, value, padded to four bytes.

const HEADER: usize = 4;
/// Above the type stand flags.
const TYPE_MASK: u16 = 0x3fff;

/// Bytes that do not say what they should.
#[derive(Clone, Copy, Debug)]
pub(super) struct Malformed;

/// The attributes in `bytes`, in order; ends after the first that is not whole.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes_at(rest, 0).ok()?));
        let kind = u16::from_ne_bytes(bytes_at(rest, 2).ok()?) & TYPE_MASK;
        let value = rest.get(HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Appends an attribute. Every value here is far below the 64 KiB that one can hold.
pub(super) fn write(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(HEADER + value.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// The first bytes of `bytes` from `start` on.
pub(super) fn bytes_at<const N: usize>(bytes: &[u8], start: usize) -> Result<[u8; N], Malformed> {
    let bytes = bytes.get(start..).and_then(<[u8]>::first_chunk);
    bytes.copied().ok_or(Malformed)
}

/// A string; the kernel ends it with a NUL.
pub(super) fn text(value: &[u8]) -> Option<Box<str>> {
    let value = value.strip_suffix(b"\0").unwrap_or(value);
    str::from_utf8(value).ok().map(Into::into)
}
