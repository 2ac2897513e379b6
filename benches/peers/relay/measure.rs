//! What was measured, and where the kernel says it.

use std::fmt;
use std::fs;
use std::time::Duration;

use crate::contender::Contender;

/// What may wait in a UDP socket of the clients and servers, as far as the kernel allows it.
pub(crate) const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// What the clients saw.
pub(crate) struct Run {
    elapsed: Duration,
    done: usize,
    bytes: usize,
    lost: usize,
    p50: Duration,
    p99: Duration,
}

impl Run {
    pub(crate) fn new(
        elapsed: Duration,
        mut latencies: Vec<Duration>,
        bytes: usize,
        lost: usize,
    ) -> Self {
        latencies.sort_unstable();
        let at = |percent: usize| {
            latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default()
        };
        Self { elapsed, done: latencies.len(), bytes, lost, p50: at(50), p99: at(99) }
    }
}

impl Run {
    pub(crate) const fn done(&self) -> usize {
        self.done
    }

    pub(crate) const fn lost(&self) -> usize {
        self.lost
    }
}

/// One round of one kind of work on one contender.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// Connections, requests or datagrams each second.
    pub(crate) rate: f64,
    /// Megabytes each second.
    pub(crate) megabytes: f64,
    /// Microseconds.
    pub(crate) p50: f64,
    /// Microseconds.
    pub(crate) p99: f64,
    /// Microseconds of processor for each unit of work.
    pub(crate) cpu: f64,
    /// Milliseconds of processor for each gigabyte.
    pub(crate) cpu_per_gigabyte: f64,
    /// Percent.
    pub(crate) loss: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
impl Sample {
    pub(crate) fn new(run: Run, cpu: Duration) -> Self {
        let seconds = run.elapsed.as_secs_f64();
        let (done, bytes) = (run.done as f64, run.bytes as f64);
        Self {
            rate: done / seconds,
            megabytes: bytes / 1e6 / seconds,
            p50: run.p50.as_secs_f64() * 1e6,
            p99: run.p99.as_secs_f64() * 1e6,
            cpu: cpu.as_secs_f64() * 1e6 / done,
            cpu_per_gigabyte: cpu.as_secs_f64() * 1e3 / (bytes / 1e9),
            loss: run.lost as f64 * 100.0 / (done + run.lost as f64),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:9.0}/s {:6.0} MB/s p50 {:6.0} us p99 {:6.0} us cpu {:6.1} us each, {:4.0} ms/GB, loss {:.2} %",
            self.rate,
            self.megabytes,
            self.p50,
            self.p99,
            self.cpu,
            self.cpu_per_gigabyte,
            self.loss
        )
    }
}

/// Memory in bytes: of the processes, and of the kernel.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) connections: usize,
    /// Resident, shared pages counted once (PSS).
    pub(crate) resident: f64,
    /// Buffers of all TCP sockets of the machine (sockstat).
    pub(crate) buffers: f64,
    /// Kernel objects of sockets, files and epoll.
    pub(crate) slab: f64,
    /// All kernel objects of the machine, whoever has made them (`Slab` in `/proc/meminfo`).
    pub(crate) all_slab: f64,
}

impl Memory {
    pub(crate) fn now(contender: &Contender) -> Self {
        Self::of(contender.pids())
    }

    /// Of these processes, and of the kernel for all.
    pub(crate) fn of(pids: Vec<u32>) -> Self {
        Self {
            connections: 0,
            resident: pids.into_iter().map(resident).sum(),
            buffers: socket_buffers(),
            slab: slab(),
            all_slab: kilobytes("/proc/meminfo", "Slab:"),
        }
    }

    /// For each of `connections`, what has come since `before`.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn since(&self, before: &Self, connections: usize) -> Self {
        let each = |now: f64, before: f64| (now - before) / connections as f64;
        Self {
            connections,
            resident: each(self.resident, before.resident),
            buffers: each(self.buffers, before.buffers),
            slab: each(self.slab, before.slab),
            all_slab: each(self.all_slab, before.all_slab),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} idle connections, each: {:.0} bytes in the process, {:.0} of socket buffers, {:.0} of kernel objects",
            self.connections, self.resident, self.buffers, self.slab
        )
    }
}

/// A process and its children.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut pids = vec![pid];
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let child = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        if let Some(child) = child
            && stat(child, 3).is_some_and(|parent| parent == u64::from(pid))
        {
            pids.push(child);
        }
    }
    pids
}

/// User and system time of a process (proc_pid_stat(5)).
pub(crate) fn cpu(pid: u32) -> Duration {
    let ticks = stat(pid, 13).unwrap_or(0) + stat(pid, 14).unwrap_or(0);
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// A field of `/proc/PID/stat`, counted from 0.
fn stat(pid: u32, field: usize) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may contain blanks and stands in parentheses.
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split(' ').nth(field - 2)?.parse().ok()
}

/// Resident memory in bytes, shared pages counted once.
pub(crate) fn resident(pid: u32) -> f64 {
    kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// Caches that a connection takes objects from (slabinfo(5), which only root may read).
const CACHES: [&str; 10] = [
    "TCP",
    "TCPv6",
    "sock_inode_cache",
    "filp",
    "eventpoll_epi",
    "eventpoll_pwq",
    "ep_head",
    "dentry",
    "tcp_bind_bucket",
    "tcp_bind2_bucket",
];

fn slab() -> f64 {
    let text = fs::read_to_string("/proc/slabinfo").unwrap_or_default();
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let bytes = rows.filter(|row| row.first().is_some_and(|name| CACHES.contains(name)));
    let bytes = bytes.filter_map(|row| {
        Some(row.get(1)?.parse::<f64>().ok()? * row.get(3)?.parse::<f64>().ok()?)
    });
    bytes.sum()
}

/// Datagrams that the kernel has thrown away because the receive buffer of a socket on one of
/// `ports` was full: the last column of `/proc/net/udp`.
pub(crate) fn overruns(ports: &[u16]) -> usize {
    let text = fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let rows = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let dropped = rows.filter_map(|row| {
        let (_, port) = row.get(1)?.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        ports.contains(&port).then(|| row.last()?.parse::<usize>().ok()).flatten()
    });
    dropped.sum()
}

fn kilobytes(file: &str, name: &str) -> f64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    number.unwrap_or(0.0) * 1024.0
}

#[expect(clippy::cast_precision_loss, reason = "a page is small")]
fn socket_buffers() -> f64 {
    let text = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("TCP:")).unwrap_or_default();
    let pages = line.split_whitespace().last().and_then(|pages| pages.parse::<f64>().ok());
    pages.unwrap_or(0.0) * rustix::param::page_size() as f64
}

/// How many descriptors a process may have here.
pub(crate) fn descriptors() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.maximum.unwrap_or(1 << 20)
}
