//! `piranha config apply`, `restore`, `confirm`, `undo` and `reload`: changes through `lvs`, which
//! takes back what is not confirmed whether or not this command is still there.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::input::Input;
use crate::cli::piranha::place::{Place, refused};
use crate::cli::piranha::table::Screen;
use crate::cli::piranha::{print, print_json, show, span};
use crate::cli::{Failure, on_one_thread};
use crate::control::Age;
use crate::control::protocol::Daemon;
use crate::control::revisions::{Application, Applied, Confirmation, Draft, Review};

/// What every change has in common.
#[derive(Debug, clap::Args)]
struct Change {
    #[command(flatten)]
    place: Place,
    /// Take it back unless it is confirmed within this time. By default that is a minute where a
    /// floating address or the way to the partner is touched.
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    confirm_in: Option<Duration>,
    /// Let it hold at once.
    #[arg(long, conflicts_with = "confirm_in")]
    no_confirm: bool,
    /// Say what is wrong with it and what it would change, and change nothing.
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Why, for the log and the history.
    #[arg(short, long)]
    reason: Option<String>,
    /// Replace what somebody edited by hand and nobody applied. It is kept in the history.
    #[arg(long)]
    force: bool,
}

/// `piranha config apply`
#[derive(Debug, clap::Args)]
pub(in crate::cli::piranha) struct Apply {
    #[command(flatten)]
    change: Change,
    /// The new configuration; - is standard input. Without it, what is in the director's file now.
    file: Option<PathBuf>,
    /// The hash of the file this was made from: refused if the file is another one by now.
    #[arg(long, value_name = "HASH")]
    base: Option<String>,
}

/// `piranha config restore`
#[derive(Debug, clap::Args)]
pub(in crate::cli::piranha) struct Restore {
    #[command(flatten)]
    change: Change,
    /// Its number, or how its hash begins.
    revision: String,
}

/// `piranha config confirm`
#[derive(Debug, clap::Args)]
pub(in crate::cli::piranha) struct Confirm {
    #[command(flatten)]
    place: Place,
}

/// `piranha config undo`
#[derive(Debug, clap::Args)]
pub(in crate::cli::piranha) struct Undo {
    #[command(flatten)]
    place: Place,
    /// Why, for the log and the history.
    #[arg(short, long)]
    reason: Option<String>,
}

/// `piranha config reload`
#[derive(Debug, clap::Args)]
pub(in crate::cli::piranha) struct Reload {
    #[command(flatten)]
    place: Place,
}

impl Apply {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let (draft, name) = self.draft()?;
        self.change.run(draft, &name, self.base)
    }

    /// The new configuration, and what to call it.
    fn draft(&self) -> Result<(Draft, String), Failure> {
        let own = self.change.place.file();
        let Some(file) = self.file.as_ref().filter(|file| !is_same(file, own)) else {
            return Ok((Draft::File, own.display().to_string()));
        };
        let Input { name, bytes } = Input::read(file)?;
        let text = String::from_utf8(bytes).map_err(|_bytes| {
            Failure::new(format!("{name} is not in UTF-8: iconv(1) makes it so"))
        })?;
        Ok((Draft::Text(text), name))
    }
}

impl Restore {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let name = format!("revision {}", self.revision);
        self.change.run(Draft::Revision(self.revision), &name, None)
    }
}

impl Confirm {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            let mut lvs = self.place.connect(Daemon::Lvs).await?;
            let done = lvs.confirm_config(None).await.map_err(refused)?;
            tell(&self.place, &done, format!("{}\n", done.done))
        })
    }
}

impl Undo {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            let mut lvs = self.place.connect(Daemon::Lvs).await?;
            let undone = lvs.undo_config(self.reason.as_deref(), None).await.map_err(refused)?;
            tell_applied(&self.place, &undone)
        })
    }
}

impl Reload {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            let mut lvs = self.place.connect(Daemon::Lvs).await?;
            let done = lvs.reload().await.map_err(refused)?;
            tell(&self.place, &done, format!("{}\n", done.done))
        })
    }
}

impl Change {
    fn run(self, draft: Draft, name: &str, base: Option<String>) -> Result<u8, Failure> {
        on_one_thread(async move {
            let mut lvs = self.place.connect(Daemon::Lvs).await?;
            let review = lvs.review_config(draft.clone()).await.map_err(refused)?;
            if self.dry_run && self.place.json {
                print_json(&serde_json::to_value(&review)?)?;
                return Ok(u8::from(!review.usable));
            }
            self.tell_review(&review, name)?;
            if !review.usable {
                let reason = review.refusal.unwrap_or_else(|| "it has errors".to_owned());
                return Err(Failure::new(format!("{name}: {reason}; nothing was changed")));
            }
            if self.dry_run {
                return Ok(0);
            }
            let mut wanted = Application::new(draft);
            // What the changes were compared with is what may be replaced.
            wanted.base = base.or(review.base.filter(|base| *base == review.in_force));
            wanted.confirm = self.confirmation();
            (wanted.reason, wanted.force) = (self.reason, self.force);
            if wanted.draft == Draft::File {
                wanted.base = Some(review.hash);
            }
            let applied = lvs.apply_config(wanted).await.map_err(refused)?;
            tell_applied(&self.place, &applied)
        })
    }

    fn confirmation(&self) -> Confirmation {
        match self.confirm_in {
            Some(window) => Confirmation::Within(Age(window)),
            None if self.no_confirm => Confirmation::Never,
            None => Confirmation::Auto,
        }
    }

    fn tell_review(&self, review: &Review, name: &str) -> Result<(), Failure> {
        let path = self.place.file().to_string_lossy();
        eprint!("{}", show::remarks(&review.remarks, &path, name));
        if self.place.json || !review.usable {
            return Ok(());
        }
        let lines: String = review.changes.iter().map(|one| format!("{}\n", one.text)).collect();
        let nothing = if lines.is_empty() { "nothing that counts differs\n" } else { "" };
        let ask = self.dry_run && review.confirm;
        let ask = if ask { "this is to be confirmed within a minute\n" } else { "" };
        print(lines + nothing + ask)
    }
}

#[allow(clippy::disallowed_methods, reason = "a program's command line, not the pure core")]
fn is_same(one: &std::path::Path, other: &std::path::Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

fn tell_applied(place: &Place, applied: &Applied) -> Result<u8, Failure> {
    tell(place, applied, show::applied(applied, Screen::of_stdout()))
}

fn tell(place: &Place, value: &impl serde::Serialize, text: String) -> Result<u8, Failure> {
    if place.json {
        print_json(&serde_json::to_value(value)?)?;
    } else {
        print(text)?;
    }
    Ok(0)
}
