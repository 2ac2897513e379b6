//! The kernel as a data plane: observe, plan, apply.

use piranha::ipvs::{Backend, BackendError, Destination, Op, Service, Table, plan};
use piranha::net::Weight;
use piranha::runtime::kernel::{AsyncClient, Kernel};

use crate::lab::{lab, server, sh, table, tcp};
use crate::samples;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

async fn kernel_owning(desired: &Table) -> Kernel {
    let mut kernel = Kernel::new(AsyncClient::new().unwrap()).await.unwrap();
    kernel.own(desired.iter().map(|entry| entry.service().key()));
    kernel
}

/// One round; gives the operations it took, which must all have succeeded.
async fn reconcile(kernel: &mut Kernel, desired: &Table) -> Vec<Op> {
    let observed = kernel.observe().await.unwrap();
    let ops = plan(desired, &observed, kernel.capabilities()).unwrap();
    for (op, applied) in ops.iter().zip(kernel.apply(&ops).await.unwrap()) {
        assert!(applied.is_ok(), "{op:?}: {applied:?}");
    }
    ops
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn everything_there_is_arrives_in_one_round_and_needs_no_second() {
    let _lab = lab();
    let desired = samples::everything();
    block_on(async {
        let mut kernel = kernel_owning(&desired).await;
        assert!(!reconcile(&mut kernel, &desired).await.is_empty());
        assert_eq!(kernel.observe().await.unwrap(), desired);
        assert_eq!(reconcile(&mut kernel, &desired).await, []);
        assert!(!reconcile(&mut kernel, &Table::new()).await.is_empty());
        assert!(kernel.observe().await.unwrap().is_empty());
    });
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn what_others_change_is_put_right_and_what_is_theirs_stays() {
    let _lab = lab();
    let web = tcp("192.0.2.1:80");
    let mail = tcp("192.0.2.1:25");
    let servers: Vec<Destination> = (1..=3).map(|n| server(&format!("10.0.0.{n}:80"))).collect();
    let desired = table(&[
        (Service::new(web), servers.clone()),
        (Service::new(mail), vec![server("10.0.0.1:25")]),
    ]);
    sh("ipvsadm -A -t 192.0.2.77:7 -s rr; ipvsadm -a -t 192.0.2.77:7 -r 10.0.0.7:7 -g");
    block_on(async {
        let mut kernel = kernel_owning(&desired).await;
        reconcile(&mut kernel, &desired).await;
        sh("ipvsadm -E -t 192.0.2.1:80 -s rr
            ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 9
            ipvsadm -d -t 192.0.2.1:80 -r 10.0.0.2:80
            ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.3:80 -i
            ipvsadm -a -t 192.0.2.1:80 -r 10.0.0.4:80 -m
            ipvsadm -D -t 192.0.2.1:25");
        let ops = reconcile(&mut kernel, &desired).await;
        let mail_server = server("10.0.0.1:25");
        assert_eq!(
            ops,
            [
                Op::AddService(Service::new(mail)),
                Op::AddDestination(mail, mail_server),
                Op::EditService(Service::new(web)),
                Op::AddDestination(web, servers[1]),
                Op::EditDestination(web, servers[0]),
                Op::EditDestination(web, servers[2]),
                Op::RemoveDestination(web, server("10.0.0.4:80").address()),
            ]
        );
        assert_eq!(kernel.observe().await.unwrap(), desired);
    });
    assert!(sh("ipvsadm -Sn").contains("-a -t 192.0.2.77:7 -r 10.0.0.7:7 -g -w 1\n"));
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_setting_the_model_cannot_say_is_edited_away() {
    let mut lab = lab();
    let web = tcp("192.0.2.1:80");
    let desired = table(&[(samples::services().remove(0), vec![server("10.0.0.1:80")])]);
    block_on(async {
        let mut kernel = kernel_owning(&desired).await;
        reconcile(&mut kernel, &desired).await;
        sh("ipvsadm -E -t 192.0.2.1:80 -s wlc -p 60 -M 255.0.255.0");
        assert!(!lab.client.service(web).unwrap().exact);
        assert_eq!(reconcile(&mut kernel, &desired).await, [Op::EditService(Service::new(web))]);
        assert!(lab.client.service(web).unwrap().exact);
    });
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_service_somebody_added_first_is_a_conflict_and_edited_in_the_next_round() {
    let _lab = lab();
    let desired = table(&[(Service::new(tcp("192.0.2.1:80")), vec![server("10.0.0.1:80")])]);
    sh("ipvsadm -A -t 192.0.2.1:80 -s rr");
    block_on(async {
        let mut kernel = Kernel::new(AsyncClient::new().unwrap()).await.unwrap();
        let ops = plan(&desired, &Table::new(), kernel.capabilities()).unwrap();
        let applied = kernel.apply(&ops).await.unwrap();
        assert!(matches!(&applied[0], Err(BackendError::Conflict { .. })), "{applied:?}");
        let refused = applied[0].as_ref().unwrap_err().to_string();
        assert_eq!(refused, "service TCP 192.0.2.1:80: is there already");
        assert!(!reconcile(&mut kernel, &desired).await.is_empty());
        assert_eq!(kernel.observe().await.unwrap(), desired);
    });
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_drained_server_is_edited_and_not_replaced() {
    let _lab = lab();
    let web = tcp("192.0.2.1:80");
    let one = server("10.0.0.1:80");
    let before = table(&[(Service::new(web), vec![one, server("10.0.0.2:80")])]);
    let drained = one.with_weight(Weight::ZERO);
    let after = table(&[(Service::new(web), vec![drained, server("10.0.0.2:80")])]);
    block_on(async {
        let mut kernel = kernel_owning(&before).await;
        reconcile(&mut kernel, &before).await;
        assert_eq!(reconcile(&mut kernel, &after).await, [Op::EditDestination(web, drained)]);
    });
}
