//! A stream in gzip (RFC 1952), message by message. Nothing but a checksum is kept between them: a
//! window for each page that is open would take more memory than all else.

use std::io::Write;

use bytes::Bytes;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// What is shorter is sent as it is.
const WORTHWHILE: usize = 1200;

/// The header: deflate, no name, no time, unknown system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The most bytes in a block that is not compressed (RFC 1951, 3.2.4).
const STORED: usize = 0xffff;

/// The sender's side of one stream.
#[derive(Debug, Default)]
pub(super) struct Squeeze {
    has_begun: bool,
    checksum: Crc,
}

impl Squeeze {
    /// The next bytes, which the other end can read without waiting for further ones.
    pub(super) fn message(&mut self, text: &[u8]) -> Bytes {
        let mut out = self.head();
        self.checksum.update(text);
        match compressed(text) {
            Some(blocks) => out.extend(blocks),
            None => text.chunks(STORED).for_each(|piece| store(piece, &mut out)),
        }
        out.into()
    }

    /// The last bytes.
    pub(super) fn end(mut self) -> Bytes {
        let mut out = self.head();
        // The last block, empty, of fixed codes.
        out.extend([3, 0]);
        out.extend(self.checksum.sum().to_le_bytes());
        out.extend(self.checksum.amount().to_le_bytes());
        out.into()
    }

    fn head(&mut self) -> Vec<u8> {
        if std::mem::replace(&mut self.has_begun, true) { Vec::new() } else { HEAD.to_vec() }
    }
}

/// Blocks that refer to nothing before them and end on a whole byte.
fn compressed(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() < WORTHWHILE {
        return None;
    }
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).ok()?;
    encoder.flush().ok()?;
    Some(std::mem::take(encoder.get_mut()))
}

fn store(piece: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
    out.push(0);
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(piece);
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn long(number: usize) -> String {
        (0..number).map(|n| format!("{{\"service-{n}\":{{\"active\":{n}}}}},")).collect()
    }

    #[test]
    fn every_message_can_be_read_when_it_came_and_the_whole_is_one_gzip_file() {
        let mut squeeze = Squeeze::default();
        let messages = [long(4000), "event: ping\n\n".to_owned(), long(300), "x".to_owned()];
        let (mut sent, mut expected) = (Vec::new(), String::new());
        for message in &messages {
            sent.extend(squeeze.message(message.as_bytes()));
            expected += message;
            let mut read = vec![0; expected.len()];
            GzDecoder::new(&sent[..]).read_exact(&mut read).unwrap();
            assert!(read == expected.as_bytes(), "{} bytes", expected.len());
        }
        sent.extend(squeeze.end());
        let mut read = String::new();
        GzDecoder::new(&sent[..]).read_to_string(&mut read).unwrap();
        assert!(read == expected && sent.len() * 4 < expected.len(), "{} bytes", sent.len());
    }

    #[test]
    fn what_cannot_be_compressed_and_a_stream_of_nothing_are_gzip_too() {
        let mixed = |n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes()[2];
        let noise: Vec<u8> = (0..200_000).map(mixed).collect();
        let mut out = Vec::new();
        noise.chunks(STORED).for_each(|piece| store(piece, &mut out));
        let mut sent = [HEAD.to_vec(), out].concat();
        sent.extend([3, 0]);
        let mut read = vec![0; noise.len()];
        GzDecoder::new(&sent[..]).read_exact(&mut read).unwrap();
        assert!(read == noise);
        let mut read = Vec::new();
        GzDecoder::new(&Squeeze::default().end()[..]).read_to_end(&mut read).unwrap();
        assert!(read.is_empty());
    }
}
