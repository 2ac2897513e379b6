use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::formula::{historical, least, whole};
use super::{Load, LoadFormula};
use crate::health::{AgentMode, AgentReport, AgentState};
use crate::net::Weight;

/// What a load monitor has to say about one server of one service.
#[allow(clippy::exhaustive_enums, reason = "a weight, a drain, or out: there is no fourth thing")]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Steer {
    /// This weight instead of the configured one, in proportion while a slow start is under way.
    Weight(Weight),
    /// Weight 0: no new connections, and those there are go on.
    Drain,
    /// Out, as after failed checks.
    Out,
}

impl Steer {
    /// What becomes of `weight`, which its checks give a server of the full weight `full`: `None`
    /// to be out, 0 to be quiesced. `quiesce` says whether a server that is out stays with 0.
    ///
    /// A weight keeps its proportion to the full one, and stays above 0 if it was.
    #[must_use]
    pub fn apply(self, weight: Weight, full: Weight, quiesce: bool) -> Option<Weight> {
        match self {
            Self::Out => quiesce.then_some(Weight::ZERO),
            Self::Drain => Some(Weight::ZERO),
            Self::Weight(steered) => Some(in_proportion(weight, steered, full)),
        }
    }
}

fn in_proportion(weight: Weight, steered: Weight, full: Weight) -> Weight {
    let product = u64::from(weight.get()) * u64::from(steered.get());
    let share = product / u64::from(full.get().max(1));
    let least = u64::from(weight.get().min(steered.get()).min(1));
    let share = u32::try_from(share.max(least)).ok();
    share.and_then(|share| Weight::new(share).ok()).unwrap_or(Weight::MAX)
}

/// Follows the load of one server of one service, or what its agent says of it, and decides how
/// its weight is steered. Pure: readings go in, [`steer`](Self::steer) comes out. It holds no
/// time, because readings come at a fixed interval and each moves the weight by one step.
///
/// Load alone never takes a server out: its weight stays above 0. An agent can, by `0%`, `drain`,
/// `maint`, `down`, `fail` and `stopped`, and takes back only by the opposite word. With
/// [`LoadFormula::Smooth`] a server that comes back starts at its least weight.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadWeight {
    formula: LoadFormula,
    scale: u32,
    full: Weight,
    /// What [`LoadFormula::Smooth`] has come to, with its fraction.
    smooth: f64,
    /// In force while the server serves.
    weight: Weight,
    /// Whether the agent said 0 %.
    empty: bool,
    mode: AgentMode,
    state: AgentState,
    /// `maxconn:` of the agent's last line.
    most: Option<NonZeroU32>,
}

impl LoadWeight {
    /// Nothing is known yet of a server of the weight `full`: that is its weight.
    #[must_use]
    pub fn new(formula: LoadFormula, full: Weight) -> Self {
        Self {
            formula,
            scale: LoadFormula::SCALE,
            full,
            smooth: f64::from(full.get()),
            weight: full,
            empty: false,
            mode: AgentMode::Ready,
            state: AgentState::Up,
            most: None,
        }
    }

    /// The same with another bound of [`LoadFormula::Historical`], in configured weights.
    #[must_use]
    pub const fn with_scale(mut self, scale: u32) -> Self {
        self.scale = scale;
        self
    }

    /// Goes on with another configuration. With another weight or formula what was measured is
    /// forgotten; what the agent said of the server stays.
    pub fn configure(&mut self, formula: LoadFormula, full: Weight) {
        if (formula, full) != (self.formula, self.full) {
            let fresh = Self::new(formula, full).with_scale(self.scale);
            let (empty, mode, state, most) = (self.empty, self.mode, self.state, self.most);
            *self = Self { empty, mode, state, most, ..fresh };
        }
    }

    /// The load was measured.
    pub fn handle_load(&mut self, load: Load) {
        match self.formula {
            LoadFormula::Historical => {
                self.weight = historical(self.full, self.scale, self.weight, load);
            }
            LoadFormula::Smooth => self.approach(LoadFormula::target(self.full, load)),
        }
    }

    /// The agent said something.
    pub fn handle_report(&mut self, report: &AgentReport) {
        let served = self.serves();
        self.mode = report.mode.unwrap_or(self.mode);
        self.state = report.state.unwrap_or(self.state);
        self.empty = report.percent.map_or(self.empty, |percent| percent == 0);
        self.most = report.max_connections.and_then(NonZeroU32::new);
        if !served && self.serves() {
            self.restart();
        }
        if let Some(percent) = report.percent.filter(|&percent| percent > 0) {
            self.handle_percent(percent);
        }
    }

