use crate::control::metrics::Format;

/// The longest head of a request that is read, in bytes.
pub(super) const MAX_HEAD: usize = 8 << 10;

/// The most fields of a head.
const MAX_FIELDS: usize = 64;

/// What a client asks, as far as it has been read.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Parsed {
    /// To be answered.
    Get { path: String, format: Format },
    /// To be answered without the body.
    Head { path: String, format: Format },
    /// Neither of these.
    OtherMethod,
    /// More is to come.
    Partial,
    /// More than is read.
    TooLong,
    /// Not HTTP.
    Bad,
}

/// Reads the head of a request of HTTP/1.
pub(super) fn parse(head: &[u8]) -> Parsed {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(httparse::Error::TooManyHeaders) => return Parsed::TooLong,
        Err(_) => return Parsed::Bad,
    }
    let (Some(method), Some(target)) = (request.method, request.path) else { return Parsed::Bad };
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let format = Format::wanted(accept(request.headers));
    match method {
        "GET" => Parsed::Get { path, format },
        "HEAD" => Parsed::Head { path, format },
        _ => Parsed::OtherMethod,
    }
}

fn accept<'a>(fields: &[httparse::Header<'a>]) -> &'a str {
    let accept = fields.iter().find(|field| field.name.eq_ignore_ascii_case("accept"));
    accept.and_then(|field| std::str::from_utf8(field.value).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_question_mark_ends_the_path_and_accept_chooses_the_format() {
        let head = b"GET /metrics?x=1 HTTP/1.1\r\nhost: a\r\n\
                     ACCEPT: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n\r\n";
        let (path, format) = ("/metrics".to_owned(), Format::OpenMetrics);
        assert_eq!(parse(head), Parsed::Get { path, format });
        let (path, format) = ("/healthz".to_owned(), Format::Text);
        assert_eq!(parse(b"HEAD /healthz HTTP/1.0\r\n\r\n"), Parsed::Head { path, format });
    }

    #[test]
    fn what_is_no_request_is_told_from_what_is_not_all_there() {
        assert_eq!(parse(b"GET /metrics HTTP/1.1\r\nhost"), Parsed::Partial);
        assert_eq!(parse(b"DELETE /metrics HTTP/1.1\r\n\r\n"), Parsed::OtherMethod);
        assert_eq!(parse(b"\x16\x03\x01\x02\x00\x01"), Parsed::Bad);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
        assert_eq!(parse(many.as_bytes()), Parsed::TooLong);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }
    }
}
