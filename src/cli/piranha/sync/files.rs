//! `piranha sync status`, `run`, `resolve` and `diff`

use clap::{Args, Subcommand};

use crate::cli::piranha::pair::{ask, show};
use crate::cli::piranha::place::Place;
use crate::cli::piranha::print;
use crate::cli::{Failure, on_one_thread};
use crate::control::peer::{FileText, PeerCall, SyncFile, SyncStep};
use crate::control::sync::{Action, CONFIG, Direction, Standing};
use crate::runtime::checks::base64;

/// The exit code where the nodes differ, or a file was left as it was.
const DIFFERENT: u8 = 1;

/// The commands about files.
#[derive(Debug, Subcommand)]
pub(in crate::cli::piranha) enum Command {
    /// Say how each file stands on the two nodes.
    ///
    /// Exit codes: 0 both have the same, 1 they differ.
    Status {
        #[command(flatten)]
        place: Place,
    },
    /// Show in what a file differs: - is here, + is there.
    ///
    /// Exit codes: 0 both have the same, 1 they differ.
    Diff {
        #[command(flatten)]
        place: Place,
        /// The file, by the name that `sync status` shows.
        #[arg(default_value = CONFIG)]
        file: String,
    },
    /// Bring each file from where it is newer to the other node. Conflicts are left.
    ///
    /// Exit codes: 0 both have the same now, 1 something was left or failed.
    Run(Run),
    /// Make a file the same on both nodes, the version of one of them.
    Resolve {
        #[command(flatten)]
        place: Place,
        /// The file, by the name that `sync status` shows.
        file: String,
        /// What is here.
        #[arg(long, conflicts_with = "theirs", required_unless_present = "theirs")]
        mine: bool,
        /// What the partner has.
        #[arg(long)]
        theirs: bool,
    },
}

/// What may be done.
#[derive(Debug, Args)]
pub(in crate::cli::piranha) struct Run {
    #[command(flatten)]
    place: Place,
    /// Only say what would be done.
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Only from here to the partner.
    #[arg(long, conflicts_with = "pull")]
    push: bool,
    /// Only from the partner to here.
    #[arg(long)]
    pull: bool,
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            match self {
                Self::Status { place } => {
                    let files: Vec<SyncFile> = ask(&place, PeerCall::SyncStatus).await?;
                    show(&place, &files, || files.iter().map(stand).collect())?;
                    Ok(code(files.iter().all(|file| is_settled(file.standing))))
                }
                Self::Diff { place, file } => diff(&place, file).await,
                Self::Run(run) => run.run().await,
                Self::Resolve { place, file, mine, theirs: _ } => {
                    let steps: Vec<SyncStep> =
                        ask(&place, PeerCall::SyncResolve { name: file, mine }).await?;
                    told(&place, &steps, false)
                }
            }
        })
    }
}

impl Run {
    async fn run(&self) -> Result<u8, Failure> {
        let direction = match (self.push, self.pull) {
            (true, _) => Direction::Push,
            (_, true) => Direction::Pull,
            _ => Direction::Both,
        };
        let call = PeerCall::SyncRun { direction, dry_run: self.dry_run };
        let steps: Vec<SyncStep> = ask(&self.place, call).await?;
        told(&self.place, &steps, self.dry_run)
    }
}

fn told(place: &Place, steps: &[SyncStep], dry_run: bool) -> Result<u8, Failure> {
    let line = |step: &SyncStep| {
        let SyncStep { name, standing, action, problem, .. } = step;
        let problem = problem.as_ref().map(|why| format!(", failed: {why}"));
        let would = if dry_run { "would " } else { "" };
        format!("{name}: {standing}, {would}{action}{}\n", problem.unwrap_or_default())
    };
    show(place, &steps, || match steps {
        [] => "nothing to do\n".to_owned(),
        steps => steps.iter().map(line).collect(),
    })?;
    let is_done = |step: &SyncStep| step.problem.is_none() && step.action != Action::Leave;
    Ok(code(steps.iter().all(is_done)))
}

fn is_settled(standing: Standing) -> bool {
    matches!(standing, Standing::Same | Standing::Excluded)
}

const fn code(good: bool) -> u8 {
    if good { 0 } else { DIFFERENT }
}

fn stand(file: &SyncFile) -> String {
    let why = file.excluded.as_ref().map(|why| format!("  {why}")).unwrap_or_default();
    format!("{:13} {}{why}\n", file.standing, file.name)
}

async fn diff(place: &Place, name: String) -> Result<u8, Failure> {
    let files: Vec<SyncFile> = ask(place, PeerCall::SyncStatus).await?;
    let Some(file) = files.into_iter().find(|file| file.name == name) else {
        return Err(Failure::new(format!("no lvs.cf of the pair names {name}")));
    };
    if file.standing == Standing::Same {
        return Ok(code(true));
    }
    let here = match file.here {
        Some(_) => text(place, &name).await?,
        None => Vec::new(),
    };
    let there = match file.there {
        Some(_) => text(&place.partner(), &name).await?,
        None => Vec::new(),
    };
    print(differing(&here, &there))?;
    Ok(code(false))
}

/// The lines of a file.
async fn text(place: &Place, name: &str) -> Result<Vec<String>, Failure> {
    let file: FileText = ask(place, PeerCall::File { name: name.to_owned() }).await?;
    let bytes = base64::decode(&file.base64).unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).lines().map(ToOwned::to_owned).collect())
}

/// The lines of `here` and of `there` between what both begin and end with.
fn differing(here: &[String], there: &[String]) -> String {
    let before = here.iter().zip(there).take_while(|(a, b)| a == b).count();
    let (here, there) = (&here[before..], &there[before..]);
    let after = here.iter().rev().zip(there.iter().rev()).take_while(|(a, b)| a == b).count();
    let (here, there) = (&here[..here.len() - after], &there[..there.len() - after]);
    let minus = here.iter().map(|line| format!("-{line}\n"));
    let plus = there.iter().map(|line| format!("+{line}\n"));
    format!("@@ line {} @@\n", before + 1) + &minus.chain(plus).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_differ_are_shown() {
        let lines = |text: &str| text.lines().map(ToOwned::to_owned).collect::<Vec<_>>();
        let shown = differing(&lines("a\nb\nc\nd"), &lines("a\nx\ny\nd"));
        assert_eq!(shown, "@@ line 2 @@\n-b\n-c\n+x\n+y\n");
        assert_eq!(differing(&[], &lines("a")), "@@ line 1 @@\n+a\n");
        assert_eq!(differing(&lines("a\na"), &lines("a")), "@@ line 2 @@\n-a\n");
    }
}
