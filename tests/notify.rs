//! Webhooks and mail, told by a notifier over real sockets.
#![cfg(feature = "cli")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests are about input and output"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use piranha::config::{Config, load};
use piranha::control::Event;
use piranha::health::Health;
use piranha::runtime::notify::{Notifier, test as try_out};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

#[path = "checks/certificates.rs"]
mod certificates;

use certificates::{file, secret};

/// Long enough for anything that works.
const AMPLE: Duration = Duration::from_secs(20);

fn config(extra: &str) -> Config {
    let text = format!(
        "primary = 192.0.2.11\nnotify_name = web\n{extra}\nvirtual shop {{\n  active = 1\n  \
         address = 192.0.2.80 eth0:1\n  server s1 {{\n    active = 1\n    address = 10.0.0.1\n  \
         }}\n}}\nvirtual quiet {{\n  active = 1\n  notify = 0\n  address = 192.0.2.81 eth0:1\n  \
         server s1 {{\n    active = 1\n    address = 10.0.0.1\n  }}\n}}\n"
    );
    let loaded = load(text.as_bytes());
    loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn down(service: &str) -> Event {
    Event::Health {
        service: service.to_owned(),
        server: "s1".to_owned(),
        address: "10.0.0.1:80".parse().unwrap(),
        from: Health::Up,
        to: Health::Down,
        reason: "connection refused".to_owned(),
    }
}

fn notifier(config: &Config) -> Notifier {
    let notifier = Notifier::start().unwrap();
    notifier.configure(config);
    notifier
}

async fn next<T>(received: &mut mpsc::UnboundedReceiver<T>) -> T {
    tokio::time::timeout(AMPLE, received.recv()).await.unwrap().unwrap()
}

fn acceptor() -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(file("server.pem")).unwrap();
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
}

/// A request, headers and body apart.
type Request = (String, serde_json::Value);

/// Answers requests with `statuses` in turn, the last one for ever.
async fn web_server(
    statuses: &'static [u16],
    tls: Option<TlsAcceptor>,
) -> (SocketAddr, mpsc::UnboundedReceiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut statuses = statuses.iter().copied().peekable();
        let mut status = 200;
        while let Ok((stream, _)) = listener.accept().await {
            status = statuses.next().unwrap_or(status);
            let request = match &tls {
                None => answer(stream, status).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => answer(stream, status).await,
                    Err(_) => None,
                },
            };
            request.map(|request| sender.send(request));
        }
    });
    (address, received)
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, status: u16) -> Option<Request> {
    let mut reader = BufReader::new(&mut stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?;
    let mut body = vec![0; length.parse().ok()?];
    reader.read_exact(&mut body).await.ok()?;
    let reply = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(reply.as_bytes()).await.ok()?;
    let _ = stream.shutdown().await;
    Some((head, serde_json::from_slice(&body).ok()?))
}

#[tokio::test]
async fn a_webhook_gets_events_as_json_with_the_token_of_a_file() {
    let (address, mut requests) = web_server(&[204], None).await;
    let (_directory, token) = secret(b"s3cret\n");
    let extra =
        format!("notify_webhook = http://{address}/a?b=c\nnotify_auth = {}", token.display());
    let notifier = notifier(&config(&extra));
    notifier.tell(down("quiet"));
    notifier.tell(down("shop"));
    let (head, body) = next(&mut requests).await;
    assert!(head.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("Authorization: Bearer s3cret\r\n"), "{head}");
    assert!(head.contains("Content-Type: application/json\r\n"), "{head}");
    let event = &body["events"][0];
    assert_eq!(event["event"]["health"]["service"], "shop");
    assert_eq!((&event["topic"], &event["cluster"]), (&"health".into(), &"web".into()));
    assert!(body["text"].as_str().unwrap().contains("shutting down 10.0.0.1:80 (shop/s1)"));
    notifier.finish(AMPLE).await;
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn what_a_webhook_refuses_is_posted_again() {
    let (address, mut requests) = web_server(&[503, 200], None).await;
    let notifier = notifier(&config(&format!("notify_webhook = http://{address}/")));
    notifier.tell(down("shop"));
    let (_, refused) = next(&mut requests).await;
    notifier.finish(AMPLE).await;
    let (_, taken) = next(&mut requests).await;
    assert_eq!(refused["events"], taken["events"]);
}

#[tokio::test]
async fn a_webhook_is_told_only_if_its_certificate_is_trusted() {
    let (address, mut requests) = web_server(&[200], Some(acceptor())).await;
    let url = format!("notify_webhook = https://127.0.0.1:{}/\n", address.port());
    let distrusted = try_out(&config(&url), None).await;
    assert!(distrusted[0].result.as_ref().unwrap_err().contains("TLS"), "{distrusted:?}");
    assert!(requests.try_recv().is_err());
    let trusted = format!("{url}notify_ca = {}\n", file("ca.pem").display());
    let told = try_out(&config(&trusted), Some("notify_webhook")).await;
    assert_eq!(told[0].result, Ok("told"), "{told:?}");
    let (_, body) = next(&mut requests).await;
    assert!(body["text"].as_str().unwrap().contains("this is a test"));
}

/// A relay that writes down what it hears; with STARTTLS where there is a certificate.
async fn relay(tls: Option<TlsAcceptor>) -> (SocketAddr, mpsc::UnboundedReceiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let heard = serve_mail(stream, tls.as_ref()).await;
            let _ = sender.send(heard);
        }
    });
    (address, received)
}

