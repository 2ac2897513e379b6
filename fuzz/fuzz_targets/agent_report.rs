//! What an agent on a real server says, and what load commands print: read or refused as a whole,
//! and what is read can be written so that it is read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use piranha::health::{AgentReport, Load, LoadFormula, LoadWeight, Steer};
use piranha::net::Weight;

fuzz_target!(|input: (&[u8], u32)| {
    let (bytes, weight) = input;
    let full = Weight::new(weight).unwrap_or(Weight::MAX);
    let formulas = [LoadFormula::Historical, LoadFormula::Smooth];
    let mut steered = formulas.map(|formula| LoadWeight::new(formula, full));
    for line in bytes.split(|&byte| byte == b'\n') {
        if let Ok(load) = Load::in_output(line) {
            steered.iter_mut().for_each(|one| one.handle_load(load));
        }
        if let Ok(report) = AgentReport::decode(line) {
            let again = AgentReport::decode(report.to_string().as_bytes());
            assert_eq!(again.as_ref(), Ok(&report));
            steered.iter_mut().for_each(|one| one.handle_report(&report));
        }
        for one in &steered {
            let nothing = one.steer() == Steer::Weight(Weight::ZERO);
            assert!(!nothing || full.is_quiesced());
        }
    }
});
