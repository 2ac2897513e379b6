//! Thousands of services. `benches/peers/ipvsadm/run` measures; here they only have to be right.

use piranha::ipvs::{Backend, Destination, Op, Service, ServiceKey, Table, plan};
use piranha::net::Weight;
use piranha::runtime::kernel::{AsyncClient, Kernel};

use crate::lab::{lab, server, tcp};

const SERVICES: u32 = 10_000;

fn key(n: u32) -> ServiceKey {
    tcp(&format!("10.{}.{}.1:80", 100 + n / 250, n % 250))
}

fn servers(n: u32) -> [Destination; 2] {
    [server(&format!("10.0.0.{}:80", n % 250 + 1)), server(&format!("10.0.1.{}:80", n % 250 + 1))]
}

fn whole() -> Table {
    let mut table = Table::new();
    for n in 0..SERVICES {
        let entry = table.insert(Service::new(key(n)).with_scheduler("rr".parse().unwrap()));
        for destination in servers(n) {
            entry.insert(destination);
        }
    }
    table
}

/// One round; gives what it took, all of which must have succeeded.
async fn reconcile(kernel: &mut Kernel, desired: &Table) -> Vec<Op> {
    let observed = kernel.observe().await.unwrap();
    let ops = plan(desired, &observed, kernel.capabilities()).unwrap();
    assert!(kernel.apply(&ops).await.unwrap().iter().all(Result::is_ok));
    ops
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn ten_thousand_services_arrive_need_nothing_more_change_by_one_and_go() {
    let mut lab = lab();
    let mut desired = whole();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(async {
        let mut kernel = Kernel::new(AsyncClient::new().unwrap()).await.unwrap();
        let ops = reconcile(&mut kernel, &desired).await;
        assert_eq!(ops.len(), 3 * SERVICES as usize);
        assert_eq!(lab.client.table().unwrap(), desired);
        assert_eq!(reconcile(&mut kernel, &desired).await, []);

        let drained = servers(4711)[0].with_weight(Weight::ZERO);
        desired.get_mut(&key(4711)).unwrap().insert(drained);
        let changed = [Op::EditDestination(key(4711), drained)];
        assert_eq!(reconcile(&mut kernel, &desired).await, changed);
    });
    lab.client.danger_flush().unwrap();
    assert_eq!(lab.client.services().unwrap(), []);
}
