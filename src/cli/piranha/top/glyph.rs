//! Shapes and curves, for terminals that can and for those that cannot.

use ratatui::style::{Color, Modifier, Style};

use super::super::table::Tone;
use super::trend::Trend;
use crate::control::status::{Grade, ServerState, ServiceState};
use crate::failover::State;

/// What shapes and curves are drawn with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum Glyphs {
    /// Curves of eight dots a cell.
    Braille,
    /// Curves of blocks: the Linux console has no braille.
    Block,
    /// Nothing but ASCII.
    Ascii,
}

impl Glyphs {
    /// What the locale and the terminal allow.
    fn by(locale: &str, terminal: &str) -> Self {
        let locale = locale.to_lowercase();
        if !locale.contains("utf-8") && !locale.contains("utf8") {
            Self::Ascii
        } else if terminal == "linux" {
            Self::Block
        } else {
            Self::Braille
        }
    }

    fn detected() -> Self {
        let value = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
        let set = |name: &&str| value(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default();
        Self::by(&locale, &value("TERM").unwrap_or_default())
    }
}

/// How a picture is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    pub(super) glyphs: Glyphs,
    pub(super) is_colored: bool,
}

impl Looks {
    /// For this terminal; `NO_COLOR` and `TERM=dumb` turn colours off.
    pub(super) fn of_terminal(chosen: Option<Glyphs>) -> Self {
        let is_colored = super::super::table::Screen::of_stdout().colored;
        Self { glyphs: chosen.unwrap_or_else(Glyphs::detected), is_colored }
    }

    /// For text.
    pub(super) fn plain(chosen: Option<Glyphs>) -> Self {
        Self { glyphs: chosen.unwrap_or_else(Glyphs::detected), is_colored: false }
    }

    /// How a word stands out: never by colour alone, its shape and itself say it too.
    pub(super) fn style(self, tone: Tone) -> Style {
        let color = match tone {
            Tone::Plain => return Style::new(),
            Tone::Good => Color::Green,
            Tone::Warning => Color::Yellow,
            Tone::Bad => Color::Red,
        };
        match (self.is_colored, tone) {
            (true, _) => Style::new().fg(color),
            (false, Tone::Bad) => Style::new().add_modifier(Modifier::BOLD),
            (false, _) => Style::new(),
        }
    }

    /// The row that is meant.
    pub(super) const fn selection() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) const fn server(self, state: ServerState) -> char {
        self.either(match state {
            ServerState::Up => ('●', '*'),
            ServerState::Rising => ('◐', '+'),
            ServerState::Falling => ('◑', '-'),
            ServerState::Down => ('◆', 'X'),
            ServerState::Draining => ('◧', 'v'),
            ServerState::Disabled => ('□', 'o'),
            ServerState::Waiting => ('○', '.'),
            ServerState::Unknown => ('?', '?'),
        })
    }

    pub(super) const fn service(self, state: ServiceState) -> char {
        self.either(match state {
            ServiceState::Up => ('●', '*'),
            ServiceState::Degraded => ('▲', '!'),
            ServiceState::Sorry => ('△', '~'),
            ServiceState::Down => ('◆', 'X'),
            ServiceState::Starting => ('?', '?'),
            ServiceState::Elsewhere => ('○', '.'),
        })
    }

    pub(super) const fn node(self, state: State) -> char {
        self.either(match state {
            State::Active => ('●', '*'),
            State::Standby => ('○', '.'),
            State::Acquiring | State::Starting => ('◐', '+'),
            State::Releasing => ('◑', '-'),
            State::Failed => ('◆', 'X'),
            State::Stopped => ('□', 'o'),
        })
    }

    pub(super) const fn grade(self, grade: Grade) -> char {
        self.either(match grade {
            Grade::Ok => ('●', '*'),
            Grade::Warning => ('▲', '!'),
            Grade::Critical => ('◆', 'X'),
            Grade::Unknown => ('?', '?'),
        })
    }

    /// The last readings as a curve of so many cells, as high as the highest of them.
    pub(super) fn curve(self, trend: &Trend, width: usize) -> String {
        let per_cell = if self.glyphs == Glyphs::Braille { 2 } else { 1 };
        let readings: Vec<_> = trend.last(width * per_cell).collect();
        let top = readings.iter().flatten().copied().max().unwrap_or(0).max(1);
        // The newest stand at the right.
        let mut padded = vec![None; width * per_cell - readings.len()];
        padded.extend(readings);
        padded.chunks(per_cell).map(|cell| self.cell(cell, top)).collect()
    }

    fn cell(self, readings: &[Option<u64>], top: u64) -> char {
        match self.glyphs {
            Glyphs::Braille => braille(readings, top),
            Glyphs::Block => {
                level(readings[0], top, &[' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'])
            }
            Glyphs::Ascii => {
                level(readings[0], top, &[' ', '_', '.', ':', '-', '=', '+', '*', '#'])
            }
        }
    }

    const fn either(self, (shape, letter): (char, char)) -> char {
        match self.glyphs {
            Glyphs::Ascii => letter,
            Glyphs::Braille | Glyphs::Block => shape,
        }
    }
}

/// One of `steps` by how much of `top` a reading is; the first is for one that is not known.
fn level(reading: Option<u64>, top: u64, steps: &[char; 9]) -> char {
    let Some(reading) = reading else { return steps[0] };
    let step = 1 + reading.saturating_mul(7) / top;
    steps[usize::try_from(step).unwrap_or(8).min(8)]
}

/// Two columns of up to four dots, which grow from below.
fn braille(readings: &[Option<u64>], top: u64) -> char {
    const COLUMNS: [[u32; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];
    let column = |(dots, reading): (&[u32; 4], &Option<u64>)| {
        let Some(reading) = reading else { return 0 };
        let height = 1 + reading.saturating_mul(3) / top;
        let height = usize::try_from(height).unwrap_or(4).min(4);
        dots[..height].iter().sum::<u32>()
    };
    let dots = COLUMNS.iter().zip(readings).map(column).sum::<u32>();
    char::from_u32(0x2800 + dots).unwrap_or(' ')
}

pub(super) const fn word(state: ServerState) -> &'static str {
    match state {
        ServerState::Up => "UP",
        ServerState::Rising => "RISING",
        ServerState::Falling => "FALLING",
        ServerState::Down => "DOWN",
        ServerState::Draining => "DRAIN",
        ServerState::Disabled => "OFF",
        ServerState::Waiting => "WAITING",
        ServerState::Unknown => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_follow_what_the_terminal_can_show() {
        assert_eq!(Glyphs::by("de_DE.UTF-8", "xterm-256color"), Glyphs::Braille);
        assert_eq!(Glyphs::by("C.utf8", "linux"), Glyphs::Block);
        assert_eq!(Glyphs::by("", "xterm"), Glyphs::Ascii);
        assert_eq!(Glyphs::by("POSIX", "xterm"), Glyphs::Ascii);
    }

    #[test]
    fn a_curve_has_the_width_it_was_given_and_grows_with_its_readings() {
        let mut trend = Trend::default();
        [None, Some(0), Some(50), Some(100)].into_iter().for_each(|reading| trend.add(reading));
        let curve = |glyphs| Looks { glyphs, is_colored: false }.curve(&trend, 4);
        assert_eq!(curve(Glyphs::Ascii), " _-#");
        assert_eq!(curve(Glyphs::Block), " ▁▄█");
        assert_eq!(curve(Glyphs::Braille), "⠀⠀⢀⣼");
    }
}
