use piranha::ipvs::kernel::Reason;
use piranha::runtime::kernel::Client;

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_kernel_without_ip_vs_says_how_to_get_it() {
    let refused = Client::new().unwrap().services().unwrap_err();
    assert_eq!(*refused.reason(), Reason::NoIpvs);
    assert_eq!(
        refused.to_string(),
        "services: cannot list them: the kernel has no IPVS: load the module with `modprobe ip_vs`"
    );
}