async fn serve_mail(stream: TcpStream, tls: Option<&TlsAcceptor>) -> Vec<String> {
    let mut heard = Vec::new();
    let mut stream = BufReader::new(stream);
    let _ = stream.write_all(b"220-hello\r\n220 there\r\n").await;
    let offers = if tls.is_some() { "250-relay\r\n250 STARTTLS\r\n" } else { "250 relay\r\n" };
    if !converse(&mut stream, offers, &mut heard).await {
        return heard;
    }
    let Some(tls) = tls else { return heard };
    if let Ok(stream) = tls.accept(stream.into_inner()).await {
        let offers = "250-relay\r\n250 AUTH LOGIN PLAIN\r\n";
        converse(&mut BufReader::new(stream), offers, &mut heard).await;
    }
    heard
}

/// Whether TLS is to be started.
async fn converse(
    stream: &mut (impl AsyncBufReadExt + AsyncWrite + Unpin),
    offers: &str,
    heard: &mut Vec<String>,
) -> bool {
    let mut in_text = false;
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|length| length > 0) {
        let said = line.trim_end().to_owned();
        line.clear();
        let answer = match said.split([' ', ':']).next() {
            _ if in_text && said == "." => "250 taken\r\n",
            _ if in_text => "",
            Some("EHLO") => offers,
            Some("STARTTLS") => "220 go ahead\r\n",
            Some("AUTH") => "235 welcome\r\n",
            Some("DATA") => "354 end with a full stop\r\n",
            Some("QUIT") => "221 bye\r\n",
            _ => "250 fine\r\n",
        };
        in_text = said == "DATA" || (in_text && said != ".");
        let starts_tls = !in_text && said == "STARTTLS";
        heard.push(said);
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.flush().await;
        if starts_tls {
            return true;
        }
    }
    false
}

fn text_of(heard: &[String]) -> String {
    let behind = heard.iter().skip_while(|line| !line.is_empty()).skip(1);
    let encoded: String = behind.take_while(|line| *line != ".").cloned().collect();
    String::from_utf8(decode(&encoded)).unwrap()
}

fn decode(base64: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<_> = base64.bytes().filter(|&byte| byte != b'=').map(value).collect();
    let bits = |group: &[u8]| group.iter().fold(0_u32, |bits, &digit| bits << 6 | u32::from(digit));
    let bytes = digits.chunks(4).flat_map(|group| {
        let whole = bits(group) << (6 * (4 - group.len()));
        whole.to_be_bytes()[1..group.len()].to_vec()
    });
    bytes.collect()
}

