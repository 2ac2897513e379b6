use std::io::{Read, Write};
use std::net::TcpStream as StdStream;

use super::*;

/// A listener on a free port of loopback, beside daemons that do not run.
async fn lonely() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let source = Arc::new(Source::new("/nowhere/at/all".into()));
    tokio::spawn(accept(listener, source));
    address
}

async fn ask(address: SocketAddr, request: impl Into<Vec<u8>>) -> String {
    let request = request.into();
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = StdStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // Who is answered early may be cut off while it still sends.
        let _cut = stream.write_all(&request);
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    });
    asked.await.unwrap()
}

#[tokio::test]
async fn what_is_not_known_is_told_as_unknown_and_not_as_well() {
    let address = lonely().await;
    let metrics = ask(address, "GET /metrics HTTP/1.1\r\n\r\n").await;
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
    assert!(metrics.contains("\npiranha_up{daemon=\"lvs\"} 0\n"), "{metrics}");
    assert!(metrics.contains("\npiranha_node_state{state=\"unknown\"} 1\n"), "{metrics}");
    for path in ["/healthz", "/readyz"] {
        let answer = ask(address, format!("GET {path} HTTP/1.1\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_question_is_refused_with_the_reason() {
    let address = lonely().await;
    let requests = [
        ("POST /metrics HTTP/1.1\r\n\r\n".to_owned(), "405"),
        ("GET /secrets HTTP/1.1\r\n\r\n".to_owned(), "404"),
        ("no http at all\r\n\r\n".to_owned(), "400"),
        (format!("GET / HTTP/1.1\r\na: {}", "x".repeat(MAX_HEAD)), "431"),
    ];
    for (request, code) in requests {
        let answer = ask(address, request.clone()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{request:.40}: {answer}");
    }
    let head = ask(address, "HEAD /metrics HTTP/1.1\r\n\r\n").await;
    assert!(head.ends_with("\r\n\r\n") && head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[tokio::test]
async fn clients_that_say_nothing_keep_only_those_beyond_the_bound_out() {
    let address = lonely().await;
    let silent: Vec<_> = (1..MAX_CLIENTS).map(|_| StdStream::connect(address).unwrap()).collect();
    let answer = ask(address, "GET / HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let full = StdStream::connect(address).unwrap();
    let cut_off = async {
        while !ask(address, "GET / HTTP/1.1\r\n\r\n").await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, cut_off).await.unwrap();
    drop((silent, full));
    let served = async {
        while ask(address, "GET / HTTP/1.1\r\n\r\n").await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, served).await.unwrap();
}
