//! What every test of the lab begins with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use piranha::ipvs::kernel::DaemonRole;
use piranha::ipvs::{Destination, Service, ServiceKey, Table};
use piranha::runtime::kernel::Client;

/// There is one kernel for all tests.
static KERNEL: Mutex<()> = Mutex::new(());

/// Where results go that outlive the lab. Refuses to run anywhere else: the table is flushed.
pub(crate) fn results() -> PathBuf {
    let lab = std::env::var_os("PIRANHA_LAB");
    lab.expect("this test empties the kernel's table: run it by tests/kernel/run").into()
}

/// The kernel for one test, its table empty.
pub(crate) struct Lab {
    pub(crate) client: Client,
    _kernel: MutexGuard<'static, ()>,
}

pub(crate) fn lab() -> Lab {
    results();
    let kernel = KERNEL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut client = Client::new().unwrap();
    client.danger_flush().unwrap();
    for role in [DaemonRole::Master, DaemonRole::Backup] {
        let _ = client.stop_daemon(role);
    }
    Lab { client, _kernel: kernel }
}

/// Runs a command and lets it fail.
pub(crate) fn output(command: &str) -> Output {
    Command::new("sh").args(["-c", command]).output().unwrap()
}

/// Runs a command that must succeed and gives what it printed.
pub(crate) fn sh(command: &str) -> String {
    let output = output(&format!("set -e\n{command}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Loads a module as the kernel would do it itself.
pub(crate) fn modprobe(module: &str) {
    if !Path::new("/sys/module").join(module).exists() {
        sh(&format!("$(cat /proc/sys/kernel/modprobe) {module}"));
    }
}

/// Waits for something that takes a while, not longer than a minute.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < until, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn tcp(text: &str) -> ServiceKey {
    ServiceKey::tcp(address(text))
}

pub(crate) fn server(text: &str) -> Destination {
    Destination::new(address(text))
}

/// A table from services and their destinations.
pub(crate) fn table(entries: &[(Service, Vec<Destination>)]) -> Table {
    let mut table = Table::new();
    for (service, destinations) in entries {
        let entry = table.insert(service.clone());
        for destination in destinations {
            entry.insert(*destination);
        }
    }
    table
}

/// Fills the kernel with a table.
pub(crate) fn fill(client: &mut Client, table: &Table) {
    for entry in table.iter() {
        client.add_service(entry.service().clone()).unwrap();
        for destination in entry.destinations() {
            client.add_destination(entry.service().key(), *destination).unwrap();
        }
    }
}