#[tokio::test]
async fn events_that_come_together_are_one_mail_after_starttls_and_a_login() {
    let (address, mut mails) = relay(Some(acceptor())).await;
    let (_directory, login) = secret(b"ann:pass:word\n");
    let extra = format!(
        "notify_mail = ops@example.org, boss@example.org\nnotify_from = lvs@example.org\n\
         notify_smtp = 127.0.0.1:{}\nnotify_smtp_auth = {}\nnotify_ca = {}\nnotify_group = 500ms",
        address.port(),
        login.display(),
        file("ca.pem").display()
    );
    let notifier = notifier(&config(&extra));
    notifier.tell(down("shop"));
    notifier.tell(Event::ReloadFailed { reason: "lvs.cf:3:1: é".to_owned() });
    let heard = next(&mut mails).await;
    let starttls = heard.iter().position(|line| line == "STARTTLS").unwrap();
    let auth = heard.iter().position(|line| line.starts_with("AUTH PLAIN ")).unwrap();
    assert!(starttls < auth);
    assert_eq!(decode(&heard[auth][11..]), b"\0ann\0pass:word");
    for line in
        ["MAIL FROM:<lvs@example.org>", "RCPT TO:<ops@example.org>", "RCPT TO:<boss@example.org>"]
    {
        assert!(heard.iter().any(|heard| heard == line), "{heard:?}");
    }
    let subject = heard.iter().find(|line| line.starts_with("Subject: [web] ")).unwrap();
    assert!(subject.ends_with("(shop/s1) (and 1 more)"), "{subject}");
    let text = text_of(&heard);
    assert!(text.contains("Z nanny: [inactive] shutting down 10.0.0.1:80 (shop/s1) (connection"));
    assert!(text.contains("Z lvs: configuration refused") && text.contains("3:1: é"), "{text}");
    notifier.finish(AMPLE).await;
    assert!(mails.try_recv().is_err());
}

#[tokio::test]
async fn a_relay_without_starttls_gets_neither_login_nor_mail() {
    let (address, mut mails) = relay(None).await;
    let extra = format!(
        "notify_mail = ops@example.org\nnotify_from = lvs@example.org\nnotify_smtp = {address}\n"
    );
    let refused = try_out(&config(&extra), None).await;
    let reason = refused[0].result.as_ref().unwrap_err();
    assert!(!reason.is_empty(), "{reason}");
    let heard = next(&mut mails).await;
    assert!(!heard.iter().any(|line| line.starts_with("MAIL")), "{heard:?}");
    let clear = format!("{extra}notify_smtp_tls = off\n");
    assert_eq!(try_out(&config(&clear), None).await[0].result, Ok("told"));
    assert!(text_of(&next(&mut mails).await).contains("this is a test"));
}

#[tokio::test]
async fn services_have_readers_of_their_own() {
    let (address, mut mails) = relay(None).await;
    let extra = format!(
        "notify_mail = ops@example.org\nnotify_from = lvs@example.org\nnotify_smtp = {address}\n\
         notify_smtp_tls = off\nnotify_group = 0"
    );
    let mut text = config(&extra);
    text.virtuals[0].notify_mail = vec!["shop@example.org".to_owned()];
    let notifier = notifier(&text);
    notifier.tell(down("shop"));
    let heard = next(&mut mails).await;
    let readers: Vec<_> = heard.iter().filter(|line| line.starts_with("RCPT")).collect();
    assert_eq!(readers, ["RCPT TO:<shop@example.org>"]);
    notifier.tell(Event::ReloadFailed { reason: "no".to_owned() });
    let heard = next(&mut mails).await;
    assert!(heard.contains(&"RCPT TO:<ops@example.org>".to_owned()), "{heard:?}");
}

#[tokio::test]
async fn receivers_that_never_answer_hold_nobody_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let notifier = notifier(&config(&format!("notify_webhook = http://{address}/")));
    let begun = std::time::Instant::now();
    (0..100_000).for_each(|_| notifier.tell(down("shop")));
    assert!(begun.elapsed() < AMPLE, "telling takes no waiting");
    notifier.finish(Duration::from_millis(100)).await;
}
