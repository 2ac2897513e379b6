//! Which servers serve although their checks say otherwise.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::{Pool, Standing, Wanted};
use crate::config::AllDown;

impl Wanted {
    /// The servers that are kept in: those that failed last, and behind them those that never
    /// passed a check, as many as are wanting.
    pub(super) fn kept(&self) -> BTreeSet<SocketAddr> {
        let least = self.least_serving();
        if least == 0 || self.pool() != Pool::Others {
            return BTreeSet::new();
        }
        let serving = self.others().filter(|standing| self.may_take(standing)).count();
        let mut failed: Vec<_> = self
            .servers
            .iter()
            .filter(|(_, standing)| standing.can_be_kept())
            .map(|(&address, standing)| (Reverse(standing.departed), address))
            .collect();
        failed.sort_unstable();
        failed.truncate(least.saturating_sub(serving));
        failed.into_iter().map(|(_, address)| address).collect()
    }

    /// How many servers serve at least, as far as there are any.
    fn least_serving(&self) -> usize {
        let nobody_else = !self.is_met && !self.backups().any(|backup| self.may_take(backup));
        match self.all_down {
            AllDown::FailOpen if nobody_else => usize::MAX,
            AllDown::KeepLast if nobody_else => self.min_servers.max(1),
            _ => self.min_servers,
        }
    }
}

impl Standing {
    /// Whether it takes no connections for no other reason than its checks.
    fn can_be_kept(&self) -> bool {
        let is_fit = self.failed && !self.withheld && !self.is_hindered();
        is_fit && !self.backup && !self.full.is_quiesced() && !self.takes()
    }
}
