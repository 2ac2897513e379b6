/// The body of an HTTP/1.1 answer, as it arrives: the first bytes of it, chunks put together.
#[derive(Clone, Debug)]
pub struct Body {
    framing: Framing,
    kept: Vec<u8>,
    limit: usize,
    /// The beginning of a line between chunks.
    line: Vec<u8>,
}

/// How the end of the body is known (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// It ends with the connection.
    UntilClose,
    /// A line with the size of a chunk comes next.
    ChunkSize,
    /// So many bytes of a chunk are still to come, the line end behind it included.
    Chunk(u64),
    /// It is at its end, or cannot be read any further.
    Ended,
}

/// The longest line between chunks; extensions of chunks are the only long ones.
const LINE_LIMIT: usize = 256;

impl Framing {
    pub(super) fn of(code: u16, headers: &[httparse::Header<'_>]) -> Self {
        let value = |name: &str| {
            let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            header.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
        };
        if code < 200 || code == 204 || code == 304 {
            return Self::Length(0);
        }
        if let Some(coding) = value("transfer-encoding") {
            let chunked = coding.to_ascii_lowercase().ends_with("chunked");
            return if chunked { Self::ChunkSize } else { Self::UntilClose };
        }
        match value("content-length").map(str::parse) {
            Some(Ok(length)) => Self::Length(length),
            _ => Self::UntilClose,
        }
    }
}

impl Body {
    pub(super) const fn new(framing: Framing, limit: usize) -> Self {
        Self { framing, kept: Vec::new(), limit, line: Vec::new() }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_complete() {
            bytes = match self.framing {
                Framing::ChunkSize => self.chunk_size(bytes),
                Framing::Chunk(left) => self.chunk(left, bytes),
                Framing::Length(left) => {
                    let taken = self.keep(bytes, left);
                    self.framing = Framing::Length(left - taken as u64);
                    &bytes[taken..]
                }
                Framing::UntilClose => {
                    self.keep(bytes, u64::MAX);
                    &[]
                }
                Framing::Ended => &[],
            };
        }
    }

    /// What was kept of it so far.
    #[must_use]
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Whether nothing more is wanted: it is at its end or at its limit, or its chunks make no
    /// sense.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.kept.len() >= self.limit || matches!(self.framing, Framing::Ended | Framing::Length(0))
    }

    /// Keeps at most `most` of `bytes`, and returns how many.
    fn keep(&mut self, bytes: &[u8], most: u64) -> usize {
        let room = (self.limit - self.kept.len()).min(usize::try_from(most).unwrap_or(usize::MAX));
        let taken = bytes.len().min(room);
        self.kept.extend_from_slice(&bytes[..taken]);
        taken
    }

    fn chunk_size<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |end| end + 1);
        self.line.extend_from_slice(&bytes[..end]);
        if self.line.ends_with(b"\n") {
            self.framing = match httparse::parse_chunk_size(&self.line) {
                Ok(httparse::Status::Complete((_, size))) if size > 0 => {
                    Framing::Chunk(size.saturating_add(2))
                }
                _ => Framing::Ended,
            };
            self.line.clear();
        } else if self.line.len() > LINE_LIMIT {
            self.framing = Framing::Ended;
        }
        &bytes[end..]
    }

    fn chunk<'a>(&mut self, left: u64, bytes: &'a [u8]) -> &'a [u8] {
        const LINE_END: u64 = 2;
        let taken = match left {
            ..=LINE_END => bytes.len().min(usize::try_from(left).unwrap_or_default()),
            _ => self.keep(bytes, left - LINE_END),
        };
        self.framing = match left - taken as u64 {
            0 => Framing::ChunkSize,
            left => Framing::Chunk(left),
        };
        &bytes[taken..]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Answer;
    use super::*;

    /// The body of `answer`, which arrives in pieces of `size` bytes.
    fn body(answer: &[u8], size: usize, limit: usize) -> Body {
        let mut head = Answer::default();
        let mut pieces = answer.chunks(size);
        while let Some(piece) = pieces.next() {
            if head.push(piece).is_some() {
                let mut body = head.into_body(true, limit);
                pieces.for_each(|piece| body.push(piece));
                return body;
            }
        }
        panic!("no headers");
    }

    #[test]
    fn each_framing_ends_where_it_should() {
        let cases: [(&[u8], &[u8], bool); 6] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", b"abc", true),
            (b"HTTP/1.1 200 OK\r\n\r\nabcdef", b"abcdef", false),
            (b"HTTP/1.1 204 OK\r\n\r\nabcdef", b"", true),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                b"abcde",
                true,
            ),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", b"", true),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
                b"abc",
                false,
            ),
        ];
        for (answer, wanted, complete) in cases {
            for size in [1, 2, 7, 1000] {
                let body = body(answer, size, 1000);
                assert_eq!((body.kept(), body.is_complete()), (wanted, complete), "{size}");
            }
        }
    }

    #[test]
    fn a_body_behind_the_largest_headers_is_whole() {
        let padding = "x".repeat(Answer::LIMIT - 30);
        let answer = format!("HTTP/1.1 200 OK\r\nA: {padding}\r\n\r\n{}", "body".repeat(100));
        let headers = answer.len() - 400;
        assert!(headers <= Answer::LIMIT && headers + 100 > Answer::LIMIT);
        assert_eq!(body(answer.as_bytes(), 5000, 1000).kept(), "body".repeat(100).as_bytes());
        let mut head = Answer::default();
        assert_eq!(head.push(answer.as_bytes()), Some(Ok(200)));
        assert_eq!(head.received(), Answer::LIMIT);
    }

    #[test]
    fn no_more_than_the_limit_is_kept() {
        let answer = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'x'; 10_000]].concat();
        let body = body(&answer, 999, 100);
        assert_eq!((body.kept().len(), body.is_complete()), (100, true));
    }

    proptest! {
        #[test]
        fn chunks_are_put_together_however_they_are_cut(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6),
            size in 1..50_usize,
        ) {
            let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n".to_vec();
            for chunk in &chunks {
                answer.extend(format!("{:x}\r\n", chunk.len()).bytes());
                answer.extend(chunk);
                answer.extend(b"\r\n");
            }
            answer.extend(b"0\r\n\r\n");
            let body = body(&answer, size, 1 << 16);
            prop_assert_eq!(body.kept(), chunks.concat());
            prop_assert!(body.is_complete());
        }
    }
}
