//! `piranha top`: what a director does, live in a terminal.
//!
//! [`Model`] is what is known and what of it is looked at; [`update`](update::update) changes it by
//! what comes in and says what is to be done; [`view`] draws it. All three are pure. The terminal
//! and the daemons are at the edges: [`terminal`] and [`source`].

mod form;
mod glyph;
mod model;
mod rows;
mod source;
mod terminal;
#[cfg(test)]
mod tests;
mod trend;
mod update;
mod view;

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use self::glyph::{Glyphs, Looks};
use self::model::{Model, View};
use self::source::Source;
use self::terminal::Screen;
use self::update::{Action, Input, update};
use super::place::Place;
use super::{print, span};
use crate::cli::{Failure, on_one_thread};
use crate::control::protocol::Servers;
use crate::runtime::clock;

/// How often the picture is drawn where nothing comes in: ages grow.
const TICK: Duration = Duration::from_millis(500);

/// What may wait to be taken in.
const INPUTS: usize = 256;

/// What a terminal has that does not say.
const USUAL_SIZE: (u16, u16) = (80, 24);

/// Show what a director does, live: overview, services, servers, cluster, checks, events.
///
/// Keys: 1-6 and Tab views, arrows, / filter, s sort, p pause, Enter more, d drain, r ready,
/// x disable, w weight, F failover, ? help, q quit.
#[derive(Debug, Args)]
pub(super) struct Top {
    #[command(flatten)]
    place: Place,
    /// Change nothing: keys that would are refused.
    #[arg(short, long)]
    read_only: bool,
    /// How often the daemons are asked.
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = span::parse)]
    interval: Duration,
    /// The view to begin with.
    #[arg(long, value_enum, default_value = "overview")]
    view: View,
    /// What shapes and curves are drawn with; by the locale and the terminal if not given.
    #[arg(long, value_enum)]
    glyphs: Option<Glyphs>,
    /// Print one picture as text, and end. As large as COLUMNS and LINES say, else 80x24.
    #[arg(long)]
    once: bool,
    /// Print so many pictures as text, one each interval, and end.
    #[arg(long, value_name = "N", conflicts_with = "once")]
    frames: Option<u32>,
}

impl Top {
    pub(super) fn run(self) -> Result<u8, Failure> {
        if self.place.json {
            return Err(Failure::new("a picture has no JSON: use `piranha status --json --watch`"));
        }
        on_one_thread(async move {
            match (self.once, self.frames) {
                (true, _) => self.print(1).await,
                (_, Some(frames)) => self.print(frames).await,
                _ => self.live().await,
            }
        })
    }

    /// Draws until `q`, or a signal.
    async fn live(&self) -> Result<u8, Failure> {
        if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
            return Err(Failure::new("this is no terminal: `piranha top --once` prints a picture"));
        }
        let mut model = self.model();
        let (sender, mut inputs) = mpsc::channel(INPUTS);
        let (wish, wanted) = watch::channel(model.wanted());
        let source = Source::new(self.place.clone(), sender.clone());
        source.spawn(wanted, self.interval);
        let mut signals = Signals::new()?;
        let mut screen = Screen::open(Looks::of_terminal(self.glyphs))?;
        terminal::spawn_keys(sender);
        loop {
            screen.draw(&model)?;
            let input = tokio::select! {
                input = inputs.recv() => input,
                code = signals.next() => return Ok(code),
                () = tokio::time::sleep(TICK) => Some(Input::Tick),
            };
            let Some(input) = input else { return Ok(0) };
            // A burst is one picture.
            let burst = std::iter::from_fn(|| inputs.try_recv().ok());
            for input in std::iter::once(input).chain(burst.take(INPUTS)) {
                match update(&mut model, clock::now(), input) {
                    Some(Action::Quit) => return Ok(0),
                    Some(action) => source.carry_out(action),
                    None => {}
                }
            }
            wish.send_if_modified(|wish| std::mem::replace(wish, model.wanted()) != *wish);
        }
    }

    /// Prints pictures as text.
    async fn print(&self, frames: u32) -> Result<u8, Failure> {
        let mut model = self.model();
        let (columns, rows) = (number("COLUMNS"), number("LINES"));
        let (columns, rows) = (columns.unwrap_or(USUAL_SIZE.0), rows.unwrap_or(USUAL_SIZE.1));
        for frame in 0..frames {
            if frame > 0 {
                tokio::time::sleep(self.interval).await;
            }
            for input in source::look(&self.place, Servers::All).await {
                let _no_key_was_pressed = update(&mut model, clock::now(), input);
            }
            let mut picture = Buffer::empty(Rect::new(0, 0, columns, rows));
            view::draw(&model, Looks::plain(self.glyphs), &mut picture);
            print(text(&picture))?;
        }
        Ok(if model.is_pulse_known() { 0 } else { 3 })
    }

    fn model(&self) -> Model {
        Model::new(clock::now(), self.interval, self.view, self.read_only)
    }
}

/// A picture as lines of text.
fn text(picture: &Buffer) -> String {
    let width = usize::from(picture.area.width).max(1);
    let line = |cells: &[ratatui::buffer::Cell]| {
        let line: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned() + "\n"
    };
    picture.content.chunks(width).map(line).collect()
}

fn number(variable: &str) -> Option<u16> {
    std::env::var_os(variable)?.to_str()?.parse().ok().filter(|&number| number > 0)
}

/// The signals that end it, after which the terminal must be as it was.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The exit code a shell gives for the signal that came.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.terminate.recv() => 128 + 15,
            _ = self.interrupt.recv() => 128 + 2,
            _ = self.hang_up.recv() => 128 + 1,
        }
    }
}
