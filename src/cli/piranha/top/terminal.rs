//! The terminal: taken over, and given back as it was whatever happens.
#![allow(clippy::disallowed_methods, reason = "keys are read by a thread, for reading blocks")]

use std::io::{self, Stdout, Write};
use std::sync::Once;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};
use tokio::sync::mpsc;

use super::glyph::Looks;
use super::model::Model;
use super::update::Input;
use super::view;

/// How often the thread that reads keys looks whether anybody still wants them.
const LOOK: Duration = Duration::from_millis(200);

/// The terminal while it is ours. Dropping it gives it back.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    looks: Looks,
}

impl Screen {
    /// Takes the terminal over; a panic gives it back before it is told.
    pub(super) fn open(looks: Looks) -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let told = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                told(panic);
            }));
        });
        enable_raw_mode()?;
        // From here on dropping puts right what a failure leaves half done.
        let screen = Self { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))?, looks };
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        Ok(screen)
    }

    pub(super) fn draw(&mut self, model: &Model) -> io::Result<()> {
        let looks = self.looks;
        self.terminal.draw(|frame| view::draw(model, looks, frame.buffer_mut()))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Where this fails nothing more can be done: the terminal is gone.
fn give_back() {
    let _ = disable_raw_mode();
    let _ = execute!(io::stdout(), LeaveAlternateScreen, cursor::Show);
    let _ = io::stdout().flush();
}

/// Reads keys on a thread of its own until nobody wants them: reading blocks.
pub(super) fn spawn_keys(inputs: mpsc::Sender<Input>) {
    std::thread::spawn(move || {
        while !inputs.is_closed() {
            let input =
                match event::poll(LOOK).and_then(|ready| ready.then(event::read).transpose()) {
                    Ok(None) => continue,
                    Ok(Some(Event::Key(key))) => Input::Key(key),
                    Ok(Some(_)) => Input::Tick,
                    Err(_no_terminal) => Input::End,
                };
            let is_over = matches!(input, Input::End);
            if inputs.blocking_send(input).is_err() || is_over {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Has the test below be what panics.
    const PANICS: &str = "PIRANHA_TOP_PANICS";

    #[test]
    #[ignore = "needs script(1): tests/run terminal"]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        if std::env::var_os(PANICS).is_some() {
            let _screen = Screen::open(Looks::plain(None)).unwrap();
            panic!("made to panic");
        }
        let own = std::env::current_exe().unwrap();
        let name = concat!(module_path!(), "::a_panic_gives_the_terminal_back_before_it_is_told");
        let (_crate, name) = name.split_once("::").unwrap();
        let line = format!(
            "echo before=$(stty -g); {PANICS}=1 {} --exact {name} --ignored --nocapture; \
             echo after=$(stty -g)",
            own.display()
        );
        // It gives the line a terminal of its own, and prints what that shows.
        let output = Command::new("script").args(["-qec", &line, "/dev/null"]).output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let place = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no {text:?}: {shown}"));
        let (taken, back) = (place("\u{1b}[?1049h"), place("\u{1b}[?1049l"));
        assert!(taken < back && back < place("made to panic"), "{shown}");
        let settings = |when: &str| {
            let line = shown.lines().find_map(|line| line.strip_prefix(when));
            line.unwrap_or_else(|| panic!("no {when:?}: {shown}")).trim().to_owned()
        };
        assert_eq!(settings("before="), settings("after="));
    }
}
