//! The counters of a service or destination, in the nests STATS and STATS64.

use super::abi::stats;
use super::attribute::{Attribute, Attributes};
use super::reply::Malformed;
use crate::ipvs::{Counters, Rates};

/// Counters as they arrive: the 64-bit ones, and the older 32-bit ones for kernels before 4.1.
#[derive(Default)]
pub(super) struct Totals {
    wide: Option<(Counters, Rates)>,
    narrow: Option<(Counters, Rates)>,
}

impl Totals {
    pub(super) fn read_wide(&mut self, nest: &Attribute<'_>) -> Result<(), Malformed> {
        self.wide = Some(read(nest.nested())?);
        Ok(())
    }

    pub(super) fn read_narrow(&mut self, nest: &Attribute<'_>) -> Result<(), Malformed> {
        self.narrow = Some(read(nest.nested())?);
        Ok(())
    }

    /// The 32-bit counters of the older interface.
    pub(super) const fn narrow(counters: Counters, rates: Rates) -> Self {
        Self { wide: None, narrow: Some((counters, rates)) }
    }

    /// The wide counters if the kernel sent them.
    pub(super) fn best(self) -> (Counters, Rates) {
        self.wide.or(self.narrow).unwrap_or_default()
    }
}

fn read(nest: Attributes<'_>) -> Result<(Counters, Rates), Malformed> {
    let (mut counters, mut rates) = (Counters::default(), Rates::default());
    for attribute in nest {
        let attribute = attribute?;
        let slot = match attribute.kind() {
            stats::CONNECTIONS => &mut counters.connections,
            stats::PACKETS_IN => &mut counters.packets_in,
            stats::PACKETS_OUT => &mut counters.packets_out,
            stats::BYTES_IN => &mut counters.bytes_in,
            stats::BYTES_OUT => &mut counters.bytes_out,
            stats::CONNECTION_RATE => &mut rates.connections,
            stats::PACKET_RATE_IN => &mut rates.packets_in,
            stats::PACKET_RATE_OUT => &mut rates.packets_out,
            stats::BYTE_RATE_IN => &mut rates.bytes_in,
            stats::BYTE_RATE_OUT => &mut rates.bytes_out,
            // Padding (11) aligns what follows; anything else is newer than this.
            _ => continue,
        };
        *slot = number(&attribute)?;
    }
    Ok((counters, rates))
}

/// Byte counters have 64 bits in both nests, the others as the nest has it.
fn number(attribute: &Attribute<'_>) -> Result<u64, Malformed> {
    match attribute.value().len() {
        4 => attribute.u32().map(u64::from),
        _ => attribute.u64(),
    }
}