    /// What follows.
    #[must_use]
    pub const fn steer(&self) -> Steer {
        match (self.state, self.mode) {
            (AgentState::Down | AgentState::Fail | AgentState::Stopped, _)
            | (_, AgentMode::Maint) => Steer::Out,
            (AgentState::Up, AgentMode::Drain) => Steer::Drain,
            (AgentState::Up, AgentMode::Ready) if self.empty => Steer::Drain,
            (AgentState::Up, AgentMode::Ready) => Steer::Weight(self.weight),
        }
    }

    /// The word of the agent that keeps the server from serving; `None` while it serves.
    #[must_use]
    pub const fn hindrance(&self) -> Option<&'static str> {
        match (self.state, self.mode) {
            (AgentState::Up, AgentMode::Ready) if self.empty => Some("0%"),
            (AgentState::Up, AgentMode::Ready) => None,
            (AgentState::Up, mode) => Some(mode.word()),
            (state, _) => Some(state.word()),
        }
    }

    /// How many connections the agent wants the server to have at most. Unlike its other words
    /// this holds for as long as it is said: HAProxy has no word to take it back.
    #[must_use]
    pub const fn max_connections(&self) -> Option<NonZeroU32> {
        self.most
    }

    const fn serves(&self) -> bool {
        self.hindrance().is_none()
    }

    fn restart(&mut self) {
        if self.formula == LoadFormula::Smooth {
            self.smooth = least(f64::from(self.full.get()));
            self.weight = whole(self.smooth);
        }
    }

    fn handle_percent(&mut self, percent: u16) {
        let wanted = f64::from(self.full.get()) * f64::from(percent) / 100.0;
        let wanted = wanted.max(f64::from(self.full.get()).min(1.0));
        match self.formula {
            LoadFormula::Historical => self.weight = whole(wanted),
            LoadFormula::Smooth => self.approach(wanted),
        }
    }

    /// One step towards `target`. The weight in force follows at a distance, or when the target
    /// is reached.
    fn approach(&mut self, target: f64) {
        let full = f64::from(self.full.get());
        let step = (target - self.smooth) / 2.0;
        self.smooth += step.clamp(-full / 8.0, full / 8.0);
        let now = f64::from(self.weight.get());
        if (self.smooth - now).abs() >= (now / 8.0).max(1.0) {
            self.weight = whole(self.smooth.round());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn weight(number: u32) -> Weight {
        Weight::new(number).unwrap()
    }

    fn number(steered: &LoadWeight) -> u32 {
        match steered.steer() {
            Steer::Weight(weight) => weight.get(),
            other => panic!("{other:?}"),
        }
    }

    fn say(steered: &mut LoadWeight, line: &str) {
        steered.handle_report(&AgentReport::decode(line.as_bytes()).unwrap());
    }

    #[test]
    fn a_limit_holds_for_as_long_as_the_agent_says_it() {
        let mut steered = LoadWeight::new(LoadFormula::Smooth, weight(100));
        let mut most = |line| {
            say(&mut steered, line);
            steered.configure(LoadFormula::Historical, weight(100));
            steered.max_connections().map(NonZeroU32::get)
        };
        let said = ["up", "up maxconn:30", "75% maxconn:20", "maxconn:0", "maxconn:7", "ready"];
        assert_eq!(said.map(&mut most), [None, Some(30), Some(20), None, Some(7), None]);
    }

    #[test]
    fn what_an_agent_took_only_it_gives_back() {
        let mut steered = LoadWeight::new(LoadFormula::Smooth, weight(320));
        for (line, steer, why) in [
            ("drain", Steer::Drain, Some("drain")),
            ("50%", Steer::Drain, Some("drain")),
            ("stopped #deploy", Steer::Out, Some("stopped")),
            ("ready", Steer::Out, Some("stopped")),
            ("up maint", Steer::Out, Some("maint")),
            ("ready 0%", Steer::Drain, Some("0%")),
            ("up", Steer::Drain, Some("0%")),
        ] {
            say(&mut steered, line);
            assert_eq!((steered.steer(), steered.hindrance()), (steer, why), "{line}");
        }
        say(&mut steered, "100%");
        assert_eq!(number(&steered), 50, "it starts at its least weight, one step on");
    }

    #[test]
    fn the_historical_formula_takes_percentages_at_once() {
        let mut steered = LoadWeight::new(LoadFormula::Historical, weight(200));
        say(&mut steered, "25%");
        assert_eq!(number(&steered), 50);
        say(&mut steered, "300%");
        assert_eq!(number(&steered), 600);
    }

    #[test]
    fn another_configuration_forgets_what_was_measured_and_not_what_was_said() {
        let mut steered = LoadWeight::new(LoadFormula::Smooth, weight(800));
        steered.handle_load(Load::new(5.0).unwrap());
        let before = steered.clone();
        steered.configure(LoadFormula::Smooth, weight(800));
        assert_eq!(steered, before);
        say(&mut steered, "drain");
        steered.configure(LoadFormula::Smooth, weight(400));
        assert_eq!(steered.steer(), Steer::Drain);
    }

    fn any_formula() -> impl Strategy<Value = LoadFormula> {
        prop_oneof![Just(LoadFormula::Smooth), Just(LoadFormula::Historical)]
    }

    proptest! {
        #[test]
        fn load_alone_never_takes_a_server_out_and_stays_within_the_bounds(
            formula in any_formula(),
            full in 1..=Weight::MAX.get(),
            loads in proptest::collection::vec(0.0..1e5, 1..60),
        ) {
            let mut steered = LoadWeight::new(formula, weight(full));
            for load in loads {
                steered.handle_load(Load::new(load).unwrap());
                let now = u64::from(number(&steered));
                let most = match formula {
                    LoadFormula::Historical => u64::from(full) * 10,
                    LoadFormula::Smooth => u64::from(full),
                };
                let bottom = match formula {
                    LoadFormula::Historical => full,
                    LoadFormula::Smooth => (full / 32).max(1),
                };
                prop_assert!((u64::from(bottom)..=most).contains(&now), "{now} of {full}");
            }
        }

        #[test]
        fn a_weight_by_load_keeps_proportion_and_is_never_nothing(
            full in 1..=Weight::MAX.get(),
            eased in 1..=Weight::MAX.get(),
            steered in 1..=Weight::MAX.get(),
        ) {
            let apply = |eased| Steer::Weight(weight(steered)).apply(eased, weight(full), false);
            let result = apply(weight(eased.min(full))).unwrap().get();
            prop_assert!(result >= 1);
            prop_assert!(result <= steered, "a part of it while a slow start is under way");
            prop_assert_eq!(apply(weight(full)), Some(weight(steered)));
            prop_assert_eq!(apply(Weight::ZERO), Some(Weight::ZERO));
        }

        #[test]
        fn a_steady_load_leads_to_a_steady_weight_near_what_belongs_to_it(
            full in 32..=1_000_000_u32,
            first in 0.0..40.0,
            load in 0.0..40.0,
        ) {
            let mut steered = LoadWeight::new(LoadFormula::Smooth, weight(full));
            for _ in 0..60 {
                steered.handle_load(Load::new(first).unwrap());
            }
            let mut weights = Vec::new();
            for _ in 0..60 {
                steered.handle_load(Load::new(load).unwrap());
                weights.push(number(&steered));
            }
            let rises = weights.is_sorted();
            let falls = weights.is_sorted_by(|a, b| a >= b);
            prop_assert!(rises || falls, "it goes one way: {weights:?}");
            prop_assert_eq!(weights[40], weights[59], "and stays: {:?}", weights);
            let target = LoadFormula::target(weight(full), Load::new(load).unwrap());
            let missing = (f64::from(weights[59]) - target).abs();
            prop_assert!(missing <= f64::from(weights[59]) / 8.0 + 1.0, "{missing} from {target}");
        }

        #[test]
        fn one_reading_moves_the_smooth_weight_by_a_quarter_of_the_full_one_at_most(
            full in 32..=1_000_000_u32,
            loads in proptest::collection::vec(0.0..100.0, 1..60),
        ) {
            let mut steered = LoadWeight::new(LoadFormula::Smooth, weight(full));
            for load in loads {
                let before = number(&steered);
                steered.handle_load(Load::new(load).unwrap());
                let change = number(&steered).abs_diff(before);
                prop_assert!(change <= full / 4 + 2, "{before} by {change} of {full}");
            }
        }
    }
}
