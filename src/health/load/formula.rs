use std::fmt;

use serde::{Deserialize, Serialize};

use super::Load;
use crate::net::Weight;

/// How weights follow the load of servers.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadFormula {
    /// Piranha 0.8.6's: below a load of 1 the weight rises by half of the configured one times
    /// the cube root of what is missing to 1, up to `scale` (10) times the configured one; above
    /// it falls by the same with what is beyond 1, down to the configured one. A change of less
    /// than a quarter of the configured weight is left out.
    ///
    /// It never goes below the configured weight, so a server that is much weaker than its weight
    /// says stays overloaded, and it does not know how many processors there are.
    Historical,
    /// The configured weight divided by the square root of 1 plus the load, approached slowly:
    /// each reading goes half of the way, and at most an eighth of the configured weight. The
    /// weight in force follows once it is an eighth of itself away. Never above the configured
    /// weight, and never below a 32nd of it or below 1.
    ///
    /// A server with twice the load loses less than a third of its weight, so that two servers do
    /// not throw their load at each other; the small steps cover for a load average that is a
    /// minute behind. Without the root, simulated servers near their limit (the simulation is
    /// among the tests) swung by two thirds of their weight; with it, by a quarter.
    #[default]
    Smooth,
}

impl LoadFormula {
    /// How many times the configured weight [`Historical`](Self::Historical) goes up to: the
    /// default of nanny's `--scale`.
    pub const SCALE: u32 = 10;

    /// The name in lvs.cf.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Historical => "historical",
            Self::Smooth => "smooth",
        }
    }

    /// The weight that a server of the weight `full` comes to if `load` stays, with
    /// [`Smooth`](Self::Smooth).
    pub(super) fn target(full: Weight, load: Load) -> f64 {
        let full = f64::from(full.get());
        (full / (1.0 + load.get()).sqrt()).max(least(full))
    }

    /// The share of a server's strength that is left at `load`, 1 to 100 percent: what
    /// [`Smooth`](Self::Smooth) makes of it.
    #[must_use]
    pub fn percent_left(load: Load) -> u16 {
        percent(1.0 / (1.0 + load.get()).sqrt())
    }

    /// The share that is left where `used` of the whole is in use, 1 to 100 percent.
    #[must_use]
    pub fn percent_unused(used: f64) -> u16 {
        percent(1.0 - used)
    }
}

impl fmt::Display for LoadFormula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn percent(share: f64) -> u16 {
    let percent = (share * 100.0).round();
    (1..=100).rev().find(|&whole| f64::from(whole) <= percent).unwrap_or(1)
}

/// 0.8.6: the weight after `current`, of a server configured with `full`.
pub(super) fn historical(full: Weight, scale: u32, current: Weight, load: Load) -> Weight {
    let (base, now) = (f64::from(full.get()), f64::from(current.get()));
    let missing = 1.0 - load.get();
    let next = now + base / 2.0 * missing.cbrt();
    let next = whole(next.clamp(base, base * f64::from(scale.max(1))));
    let change = next.get().abs_diff(current.get());
    if f64::from(change) >= base / 4.0 { next } else { current }
}

/// The least weight by load of a server of the weight `full`.
pub(super) fn least(full: f64) -> f64 {
    (full / 32.0).max(1.0).min(full)
}

/// The weight with the whole part of `value`.
pub(super) fn whole(value: f64) -> Weight {
    let bounded = value.clamp(0.0, f64::from(Weight::MAX.get()));
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is within the bounds of a weight, and its fraction is to go"
    )]
    let number = bounded as u32;
    Weight::new(number).unwrap_or(Weight::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(full: u32, current: u32, load: f64) -> u32 {
        let weight = |number| Weight::new(number).unwrap();
        historical(weight(full), 10, weight(current), Load::new(load).unwrap()).get()
    }

    #[test]
    fn the_historical_formula_goes_by_half_the_weight_times_a_cube_root() {
        assert_eq!(step(2000, 2000, 0.0), 3000);
        assert_eq!(step(2000, 3000, 0.875), 3500);
        assert_eq!(step(2000, 3500, 2.0), 2500);
        assert_eq!(step(2000, 19_500, 0.0), 20_000);
    }

    #[test]
    fn the_historical_formula_leaves_out_changes_of_less_than_a_quarter() {
        assert_eq!(step(2000, 3000, 0.95), 3000);
        assert_eq!(step(2000, 3000, 1.0), 3000);
        assert_eq!(step(2000, 19_600, 0.0), 19_600, "the last step to the bound is too small");
        assert_eq!(step(1, 1, 0.0), 1, "half of 1 is nothing");
    }

    #[test]
    fn the_historical_formula_never_goes_below_the_configured_weight() {
        assert_eq!(step(2000, 2500, 1000.0), 2000);
        assert_eq!(step(2000, 2000, 1000.0), 2000);
    }

    #[test]
    fn what_is_left_of_a_server_is_never_nothing() {
        let left = |load| LoadFormula::percent_left(Load::new(load).unwrap());
        let unused = LoadFormula::percent_unused;
        assert_eq!([unused(-1.0), unused(0.255), unused(1.5), unused(f64::NAN)], [100, 75, 1, 1]);
        assert_eq!((left(0.0), left(1.0), left(3.0), left(1e6)), (100, 71, 50, 1));
    }
}
