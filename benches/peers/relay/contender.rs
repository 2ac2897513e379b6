//! What is compared: how each is configured, started and ended.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::backend::Backend;
use crate::measure;

const PORT: u16 = 7080;

/// A relay under load, or nothing at all between clients and servers.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) tcp: SocketAddr,
    /// Unless it cannot relay UDP.
    pub(crate) udp: Option<SocketAddr>,
    process: Option<Process>,
}

struct Process {
    child: Child,
    directory: PathBuf,
}

impl Contender {
    /// The pids of the process and its children.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.process.as_ref().map_or_else(Vec::new, |process| measure::family(process.child.id()))
    }

    /// User and system time so far.
    pub(crate) fn cpu(&self) -> Duration {
        self.pids().into_iter().map(measure::cpu).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGTERM, so that nginx ends its workers.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Starts every contender whose program is installed, and `direct`.
pub(crate) fn all(servers: &Backend) -> Outcome<Vec<Contender>> {
    let lvs = std::env::current_exe()?.with_file_name("../lvs");
    let workers = std::thread::available_parallelism()?.get();
    let ours = start("piranha", "127.77.0.1", &lvs, |directory| {
        let file = write(directory, "lvs.cf", &ours(servers))?;
        Ok(vec!["--nodaemon".into(), "--drain".into(), "0".into(), "--configfile".into(), file])
    })?;
    let haproxy = |name, address: &str, splicing: &str| {
        let mut contender = start(name, address, Path::new("/usr/sbin/haproxy"), |directory| {
            let text = haproxy(servers, workers, address, splicing);
            let file = write(directory, "haproxy.cfg", &text)?;
            Ok(vec!["-db".into(), "-q".into(), "-f".into(), file])
        })?;
        contender.udp = None;
        Outcome::Ok(contender)
    };
    // Where it judges by itself it hardly splices, and where it must it does so for every byte:
    // the one is better for short exchanges, the other for long ones.
    let judging = haproxy("haproxy", "127.77.0.2", "splice-auto")?;
    let splice = "splice-request\n    option splice-response";
    let splicing = haproxy("haproxy-splice", "127.77.0.5", splice)?;
    let nginx = start("nginx", "127.77.0.3", Path::new("/usr/sbin/nginx"), |directory| {
        let file = write(directory, "nginx.conf", &nginx(servers, workers, directory))?;
        let home = directory.display().to_string();
        Ok(vec!["-p".into(), home, "-e".into(), "stderr".into(), "-c".into(), file])
    })?;
    let direct =
        Contender { name: "direct", tcp: servers.tcp[0], udp: Some(servers.udp[0]), process: None };
    Ok(vec![ours, judging, splicing, nginx, direct])
}

fn write(directory: &Path, name: &str, text: &str) -> Outcome<String> {
    let file = directory.join(name);
    fs::write(&file, text)?;
    Ok(file.display().to_string())
}

fn start(
    name: &'static str,
    address: &str,
    program: &Path,
    configure: impl Fn(&Path) -> Outcome<Vec<String>>,
) -> Outcome<Contender> {
    let directory = std::env::temp_dir().join(format!("relay-bench-{}-{name}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let arguments = configure(&directory)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    let log = fs::File::create(directory.join("log"))?;
    let child = command.stderr(log).spawn().map_err(|e| format!("{}: {e}", program.display()))?;
    let process = Process { child, directory };
    let tcp = SocketAddr::new(address.parse()?, PORT);
    await_listener(name, tcp, &process)?;
    Ok(Contender { name, tcp, udp: Some(tcp), process: Some(process) })
}

fn await_listener(name: &str, address: SocketAddr, process: &Process) -> Outcome<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if TcpStream::connect(address).is_ok_and(|stream| is_served(&stream)) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = fs::read_to_string(process.directory.join("log")).unwrap_or_default();
    Err(format!("{name} does not serve {address}:\n{log}").into())
}

/// Whether a request is answered.
fn is_served(mut stream: &TcpStream) -> bool {
    use std::io::{Read, Write};
    stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
        && stream.write_all(&crate::load::request(1)).is_ok()
        && stream.read_exact(&mut [0]).is_ok()
}

fn ours(servers: &Backend) -> String {
    let server = |(number, address): (usize, &SocketAddr)| {
        format!(
            "    server s{number} {{\n        address = {}\n        port = {}\n        active = 1\n    }}\n",
            address.ip(),
            address.port()
        )
    };
    let service = |name: &str, protocol: &str, check: &str, servers: &[SocketAddr]| {
        let servers: String = servers.iter().enumerate().map(server).collect();
        format!(
            "virtual {name} {{\n    active = 1\n    address = 127.77.0.1 lo:1\n    \
             port = {PORT}\n    protocol = {protocol}\n    scheduler = rr\n    reentry = 0\n    \
             {check}\n{servers}}}\n"
        )
    };
    let udp_check = "send = \"ping\"\n    expect = \"ping\"";
    format!(
        "service = lvs\nprimary = 127.0.0.1\nbackup_active = 0\nnetwork = nat\ndataplane = relay\n{}{}",
        service("tcp", "tcp", "check = connect", &servers.tcp),
        service("udp", "udp", udp_check, &servers.udp)
    )
}

/// As its manual advises for TCP: a thread for each core, no logging.
fn haproxy(servers: &Backend, threads: usize, address: &str, splicing: &str) -> String {
    let servers = servers.tcp.iter().enumerate();
    let servers: String =
        servers.map(|(number, address)| format!("    server s{number} {address}\n")).collect();
    let descriptors = measure::descriptors();
    let most = descriptors.saturating_sub(200) / 2;
    format!(
        "global\n    nbthread {threads}\n    maxconn {most}\n    maxpipes 64\n\
         defaults\n    mode tcp\n    timeout connect 3s\n    timeout client 900s\n    \
         timeout server 900s\n    option {splicing}\n\
         frontend f\n    bind {address}:{PORT} backlog 4096\n    default_backend b\n\
         backend b\n    balance roundrobin\n{servers}"
    )
}

/// As its manual advises: a worker for each core with a listening socket of its own, no logging.
fn nginx(servers: &Backend, workers: usize, directory: &Path) -> String {
    let list = |servers: &[SocketAddr]| -> String {
        servers.iter().map(|address| format!("        server {address};\n")).collect()
    };
    let descriptors = measure::descriptors();
    format!(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n\
         daemon off;\nworker_processes {workers};\nworker_rlimit_nofile {descriptors};\n\
         pid {}/pid;\nerror_log stderr crit;\n\
         events {{ worker_connections {descriptors}; multi_accept on; }}\n\
         stream {{\n    access_log off;\n    tcp_nodelay on;\n    proxy_connect_timeout 3s;\n    \
         proxy_timeout 900s;\n    upstream t {{\n{}    }}\n    upstream u {{\n{}    }}\n    \
         server {{ listen 127.77.0.3:{PORT} reuseport backlog=4096; proxy_pass t; }}\n    \
         server {{ listen 127.77.0.3:{PORT} udp reuseport; proxy_pass u; proxy_timeout 10s; }}\n}}\n",
        directory.display(),
        list(&servers.tcp),
        list(&servers.udp)
    )
}
