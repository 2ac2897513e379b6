//! A monitor, its driver, and a server that comes and goes, in simulated time.

use super::*;

/// A stretch of the server's life.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    millis: u64,
    sound: bool,
    /// How long an answer takes.
    latency: u64,
}

/// What goes wrong on the side of the director.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    /// Every so many wake-ups it stands still for `stall` milliseconds.
    every: u64,
    stall: u64,
}

struct World {
    monitor: Monitor,
    now: Instant,
    /// The answer under way: when it comes, and what it says.
    answer: Option<(ProbeId, Instant, bool)>,
    trouble: Trouble,
    wake_ups: u64,
    held: Option<Weight>,
}

impl World {
    fn new(config: MonitorConfig, trouble: Trouble) -> Self {
        let monitor = Monitor::new(at(0), config);
        Self { monitor, now: at(0), answer: None, trouble, wake_ups: 0, held: None }
    }

    /// Lives through a stretch and checks the laws after each event.
    fn live(&mut self, stretch: Stretch) -> Result<(), TestCaseError> {
        let end = self.now + Duration::from_millis(stretch.millis);
        self.obey(stretch)?;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = self.now.max(next) + self.stall();
            let (health, late) = (self.monitor.health(), self.monitor.counters.late);
            match self.answer.take_if(|(_, comes, _)| *comes <= self.now) {
                Some((id, _, passed)) => {
                    let due = self.monitor.probe.is_some_and(|probe| probe.id == id);
                    let result = if passed { Ok(()) } else { Err(Failure::Refused) };
                    self.monitor.handle_result(self.now, id, result);
                    let unheard = self.monitor.health() == health;
                    prop_assert!(due || unheard, "late and yet of effect");
                    prop_assert_eq!(self.monitor.counters.late, late + u64::from(!due));
                }
                None => self.monitor.handle_timeout(self.now),
            }
            self.obey(stretch)?;
        }
        self.now = self.now.max(end);
        Ok(())
    }

    fn next(&self) -> Option<Instant> {
        let answer = self.answer.map_or(Instant::MAX, |(_, comes, _)| comes);
        self.monitor.poll_timeout().map(|due| due.min(answer))
    }

    fn stall(&mut self) -> Duration {
        self.wake_ups += 1;
        let stalls = self.wake_ups.is_multiple_of(self.trouble.every);
        Duration::from_millis(if stalls { self.trouble.stall } else { 0 })
    }

    fn obey(&mut self, stretch: Stretch) -> Result<(), TestCaseError> {
        for output in drain(&mut self.monitor) {
            match output {
                Output::Probe { id, .. } => {
                    // A real answer may still be on its way when its check was given up.
                    let comes = self.now + Duration::from_millis(stretch.latency);
                    self.answer = Some((id, comes, stretch.sound));
                }
                Output::Cancel { id } => {
                    let given_up = self.answer.is_none_or(|(other, ..)| other == id);
                    prop_assert!(given_up, "two checks at a time");
                }
                Output::Changed { from, to, .. } => prop_assert_ne!(from, to),
                Output::Override(_) => {}
                Output::Weight(weight) => self.held = weight,
            }
        }
        let config = self.monitor.config();
        prop_assert_eq!(self.held, self.monitor.held);
        prop_assert!(self.held.is_none_or(|held| held <= config.weight()));
        if !self.monitor.health().is_in() {
            prop_assert!(self.held.is_none_or(|held| held.is_quiesced() && config.quiesce()));
        }
        Ok(())
    }
}

fn any_stretch() -> impl Strategy<Value = Stretch> {
    (1..20_000_u64, any::<bool>(), 0..3000_u64).prop_map(|(millis, sound, latency)| Stretch {
        millis,
        sound,
        latency,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_server_that_settles_ends_up_as_it_is_whatever_came_before(
        config in any_config(),
        life in proptest::collection::vec(any_stretch(), 0..20),
        trouble in (1..50_u64, 0..10_000_u64),
        sound: bool,
    ) {
        let mut world = World::new(config, Trouble { every: trouble.0, stall: trouble.1 });
        for stretch in life {
            world.live(stretch)?;
        }
        world.trouble.stall = 0;
        // Time for the whole of a damped rise and of a slow start.
        world.live(Stretch { millis: 1_000_000, sound, latency: 0 })?;
        prop_assert_eq!(world.monitor.health(), if sound { Health::Up } else { Health::Down });
        if sound {
            prop_assert_eq!(world.held, Some(config.weight()));
        }
    }

    #[test]
    fn a_director_that_stands_still_takes_no_sound_server_out(
        config in any_config(),
        every in 1..20_u64,
        stall in 1..60_000_u64,
    ) {
        let mut world = World::new(
            config.with_initial_state(InitialState::Up),
            Trouble { every, stall },
        );
        // Answers come within the time of a check, were it not for the director.
        world.live(Stretch { millis: 300_000, sound: true, latency: 0 })?;
        prop_assert_eq!(world.monitor.status().counters.failed, 0);
        prop_assert_eq!(world.monitor.health(), Health::Up);
    }
}
