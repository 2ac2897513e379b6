//! Servers whose load follows their weights, in a closed loop.
//!
//! Each is a queue: at a utilisation of r its load is r / (1 - r), and 49 beyond its limit. The
//! load average is a minute behind, and is read each `interval`.

use proptest::prelude::*;

use super::{Load, LoadFormula, LoadWeight, Steer};
use crate::net::Weight;

const FULL: u32 = 1000;
const SECONDS: usize = 2 * 3600;

struct Farm {
    formula: LoadFormula,
    /// Requests a second that each server can do.
    strengths: Vec<f64>,
    /// What comes in, as a share of all they can do together.
    demand: f64,
    /// Seconds between two readings.
    interval: usize,
}

struct Course {
    /// The weights of each server over the second half of the time.
    weights: Vec<Vec<u32>>,
    /// The load averages at the end.
    averages: Vec<f64>,
}

impl Farm {
    fn run(&self) -> Course {
        let full = Weight::new(FULL).unwrap();
        let mut steered = vec![LoadWeight::new(self.formula, full); self.strengths.len()];
        let mut averages = vec![0.0; steered.len()];
        let mut weights = vec![Vec::new(); steered.len()];
        let arriving = self.demand * self.strengths.iter().sum::<f64>();
        for second in 0..SECONDS {
            let shares: Vec<_> = steered.iter().map(|one| f64::from(number(one))).collect();
            let sum: f64 = shares.iter().sum();
            for (server, share) in shares.iter().enumerate() {
                let load = queue(arriving * share / sum / self.strengths[server]);
                averages[server] += (load - averages[server]) / 60.0;
                if second % self.interval == 0 {
                    steered[server].handle_load(Load::new(averages[server]).unwrap());
                }
                if second > SECONDS / 2 {
                    weights[server].push(number(&steered[server]));
                }
            }
        }
        Course { weights, averages }
    }
}

fn queue(utilisation: f64) -> f64 {
    if utilisation < 0.98 { utilisation / (1.0 - utilisation) } else { 49.0 }
}

fn number(steered: &LoadWeight) -> u32 {
    match steered.steer() {
        Steer::Weight(weight) => weight.get(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_weaker_than_its_weight_is_relieved_where_the_historical_formula_leaves_it() {
    let farm =
        |formula| Farm { formula, strengths: vec![100.0, 40.0], demand: 0.75, interval: 10 }.run();
    let smooth = farm(LoadFormula::Smooth).averages;
    assert!(smooth[1] < 15.0, "{smooth:?}");
    let historical = farm(LoadFormula::Historical).averages;
    assert!(historical[1] > 40.0, "{historical:?}");
}

#[test]
fn equal_servers_keep_equal_weights() {
    for demand in [0.1, 0.5, 0.95, 1.5] {
        let strengths = vec![100.0; 3];
        let course =
            Farm { formula: LoadFormula::Smooth, strengths, demand, interval: 5 }.run().weights;
        assert!(course.iter().all(|weights| weights == &course[0]));
        assert!(course[0].iter().all(|&weight| weight == course[0][0]), "and steady ones");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn weights_settle_and_do_not_swing(
        strengths in proptest::collection::vec(10.0..100.0, 2..6),
        demand in 0.05..1.2,
        interval in 1..=30_usize,
    ) {
        let farm = Farm { formula: LoadFormula::Smooth, strengths, demand, interval };
        for weights in farm.run().weights {
            let (least, most) = (*weights.iter().min().unwrap(), *weights.iter().max().unwrap());
            prop_assert!(most - least <= most / 3 + 2, "{least} to {most}");
        }
    }
}
