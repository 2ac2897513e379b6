//! Thousands of services, ours against Debian's ipvsadm. Figures are printed, not judged.

use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use piranha::ipvs::{Op, Service, Table};
use piranha::runtime::kernel::Client;

use crate::lab::{lab, results, server, sh, tcp};

const SERVICES: u32 = 5000;
const SERVERS: u32 = 4;

fn ops() -> Vec<Op> {
    (0..SERVICES)
        .flat_map(|n| {
            let key = tcp(&format!("10.{}.{}.1:80", 100 + n / 250, n % 250));
            let add = move |s| Op::AddDestination(key, server(&format!("10.0.{s}.{}:80", n % 250)));
            [Op::AddService(Service::new(key))].into_iter().chain((0..SERVERS).map(add))
        })
        .collect()
}

/// Rules as ipvsadm reads them.
fn rules(ops: &[Op]) -> String {
    let mut rules = String::new();
    for op in ops {
        match op {
            Op::AddService(service) => {
                let vip = service.key().to_string();
                writeln!(rules, "-A -t {} -s wlc", vip.trim_start_matches("TCP ")).unwrap();
            }
            Op::AddDestination(key, d) => {
                let vip = key.to_string();
                let vip = vip.trim_start_matches("TCP ");
                writeln!(rules, "-a -t {vip} -r {} -m -w 1", d.address()).unwrap();
            }
            _ => unreachable!(),
        }
    }
    rules
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}

fn load(client: &mut Client, ops: &[Op]) {
    assert!(client.apply(ops).unwrap().iter().all(Result::is_ok));
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn five_thousand_services_load_list_and_clear() {
    let mut lab = lab();
    let ops = ops();
    fs::write("/run/rules", rules(&ops)).unwrap();
    let ((), our_load) = timed(|| load(&mut lab.client, &ops));
    let (ours, our_list) = timed(|| lab.client.list().unwrap());
    assert_eq!(ours.len(), SERVICES as usize);
    assert!(ours.iter().all(|one| one.destinations.len() == SERVERS as usize));
    let (_, its_list) = timed(|| sh("ipvsadm -Ln >/run/listed"));
    let table: Table = lab.client.table().unwrap();
    let ((), our_clear) = timed(|| lab.client.danger_flush().unwrap());
    let (_, its_load) = timed(|| sh("ipvsadm -R </run/rules"));
    assert_eq!(lab.client.table().unwrap(), table);
    let (_, its_clear) = timed(|| sh("ipvsadm -C"));
    let figures = format!(
        "{SERVICES} services x {SERVERS} servers, one run, seconds: ours, Debian's ipvsadm, ratio\n\
         load  {our_load:8.3} {its_load:8.3} {:6.1}\n\
         list  {our_list:8.3} {its_list:8.3} {:6.1}\n\
         clear {our_clear:8.3} {its_clear:8.3} {:6.1}\n",
        its_load / our_load,
        its_list / our_list,
        its_clear / our_clear,
    );
    fs::write(results().join("figures"), figures).unwrap();
}
