//! Checks against the servers that people run, from Debian's packages, on loopback.
//!
//! A test whose server is not installed says so and passes; with `PIRANHA_CHECK_SERVERS=require`,
//! as `tests/run checks` sets it, it fails.

#[path = "real/databases.rs"]
mod databases;
#[path = "real/services.rs"]
mod services;
#[path = "real/unpacked.rs"]
mod unpacked;

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use piranha::health::{
    Application, ApplicationSpec, BodyExpect, Check, CheckSpec, DnsSpec, Failure, HttpSpec,
    HttpVersion, Security, TlsSpec,
};
use piranha::net::Protocol;
use piranha::runtime::checks::build;
use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::certificates::{file, secret};
use crate::{AMPLE, LOCALHOSTS, probe, why};

/// A server with a directory of its own. It is killed and its directory removed at the end.
struct Server {
    process: Child,
    directory: tempfile::TempDir,
}

impl Server {
    /// Sends a signal to it and its children: it leads a group of its own.
    fn signal(&self, signal: Signal) {
        let group = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let begun = Instant::now();
        while self.process.try_wait().is_ok_and(|end| end.is_none()) {
            if begun.elapsed() > Duration::from_secs(5) {
                self.signal(Signal::KILL);
                let _ = self.process.wait();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Where the program is, or `None` and a word on what is not tested.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let mut places = vec![PathBuf::from("/usr/sbin"), "/usr/bin".into()];
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    places.extend(versions.map(|version| version.path().join("bin")));
    let found = places.into_iter().map(|place| place.join(program)).find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("PIRANHA_CHECK_SERVERS").is_none(), "{program} is missing");
        eprintln!("NOT RUN: {program} is not installed");
    }
    found
}

/// A directory that every user may enter, with the server's certificate and key in it.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    for name in ["server.pem", "server.key"] {
        fs::copy(file(name), path.join(name)).unwrap();
        fs::set_permissions(path.join(name), Permissions::from_mode(0o644)).unwrap();
    }
    directory
}

/// A port that is free at this moment, and its address.
fn free_port() -> SocketAddr {
    StdListener::bind((LOCALHOSTS[0], 0)).unwrap().local_addr().unwrap()
}

/// Starts `command`.
fn start_with(mut command: Command, directory: tempfile::TempDir) -> Server {
    use std::os::unix::process::CommandExt;
    let output = fs::File::create(directory.path().join("log")).unwrap();
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    let process = command.process_group(0).spawn().unwrap();
    Server { process, directory }
}

