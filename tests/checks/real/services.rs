//! gRPC, RADIUS and SIP.

use std::fs;
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::path::Path;
use std::time::Duration;

use piranha::health::{Application, CheckSpec, GrpcSpec, RadiusSpec};
use piranha::net::Protocol;
use piranha::runtime::checks::build;

use super::{command, directory, free_port, installed, plain, ready, start, start_with, tls};
use crate::certificates::{file, secret};
use crate::{AMPLE, LOCALHOSTS, probe, why};

/// A server of gRPC's own library with a health service of two names, in clear and over TLS.
const GRPC_SERVER: &str = "
import sys, grpc
from concurrent import futures
known = {b'': 1, b'\\x0a\\x02up': 1, b'\\x0a\\x04down': 2}
def check(request, context):
    if request not in known:
        context.abort(grpc.StatusCode.NOT_FOUND, 'unknown service')
    return bytes([8, known[request]])
server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler('grpc.health.v1.Health',
    {'Check': grpc.unary_unary_rpc_method_handler(check)})])
clear, secure, certificate, key = sys.argv[1:]
assert server.add_insecure_port(clear)
pair = (open(key, 'rb').read(), open(certificate, 'rb').read())
assert server.add_secure_port(secure, grpc.ssl_server_credentials([pair]))
server.start()
server.wait_for_termination()
";

#[tokio::test]
async fn grpc() {
    let module = Path::new("/usr/lib/python3/dist-packages/grpc");
    let Some(python) = installed("python3").filter(|_| module.exists()) else {
        assert!(std::env::var_os("PIRANHA_CHECK_SERVERS").is_none(), "grpc of Python is missing");
        return;
    };
    let (directory, clear, secure) = (directory(), free_port(), free_port());
    let arguments = [&clear.to_string(), &secure.to_string()];
    let mut command = command(&python, &["-c", GRPC_SERVER, arguments[0], arguments[1]]);
    command.args([file("server.pem"), file("server.key")]);
    let _server = start(command, directory, clear).await;
    let ask = |service: &str, tls| {
        let mut spec = GrpcSpec::default();
        (spec.service, spec.tls) = (service.to_owned(), tls);
        CheckSpec::Grpc(spec)
    };
    ready(&ask("", None), clear).await;
    assert_eq!(probe(&ask("up", None), clear, AMPLE).await, Ok(()));
    let down = why(&ask("down", None), clear, AMPLE).await;
    assert!(down.ends_with(r#"got "NOT_SERVING""#), "{down}");
    let gone = why(&ask("gone", None), clear, AMPLE).await;
    assert!(gone.ends_with(r#"got "5 unknown service""#), "{gone}");
    if cfg!(feature = "tls") {
        assert_eq!(probe(&ask("up", Some(tls())), secure, AMPLE).await, Ok(()));
        let mixed = why(&ask("up", None), secure, AMPLE).await;
        assert!(mixed.starts_with("HTTP/2: ") || mixed.contains("reset"), "{mixed}");
    }
}

/// A port of UDP that is free at this moment.
fn free_udp_port() -> SocketAddr {
    StdUdpSocket::bind((LOCALHOSTS[0], 0)).unwrap().local_addr().unwrap()
}

async fn verdict(spec: &CheckSpec, server: SocketAddr, limit: Duration) -> Result<(), String> {
    let check = build(spec, Protocol::Udp).unwrap();
    check.probe(server, limit).await.map_err(|failure| failure.to_string())
}

#[tokio::test]
async fn freeradius() {
    let Some(program) = installed("freeradius") else { return };
    let (directory, address) = (directory(), free_udp_port());
    let path = directory.path().display().to_string();
    let configuration = format!(
        "prefix = /usr\nlocalstatedir = {path}\nlogdir = {path}\nrun_dir = {path}\n\
         libdir = /usr/lib/freeradius\npidfile = {path}/pid\nlog {{\n destination = stdout\n}}\n\
         security {{\n status_server = yes\n reject_delay = 0\n}}\n\
         modules {{\n files {{\n  filename = {path}/users\n }}\n pap {{\n }}\n}}\n\
         client director {{\n ipaddr = 127.0.0.1\n secret = shared-secret\n}}\n\
         server default {{\n listen {{\n  type = auth\n  ipaddr = 127.0.0.1\n  port = {}\n }}\n \
         authorize {{\n  files\n  pap\n }}\n authenticate {{\n  Auth-Type PAP {{\n   pap\n  }}\n }}\n}}\n",
        address.port()
    );
    fs::write(directory.path().join("radiusd.conf"), configuration).unwrap();
    let users = "ann Cleartext-Password := \"hunter2\"\n\
                 bob Cleartext-Password := \"a password of more than sixteen bytes\"\n";
    fs::write(directory.path().join("users"), users).unwrap();
    let dictionary = ["-D", "/usr/share/freeradius", "-d", &path];
    let mut command = command(&program, &["-f", "-l", "stdout"]);
    command.args(dictionary);
    let server = start_with(command, directory);
    let (_secret, shared) = secret(b"shared-secret\n");
    let status = CheckSpec::Radius(RadiusSpec::new(shared.clone()));
    super::ready_over(Protocol::Udp, &status, address).await;
    let login = |auth: &Path| {
        CheckSpec::Radius(RadiusSpec::new(shared.clone()).with_auth(Some(auth.to_owned())))
    };
    let (_right, right) = secret(b"ann:hunter2");
    assert_eq!(verdict(&login(&right), address, AMPLE).await, Ok(()));
    let (_long, long) = secret(b"bob:a password of more than sixteen bytes");
    assert_eq!(verdict(&login(&long), address, AMPLE).await, Ok(()));
    let (_wrong, wrong) = secret(b"ann:hunter3");
    let refused = verdict(&login(&wrong), address, AMPLE).await.unwrap_err();
    assert_eq!(refused, r#"expected Access-Accept after Access-Request, got "Access-Reject""#);
    let (_stranger, stranger) = secret(b"another-secret");
    let stranger = CheckSpec::Radius(RadiusSpec::new(stranger));
    // The server discards what is not signed with the secret it knows.
    let silent = verdict(&stranger, address, Duration::from_millis(500)).await.unwrap_err();
    assert!(silent.contains("timed out"), "{silent}");
    super::hangs_and_goes_over(Protocol::Udp, server, &status, address).await;
}

#[tokio::test]
async fn kamailio() {
    let Some(program) = installed("kamailio") else { return };
    let (directory, address) = (directory(), free_port());
    let path = directory.path().display().to_string();
    let configuration = format!(
        "#!KAMAILIO\nchildren=1\ntcp_children=1\nfork=yes\nlog_stderror=yes\nauto_aliases=no\n\
         listen=udp:{address}\nlisten=tcp:{address}\nloadmodule \"sl.so\"\nloadmodule \"pv.so\"\n\
         request_route {{\n sl_send_reply(\"100\", \"Trying\");\n \
         sl_send_reply(\"200\", \"OK\");\n}}\n",
    );
    fs::write(directory.path().join("cfg"), configuration).unwrap();
    let command = command(
        &program,
        &["-DD", "-E", "-f", &format!("{path}/cfg"), "-Y", &path, "-w", &path, "-m", "32"],
    );
    let server = start(command, directory, address).await;
    let spec = plain(Application::Sip);
    super::ready_over(Protocol::Udp, &spec, address).await;
    assert_eq!(probe(&spec, address, AMPLE).await, Ok(()));
    super::hangs_and_goes_over(Protocol::Udp, server, &spec, address).await;
}
