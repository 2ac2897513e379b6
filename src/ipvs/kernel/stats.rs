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

#[cfg(test)]
mod tests {
    use super::super::abi::service;
    use super::super::attribute::Writer;
    use super::*;

    /// Attributes of a service as a kernel sends them that has both nests, or only the older.
    fn nests(with_wide: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer(&mut bytes);
        writer.nest(service::STATS, |nest| {
            // Byte counters had 64 bits from the start.
            nest.u32(stats::CONNECTIONS, u32::MAX)
                .bytes(stats::BYTES_IN, &(1_u64 << 40).to_ne_bytes())
                .u32(stats::BYTE_RATE_OUT, 7);
        });
        if with_wide {
            writer.nest(service::STATS64, |nest| {
                nest.bytes(11, &[])
                    .bytes(stats::CONNECTIONS, &(1_u64 << 33).to_ne_bytes())
                    .bytes(stats::BYTES_IN, &(1_u64 << 41).to_ne_bytes());
            });
        }
        bytes
    }

    fn read_all(bytes: &[u8]) -> (Counters, Rates) {
        let mut totals = Totals::default();
        for attribute in Attributes::new(bytes).map(Result::unwrap) {
            match attribute.kind() {
                service::STATS => totals.read_narrow(&attribute).unwrap(),
                _ => totals.read_wide(&attribute).unwrap(),
            }
        }
        totals.best()
    }

    #[test]
    fn a_kernel_without_64_bit_counters_is_read_by_its_32_bit_ones() {
        let (counters, rates) = read_all(&nests(false));
        assert_eq!((counters.connections, counters.bytes_in), (u32::MAX.into(), 1 << 40));
        assert_eq!(rates.bytes_out, 7);
    }

    #[test]
    fn the_64_bit_counters_are_taken_where_both_come() {
        let (counters, rates) = read_all(&nests(true));
        assert_eq!((counters.connections, counters.bytes_in), (1 << 33, 1 << 41));
        assert_eq!(rates, Rates::default());
    }

    #[test]
    fn a_counter_of_another_length_is_malformed() {
        let mut bytes = Vec::new();
        Writer(&mut bytes).nest(service::STATS, |nest| {
            nest.bytes(stats::CONNECTIONS, &[0; 3]);
        });
        let nest = Attributes::new(&bytes).next().unwrap().unwrap();
        assert!(Totals::default().read_narrow(&nest).is_err());
    }
}
