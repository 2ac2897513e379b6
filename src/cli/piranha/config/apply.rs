//! `piranha config apply`, `restore`, `confirm`, `undo` and `reload`: changes through `lvs`, which
//! takes back what is not confirmed whether or not this command is still there.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::input::Input;
use crate::cli::piranha::place::{Place, refused};
use crate::cli::piranha::table::Screen;
use crate::cli::piranha::{print, print_json, show, span};
use crate::cli::{Failure, on_one_thread};
use crate::control::Age;
use crate::control::protocol::Daemon;
use crate::control::revisions::{Application, Applied, Confirmation, Draft, Review};
use crate::runtime::accord::{self, Agreement, Brought, Objection};

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
    /// Change this node alone, without asking the partner. One that cannot be reached gets it when
    /// it can; the status of both says that they differ.
    #[arg(long)]
    force_local: bool,
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
            let brought = if self.place.is_own() {
                accord::confirm(&self.place.directory(), None).await
            } else {
                None
            };
            let text = format!("{}\n", done.done);
            tell(&self.place, &with_partner(&done, brought.as_ref())?, text + &of_partner(brought))
        })
    }
}

impl Undo {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            let mut lvs = self.place.connect(Daemon::Lvs).await?;
            let reason = self.reason.as_deref();
            let undone = lvs.undo_config(reason, None).await.map_err(refused)?;
            let brought = if self.place.is_own() {
                accord::undo(&self.place.directory(), reason, None).await
            } else {
                None
            };
            tell_applied(&self.place, &undone, brought)
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
            let agreement = self.agreement(&draft).await?;
            if self.dry_run {
                return Ok(0);
            }
            let mut wanted = Application::new(draft);
            // What the changes were compared with is what may be replaced.
            wanted.base = base.or(review.base.filter(|base| *base == review.in_force));
            wanted.confirm = self.confirmation();
            (wanted.reason, wanted.force) = (self.reason.clone(), self.force);
            if wanted.draft == Draft::File {
                wanted.base = Some(review.hash);
            }
            let applied = lvs.apply_config(wanted).await.map_err(refused)?;
            let control = self.place.directory();
            let brought = match agreement {
                Some(agreed) => {
                    let node = agreed.node().to_owned();
                    let brought = agreed.put_in_force(&control, &applied, self.reason, None).await;
                    Some(brought.kept(&node).map_err(|objection| Self::objected(&objection))?)
                }
                None if self.force_local => accord::leave(&control).await,
                None => None,
            };
            tell_applied(&self.place, &applied, brought)
        })
    }

    /// The partner's word on the draft, unless this node, or the other one, is to be changed alone.
    async fn agreement(&self, draft: &Draft) -> Result<Option<Agreement>, Failure> {
        if self.force_local || !self.place.is_own() {
            return Ok(None);
        }
        let agreed = accord::agree(&self.place.directory(), draft).await;
        agreed.map_err(|objection| Self::objected(&objection))
    }

    fn objected(objection: &Objection) -> Failure {
        if let Objection::Refused { remarks, .. } = objection {
            eprint!("{}", show::remarks(remarks, "", ""));
        }
        let nothing = match objection {
            Objection::TakenBack { .. } => "",
            _ => "; nothing was changed",
        };
        Failure::new(format!(
            "{objection}{nothing}\n  mend: {}; `--force-local` changes this node alone",
            objection.mend()
        ))
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

fn tell_applied(place: &Place, applied: &Applied, brought: Option<Brought>) -> Result<u8, Failure> {
    let value = with_partner(applied, brought.as_ref())?;
    tell(place, &value, show::applied(applied, Screen::of_stdout()) + &of_partner(brought))
}

/// What was done, with what became of it on the partner as a field of its own.
fn with_partner(done: &impl Serialize, brought: Option<&Brought>) -> Result<Value, Failure> {
    let mut value = serde_json::to_value(done)?;
    if let Some(brought) = brought {
        value["partner"] = serde_json::to_value(brought)?;
    }
    Ok(value)
}

/// What became of a change on the partner, in words.
fn of_partner(brought: Option<Brought>) -> String {
    let Some(brought) = brought else { return String::new() };
    match (brought.why, brought.owed, brought.pending) {
        (None, _, Some(_)) => "the partner has it too, to be confirmed as it is here\n".to_owned(),
        (None, _, None) => "the partner has it too\n".to_owned(),
        (Some(why), false, _) => format!("the partner does not have it: {why}\n"),
        (Some(why), true, _) => {
            format!("the partner gets it when it can be reached: {why}\n")
        }
    }
}

fn tell(place: &Place, value: &impl Serialize, text: String) -> Result<u8, Failure> {
    if place.json {
        print_json(&serde_json::to_value(value)?)?;
    } else {
        print(text)?;
    }
    Ok(0)
}