/// Starts `command` and waits until it takes connections on `address`.
async fn start(command: Command, directory: tempfile::TempDir, address: SocketAddr) -> Server {
    let name = command.get_program().to_owned();
    let log = directory.path().join("log");
    let mut server = start_with(command, directory);
    let begun = Instant::now();
    while TcpStream::connect(address).await.is_err() {
        let ended = server.process.try_wait().unwrap();
        let text = || fs::read_to_string(&log).unwrap_or_default();
        assert!(ended.is_none(), "{name:?} ended: {ended:?}\n{}", text());
        assert!(begun.elapsed() < Duration::from_secs(60), "{name:?} is slow\n{}", text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server
}

fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn tls() -> TlsSpec {
    let mut tls = TlsSpec::default();
    tls.ca = Some(file("ca.pem"));
    tls
}

fn plain(application: Application) -> CheckSpec {
    CheckSpec::Application(ApplicationSpec::new(application))
}

fn with(application: Application, security: Security) -> CheckSpec {
    CheckSpec::Application(ApplicationSpec::new(application).with_security(security))
}

fn login(application: Application, auth: &Path) -> CheckSpec {
    CheckSpec::Application(ApplicationSpec::new(application).with_auth(Some(auth.to_owned())))
}

/// The owner of files that a server which drops root is to write.
fn give_to(user: &str, path: &Path) {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.starts_with(&format!("{user}:"))).unwrap();
    let numbers: Vec<u32> = line.split(':').skip(2).take(2).map(|n| n.parse().unwrap()).collect();
    chown(path, Some(numbers[0]), Some(numbers[1])).unwrap();
}

fn is_root() -> bool {
    let root = rustix::process::getuid().is_root();
    if !root {
        assert!(std::env::var_os("PIRANHA_CHECK_SERVERS").is_none(), "this needs root");
        eprintln!("NOT RUN: this server needs root");
    }
    root
}

fn nginx_configuration(path: &str, [http, clear, https, expired]: [SocketAddr; 4]) -> String {
    format!(
        "daemon off; master_process off; pid {path}/pid; error_log stderr;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path {path}/b; proxy_temp_path {path}/p; fastcgi_temp_path {path}/f;
            uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;
            server {{
                listen {expired} ssl;
                ssl_certificate {}; ssl_certificate_key {};
            }}
            server {{
                listen {http};
                listen {clear} http2;
                listen {https} ssl http2;
                ssl_certificate {path}/server.pem; ssl_certificate_key {path}/server.key;
                location / {{ return 200 \"all is well with $host\"; }}
                location /broken {{ return 503; }}
                location /json {{ return 200 '{{\"shop\": [{{\"up\": true}}]}}'; }}
                location /secret {{
                    auth_basic x; auth_basic_user_file {path}/users; alias {path}/server.pem;
                }}
            }}
        }}",
        file("expired.pem").display(),
        file("expired.key").display()
    )
}

#[tokio::test]
async fn nginx() {
    let Some(program) = installed("nginx") else { return };
    let (directory, http, https) = (directory(), free_port(), free_port());
    let (clear, expired) = (free_port(), free_port());
    let path = directory.path().display().to_string();
    fs::write(directory.path().join("users"), "ann:{PLAIN}hunter2\n").unwrap();
    fs::set_permissions(directory.path().join("users"), Permissions::from_mode(0o644)).unwrap();
    let configuration = nginx_configuration(&path, [http, clear, https, expired]);
    fs::write(directory.path().join("conf"), configuration).unwrap();
    let command = command(&program, &["-e", "stderr", "-c", &format!("{path}/conf")]);
    let server = start(command, directory, http).await;

    let spec = |change: &dyn Fn(&mut HttpSpec)| {
        let mut spec = HttpSpec::default();
        change(&mut spec);
        CheckSpec::Http(spec)
    };
    let expect = BodyExpect::Contains(b"well with shop".into());
    let body = spec(&|spec| {
        (spec.host, spec.expect) = (Some("shop".into()), Some(expect.clone()));
    });
    assert_eq!(probe(&body, http, AMPLE).await, Ok(()));
    let broken = spec(&|spec| spec.path = "/broken".into());
    assert!(why(&broken, http, AMPLE).await.ends_with("got 503"));
    let (_directory, auth) = secret(b"ann:hunter2");
    let secret = |auth: Option<&Path>| {
        spec(&|spec| {
            (spec.path, spec.auth) = ("/secret".into(), auth.map(Into::into));
            spec.status = "200".parse().unwrap();
        })
    };
    assert_eq!(probe(&secret(Some(&auth)), http, AMPLE).await, Ok(()));
    assert!(why(&secret(None), http, AMPLE).await.ends_with("got 401"));
    assert_eq!(probe(&spec(&|spec| spec.method = "HEAD".into()), http, AMPLE).await, Ok(()));
    let http2 = |change: &dyn Fn(&mut HttpSpec)| {
        spec(&|spec| {
            spec.version = HttpVersion::Http2;
            change(spec);
        })
    };
    if cfg!(feature = "http2") {
        let json = |spec: &mut HttpSpec| {
            (spec.path, spec.json) = ("/json".into(), vec!["/shop/0/up true".parse().unwrap()]);
        };
        assert_eq!(probe(&http2(&json), clear, AMPLE).await, Ok(()));
        assert_eq!(probe(&spec(&json), http, AMPLE).await, Ok(()));
        let broken = http2(&|spec| spec.path = "/broken".into());
        assert!(why(&broken, clear, AMPLE).await.ends_with("got 503"));
        let mixed = why(&http2(&|_| ()), http, AMPLE).await;
        assert!(mixed.contains("does the server speak HTTP/2?"), "{mixed}");
    }
    if cfg!(all(feature = "tls", feature = "http2")) {
        let secure = http2(&|spec| spec.tls = Some(tls()));
        assert_eq!(probe(&secure, https, AMPLE).await, Ok(()));
    }
    if cfg!(feature = "tls") {
        assert_eq!(probe(&spec(&|spec| spec.tls = Some(tls())), https, AMPLE).await, Ok(()));
        let stranger = spec(&|spec| spec.tls = Some(TlsSpec::default()));
        assert!(why(&stranger, https, AMPLE).await.contains("UnknownIssuer"));
        let over = spec(&|spec| spec.tls = Some(tls()));
        assert!(why(&over, expired, AMPLE).await.ends_with("Expired"));
    }
    hangs_and_goes(server, &spec(&|_| ()), http).await;
}

#[tokio::test]
async fn redis() {
    let Some(program) = installed("redis-server") else { return };
    let (directory, address, secure) = (directory(), free_port(), free_port());
    let port = address.port().to_string();
    let path = directory.path().display().to_string();
    let mut command = command(&program, &["--port", &port, "--bind", "127.0.0.1", "--save", ""]);
    command.args(["--dir", &path, "--requirepass", "hunter2"]);
    command.args(["--tls-port", &secure.port().to_string(), "--tls-auth-clients", "no"]);
    command.args(["--tls-cert-file", &format!("{path}/server.pem")]);
    command.args(["--tls-key-file", &format!("{path}/server.key")]);
    command.arg("--tls-ca-cert-file").arg(file("ca.pem"));
    let server = start(command, directory, address).await;
    let (_right, right) = secret(b"hunter2");
    let (_wrong, wrong) = secret(b"hunter3");
    assert_eq!(probe(&login(Application::Redis, &right), address, AMPLE).await, Ok(()));
    let refused = why(&login(Application::Redis, &wrong), address, AMPLE).await;
    assert!(refused.starts_with("expected +OK after AUTH, got \"-WRONGPASS"), "{refused}");
    let without = why(&plain(Application::Redis), address, AMPLE).await;
    assert!(without.contains("-NOAUTH"), "{without}");
    if cfg!(feature = "tls") {
        let spec = ApplicationSpec::new(Application::Redis).with_auth(Some(right.clone()));
        let check = CheckSpec::Application(spec.with_security(Security::Tls(tls())));
        assert_eq!(probe(&check, secure, AMPLE).await, Ok(()));
        let stranger = with(Application::Redis, Security::Tls(TlsSpec::default()));
        assert!(why(&stranger, secure, AMPLE).await.contains("UnknownIssuer"));
    }
    hangs_and_goes(server, &login(Application::Redis, &right), address).await;
}

/// Waits until a check passes: a server may take connections before it is ready.
async fn ready(spec: &CheckSpec, address: SocketAddr) {
    ready_over(Protocol::Tcp, spec, address).await;
}

async fn ready_over(protocol: Protocol, spec: &CheckSpec, address: SocketAddr) {
    let begun = Instant::now();
    let check = build(spec, protocol).unwrap();
    while let Err(failure) = check.probe(address, Duration::from_secs(2)).await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{failure}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A server that is stopped keeps silent, passes again when it goes on, and is refused when it is
/// gone.
async fn hangs_and_goes(server: Server, spec: &CheckSpec, address: SocketAddr) {
    hangs_and_goes_over(Protocol::Tcp, server, spec, address).await;
}

async fn hangs_and_goes_over(
    protocol: Protocol,
    server: Server,
    spec: &CheckSpec,
    address: SocketAddr,
) {
    let check = build(spec, protocol).unwrap();
    server.signal(Signal::STOP);
    // Its threads stop one by one, and its children may outlive it for a moment.
    let hung = |verdict: &_| matches!(verdict, Err(Failure::TimedOut { .. }));
    comes_to(&*check, address, hung).await;
    server.signal(Signal::CONT);
    ready_over(protocol, spec, address).await;
    drop(server);
    comes_to(&*check, address, |verdict| *verdict == Err(Failure::Refused)).await;
}

/// Checks until the verdict is as wanted.
async fn comes_to(
    check: &dyn Check,
    address: SocketAddr,
    wanted: impl Fn(&Result<(), Failure>) -> bool,
) {
    let begun = Instant::now();
    loop {
        let verdict = check.probe(address, Duration::from_millis(500)).await;
        if wanted(&verdict) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{verdict:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// TLS is spoken with a certificate that is good, and one that nobody vouches for or that is for
/// another name fails the check.
async fn is_verified(application: Application, over: fn(TlsSpec) -> Security, address: SocketAddr) {
    if !cfg!(feature = "tls") {
        return;
    }
    let check = |tls| with(application, over(tls));
    assert_eq!(probe(&check(tls()), address, AMPLE).await, Ok(()));
    let stranger = why(&check(TlsSpec::default()), address, AMPLE).await;
    assert!(stranger.contains("UnknownIssuer"), "{stranger}");
    let mut other = tls();
    other.name = Some("other.example.org".into());
    let other = why(&check(other), address, AMPLE).await;
    assert!(other.contains("not valid for name"), "{other}");
}

#[tokio::test]
async fn openldap() {
    let Some(program) = installed("slapd") else { return };
    let (directory, address, secure) = (directory(), free_port(), free_port());
    let path = directory.path().display().to_string();
    fs::create_dir(directory.path().join("data")).unwrap();
    let configuration = format!(
        "include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
         pidfile {path}/pid\nTLSCertificateFile {path}/server.pem\n\
         TLSCertificateKeyFile {path}/server.key\nTLSCACertificateFile {}\n\
         database mdb\nsuffix dc=example,dc=org\nrootdn cn=admin,dc=example,dc=org\n\
         rootpw hunter2\ndirectory {path}/data\n",
        file("ca.pem").display()
    );
    fs::write(directory.path().join("conf"), configuration).unwrap();
    let urls = format!("ldap://{address} ldaps://{secure}");
    let command = command(&program, &["-d", "0", "-h", &urls, "-f", &format!("{path}/conf")]);
    let server = start(command, directory, address).await;
    assert_eq!(probe(&plain(Application::Ldap), address, AMPLE).await, Ok(()));
    let (_right, right) = secret(b"cn=admin,dc=example,dc=org:hunter2");
    assert_eq!(probe(&login(Application::Ldap, &right), address, AMPLE).await, Ok(()));
    let (_wrong, wrong) = secret(b"cn=admin,dc=example,dc=org:hunter3");
    let refused = why(&login(Application::Ldap, &wrong), address, AMPLE).await;
    assert_eq!(refused, r#"expected success after the bind, got "result 49""#);
    is_verified(Application::Ldap, Security::Tls, secure).await;
    is_verified(Application::Ldap, Security::StartTls, address).await;
    if cfg!(feature = "tls") {
        let check = with(Application::Ldap, Security::StartTls(tls()));
        let again = why(&check, secure, Duration::from_secs(2)).await;
        assert!(!again.is_empty(), "TLS is spoken there already");
    }
    hangs_and_goes(server, &plain(Application::Ldap), address).await;
}

#[tokio::test]
async fn unbound() {
    let Some(program) = installed("unbound") else { return };
    let (directory, address) = (directory(), free_port());
    let path = directory.path().display().to_string();
    let configuration = format!(
        "server:\n interface: 127.0.0.1@{}\n do-daemonize: no\n chroot: \"\"\n username: \"\"\n \
         use-syslog: no\n pidfile: \"{path}/pid\"\n directory: \"{path}\"\n module-config: iterator\n \
         local-zone: \".\" static\n local-data: \". NS ns.example.org.\"\n \
         local-data: \"www.example.org. A 192.0.2.80\"\n \
         local-data: \"www.example.org. A 192.0.2.81\"\n \
         local-data: \"example.org. MX 10 mail.example.org.\"\nremote-control:\n control-enable: no\n",
        address.port()
    );
    fs::write(directory.path().join("conf"), configuration).unwrap();
    let command = command(&program, &["-d", "-c", &format!("{path}/conf")]);
    let server = start(command, directory, address).await;
    let ask = |name: &str, record: &str, expect: Option<&str>| {
        let mut spec = DnsSpec::default();
        (spec.name, spec.record) = (name.to_owned(), record.to_owned());
        spec.expect = expect.map(str::to_owned);
        CheckSpec::Dns(spec)
    };
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let verdict = async |spec: CheckSpec| {
            build(&spec, protocol).unwrap().probe(address, AMPLE).await.map_err(|f| f.to_string())
        };
        assert_eq!(verdict(CheckSpec::Dns(DnsSpec::default())).await, Ok(()));
        assert_eq!(verdict(ask("WWW.example.org", "a", Some("192.0.2.81"))).await, Ok(()));
        let mail = Some("10 MAIL.example.org");
        assert_eq!(verdict(ask("example.org.", "MX", mail)).await, Ok(()));
        let other = verdict(ask("www.example.org", "A", Some("192.0.2.82"))).await.unwrap_err();
        assert!(other.contains("192.0.2.80") && other.contains("expected 192.0.2.82"), "{other}");
        let none = verdict(ask("no.example.org", "A", None)).await.unwrap_err();
        assert!(none.contains("an answer without an error"), "{none}");
    }
    let check = CheckSpec::Dns(DnsSpec::default());
    hangs_and_goes_over(Protocol::Udp, server, &check, address).await;
}

#[tokio::test]
async fn vsftpd() {
    let Some(program) = installed("vsftpd") else { return };
    if !is_root() {
        return;
    }
    let (directory, address) = (directory(), free_port());
    let path = directory.path().display().to_string();
    fs::create_dir(directory.path().join("empty")).unwrap();
    let configuration = format!(
        "listen=YES\nlisten_address=127.0.0.1\nlisten_port={}\nbackground=NO\n\
         anonymous_enable=YES\nsecure_chroot_dir={path}/empty\nanon_root={path}/empty\n\
         ssl_enable=YES\nallow_anon_ssl=YES\nrsa_cert_file={path}/server.pem\n\
         rsa_private_key_file={path}/server.key\nssl_ciphers=HIGH\nsession_support=NO\n\
         seccomp_sandbox=NO\nmax_clients=3\n",
        address.port()
    );
    fs::write(directory.path().join("conf"), configuration).unwrap();
    let command = command(&program, &[&format!("{path}/conf")]);
    let server = start(command, directory, address).await;
    let check = plain(Application::Ftp);
    ready(&check, address).await;
    is_verified(Application::Ftp, Security::StartTls, address).await;
    // Those that left may count for a moment still.
    let (mut held, begun) = (Vec::new(), Instant::now());
    let full = loop {
        held.push(TcpStream::connect(address).await.unwrap());
        match probe(&check, address, AMPLE).await {
            Err(failure) => break failure.to_string(),
            Ok(()) => assert!(begun.elapsed() < AMPLE, "there is always room"),
        }
    };
    assert!(full.contains("as a greeting, got \"421 "), "{full}");
    drop(held);
    ready(&check, address).await;
    hangs_and_goes(server, &check, address).await;
}

#[tokio::test]
async fn dovecot() {
    let Some(program) = installed("dovecot") else { return };
    if !is_root() {
        return;
    }
    let (directory, imap, pop3) = (directory(), free_port(), free_port());
    let secure = free_port();
    let path = directory.path().display().to_string();
    let configuration = format!(
        "base_dir = {path}/run\nstate_dir = {path}/state\nprotocols = imap pop3\n\
         log_path = /dev/stderr\nssl = yes\nssl_cert = <{path}/server.pem\n\
         ssl_key = <{path}/server.key\npassdb {{\n driver = static\n args = password=x\n}}\n\
         userdb {{\n driver = static\n args = uid=nobody gid=nogroup home={path}\n}}\n\
         service imap-login {{\n inet_listener imap {{\n  address = 127.0.0.1\n  port = {}\n }}\n \
         inet_listener imaps {{\n  address = 127.0.0.1\n  port = {}\n }}\n}}\n\
         service pop3-login {{\n inet_listener pop3 {{\n  address = 127.0.0.1\n  port = {}\n }}\n \
         inet_listener pop3s {{\n  port = 0\n }}\n}}\n",
        imap.port(),
        secure.port(),
        pop3.port()
    );
    fs::write(directory.path().join("conf"), configuration).unwrap();
    let command = command(&program, &["-F", "-c", &format!("{path}/conf")]);
    let server = start(command, directory, imap).await;
    ready(&plain(Application::Imap), imap).await;
    ready(&plain(Application::Pop3), pop3).await;
    let confused = why(&plain(Application::Imap), pop3, AMPLE).await;
    assert!(confused.starts_with("expected * OK or * PREAUTH as a greeting, got \"+OK"));
    is_verified(Application::Imap, Security::Tls, secure).await;
    is_verified(Application::Imap, Security::StartTls, imap).await;
    is_verified(Application::Pop3, Security::StartTls, pop3).await;
    hangs_and_goes(server, &plain(Application::Imap), imap).await;
    assert_eq!(why(&plain(Application::Pop3), pop3, AMPLE).await, "connection refused");
}

#[tokio::test]
async fn exim() {
    let Some(program) = installed("exim4") else { return };
    if !is_root() {
        return;
    }
    let (directory, address) = (directory(), free_port());
    let path = directory.path().display().to_string();
    give_to("Debian-exim", directory.path());
    let configuration = format!(
        "primary_hostname = mail.example.org\nspool_directory = {path}\n\
         log_file_path = {path}/%slog\npid_file_path = {path}/pid\n\
         tls_advertise_hosts = *\ntls_certificate = {path}/server.pem\n\
         tls_privatekey = {path}/server.key\nhost_lookup =\nrfc1413_hosts =\n\
         acl_smtp_connect = connect\nbegin acl\nconnect:\n \
         deny condition = ${{if exists{{{path}/closed}}}}\n      message = closed for today\n \
         accept\n"
    );
    fs::write(directory.path().join("conf"), configuration).unwrap();
    let port = format!("127.0.0.1.{}", address.port());
    let command = command(&program, &["-C", &format!("{path}/conf"), "-bdf", "-oX", &port]);
    let server = start(command, directory, address).await;
    assert_eq!(probe(&plain(Application::Smtp), address, AMPLE).await, Ok(()));
    is_verified(Application::Smtp, Security::StartTls, address).await;
    let sign = server.directory.path().join("closed");
    fs::write(&sign, "").unwrap();
    let closed = why(&plain(Application::Smtp), address, AMPLE).await;
    assert!(closed.contains("as a greeting, got \"550 closed for today"), "{closed}");
    fs::remove_file(sign).unwrap();
    hangs_and_goes(server, &plain(Application::Smtp), address).await;
}

#[tokio::test]
async fn this_host_answers_echo_requests() {
    for host in LOCALHOSTS {
        let check = build(&CheckSpec::Ping, Protocol::Tcp).unwrap();
        match check.probe((host, 1).into(), AMPLE).await {
            Ok(()) => {}
            Err(Failure::Inconclusive(reason)) if !is_root() => {
                eprintln!("NOT RUN: {reason}");
            }
            Err(failure) => panic!("{host}: {failure}"),
        }
    }
}
