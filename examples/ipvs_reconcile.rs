//! Keeps one service as it should be: `cargo run --example ipvs_reconcile [--memory]`.
//!
//! Brings a service with two servers into force, then looks every second whether somebody changed
//! it, and puts that right: try `ipvsadm -d -t 192.0.2.80:80 -r 10.0.0.1:80` meanwhile. Services of
//! others are left alone. With `--memory`, or where the kernel's IPVS is not to be had, one round in
//! memory shows the plan.

use std::error::Error;
use std::time::Duration;

use piranha::ipvs::memory::Memory;
use piranha::ipvs::{Backend, Destination, Service, ServiceKey, Table, plan};
use piranha::runtime::kernel::{AsyncClient, Kernel};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let desired = desired();
    match kernel(&desired).await {
        Ok(mut kernel) => loop {
            reconcile(&mut kernel, &desired).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        },
        Err(reason) => {
            eprintln!("{reason}; in memory instead:");
            reconcile(&mut Memory::default(), &desired).await
        }
    }
}

async fn kernel(desired: &Table) -> Result<Kernel, Box<dyn Error>> {
    if std::env::args().any(|argument| argument == "--memory") {
        return Err("--memory was given".into());
    }
    let mut kernel = Kernel::new(AsyncClient::new()?).await?;
    kernel.own(desired.iter().map(|entry| entry.service().key()));
    Ok(kernel)
}

async fn reconcile(backend: &mut dyn Backend, desired: &Table) -> Result<(), Box<dyn Error>> {
    let observed = backend.observe().await?;
    let ops = plan(desired, &observed, backend.capabilities())?;
    for (op, applied) in ops.iter().zip(backend.apply(&ops).await?) {
        match applied {
            Ok(()) => println!("{op:?}"),
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(())
}

fn desired() -> Table {
    let mut table = Table::new();
    let web = ServiceKey::tcp(([192, 0, 2, 80], 80).into());
    let entry = table.insert(Service::new(web));
    entry.insert(Destination::new(([10, 0, 0, 1], 80).into()));
    entry.insert(Destination::new(([10, 0, 0, 2], 80).into()));
    table
}
