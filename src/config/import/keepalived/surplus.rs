//! Words behind a value, which nobody reads.

use super::read::Node;
use crate::config::import::importer::Importer;

/// Settings with one value, or with none to say yes.
const ONE_VALUE: [&str; 37] = [
    "advert_int",
    "bindto",
    "connect_ip",
    "connect_port",
    "connect_timeout",
    "delay_before_retry",
    "delay_loop",
    "digest",
    "fwmark",
    "helo_name",
    "hysteresis",
    "interface",
    "ip_family",
    "lb_algo",
    "lthreshold",
    "lvs_sched",
    "misc_path",
    "misc_timeout",
    "name",
    "nb_get_retry",
    "path",
    "persistence_engine",
    "persistence_granularity",
    "persistence_timeout",
    "priority",
    "protocol",
    "quorum",
    "regex",
    "retry",
    "state",
    "type",
    "unicast_src_ip",
    "uthreshold",
    "virtual_router_id",
    "virtualhost",
    "warmup",
    "weight",
];

const NO_VALUE: [&str; 4] = ["ops", "inhibit_on_failure", "alpha", "ha_suspend"];

/// Lists them in a block and all that is in it.
pub(super) fn list(node: &Node, importer: &mut Importer<'_>) {
    let values = match node.keyword() {
        word if ONE_VALUE.contains(&word) => 1,
        word if NO_VALUE.contains(&word) => 0,
        _ => usize::MAX,
    };
    let surplus = node.rest().get(values.min(node.rest().len())..).unwrap_or_default();
    if !surplus.is_empty() {
        importer.lost(node.line, format!("`{}` behind it is not understood", surplus.join(" ")));
    }
    node.children.iter().for_each(|child| list(child, importer));
}
