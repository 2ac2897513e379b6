//! A change of lvs.cf on both nodes of a pair.
//!
//! Who changes it here asks the partner first: [`agree`] has it look at the draft as it would at one
//! of its own, and changes nothing. Then the draft is put in force here, there
//! ([`Agreement::put_in_force`]), and the files that go with it follow. What is on trial
//! here is on trial there, and either node takes it back by itself, whether or not it reaches the
//! other. A partner that agreed and then cannot do it has the change taken back here.
//! [`confirm`] and [`undo`] do on the partner what was done here.
//!
//! A partner whose lvs.cf is another one than here is never overruled. Everything goes over the
//! control sockets of this node and those that lead to the partner, which `piranha sync serve` has;
//! docs/synchronising.md is the reference.

mod outcome;

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::outcome::Here;
use super::checks::base64;
use super::configuration::fingerprint;
use super::control::{Client, ClientError, partner_directory};
use crate::control::Age;
use crate::control::peer::{FileText, PairStatus, PeerCall, SyncFile, SyncStep};
use crate::control::protocol::{Call, Daemon, Done};
use crate::control::revisions::{
    Application, Applied, Confirmation, Draft, Pending, Remark, Review,
};
use crate::control::sync::{Action, CONFIG, Direction, Standing, with_role_of, without_role};

/// How long the partner may take: files go over the network and are checked there.
const LIMIT: Duration = Duration::from_secs(60);

/// Why a change is not made on both nodes. Nothing was changed on either node, or it was taken back.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Objection {
    /// The partner cannot be asked.
    #[error("{node} cannot be asked: {reason}")]
    Unreachable {
        /// Its name.
        node: String,
        /// Why.
        reason: String,
    },
    /// The partner's lvs.cf is another one than that which the change begins with.
    #[error("{node} has another lvs.cf than this node: {standing}")]
    Differs {
        /// Its name.
        node: String,
        /// How lvs.cf stands, seen from here.
        standing: Standing,
    },
    /// The partner could not run it.
    #[error("{node} refuses it: {reason}")]
    Refused {
        /// Its name.
        node: String,
        /// Why.
        reason: String,
        /// Errors and warnings it has, with their places.
        remarks: Vec<Remark>,
    },
    /// The partner agreed, and then could not put it in force: it was taken back here.
    #[error("{node} could not put it in force, so it was taken back here: {reason}")]
    TakenBack {
        /// Its name.
        node: String,
        /// Why.
        reason: String,
    },
}

impl Objection {
    /// For programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "partner_unreachable",
            Self::Differs { .. } => "partner_differs",
            Self::Refused { .. } => "partner_refuses",
            Self::TakenBack { .. } => "partner_failed",
        }
    }

    /// What to do about it, beside forcing the change on this node alone.
    #[must_use]
    pub const fn mend(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "see that `piranha sync serve` runs on both nodes",
            Self::Differs { .. } => {
                "compare with `piranha sync diff`; `sync run` or `sync resolve` make both the same"
            }
            Self::Refused { .. } => "mend the draft, or what the partner lacks",
            Self::TakenBack { .. } => "mend what the partner lacks, and apply it again",
        }
    }

    fn unreachable(node: &str, error: &ClientError) -> Self {
        Self::Unreachable { node: node.to_owned(), reason: error.to_string() }
    }

    fn refused(node: &str, reason: impl Into<String>) -> Self {
        Self::Refused { node: node.to_owned(), reason: reason.into(), remarks: Vec::new() }
    }
}

/// A draft that the partner could run.
#[derive(Clone, Debug)]
pub struct Agreement {
    node: String,
    /// The hash of the file it looked at.
    base: String,
    /// The draft, with the role of the partner.
    text: String,
    /// The revision that was in force here.
    before: Option<u64>,
}

/// What became of a change on the partner.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Brought {
    /// Whether the partner has it.
    pub done: bool,
    /// Why not.
    pub why: Option<String>,
    /// Whether it is brought there as soon as the partner can be reached.
    pub owed: bool,
    /// Until when it must be confirmed there too, if it must.
    pub pending: Option<Pending>,
    /// What was done about the files that go with it.
    pub steps: Vec<SyncStep>,
    /// Whether it was taken back here, because the partner agreed and then could not do it.
    pub taken_back: bool,
}

impl Brought {
    /// It is not there, because of this.
    #[must_use]
    pub fn failed(why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..Self::default() }
    }

    /// The same, or why a change that `node` agreed to is on neither node.
    ///
    /// # Errors
    /// [`Objection::TakenBack`].
    pub fn kept(self, node: &str) -> Result<Self, Objection> {
        if !self.taken_back {
            return Ok(self);
        }
        let reason = self.why.unwrap_or_default();
        Err(Objection::TakenBack { node: node.to_owned(), reason })
    }
}

/// Asks the partner of the node whose sockets are in `control` whether it could run `draft`, one of
/// this node, as its lvs.cf. `None` where this node is paired with no other, or runs no
/// `piranha sync serve`.
///
/// # Errors
/// [`Objection`].
pub async fn agree(control: &Path, draft: &Draft) -> Result<Option<Agreement>, Objection> {
    let Some(node) = partner(control).await? else { return Ok(None) };
    let lost = |error: ClientError| Objection::unreachable(&node, &error);
    if let Some(standing) = standing(control).await.map_err(lost)?
        && !matches!(standing, Standing::Same | Standing::LocalNewer)
    {
        return Err(Objection::Differs { node, standing });
    }
    let gates = partner_directory(control);
    let theirs = file(&gates).await.map_err(lost)?;
    let ours = text(control, draft).await.map_err(lost)?;
    let text = with_role_of(&theirs, &ours);
    let text = text.map_err(|error| Objection::refused(&node, error.to_string()))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (review, pending) = review(&gates, &text).await.map_err(lost)?;
    if let Some(Pending { revision, .. }) = pending {
        let reason = format!("revision {revision} waits to be confirmed there");
        return Err(Objection::refused(&node, reason));
    }
    let base = fingerprint(&theirs);
    if review.base.as_ref() != Some(&base) {
        return Err(Objection::Differs { node, standing: Standing::PeerNewer });
    }
    if !review.usable {
        return Err(not_usable(node, review));
    }
    let before = before(control).await.map_err(lost)?;
    Ok(Some(Agreement { node, base, text, before }))
}

impl Agreement {
    /// The name of the partner.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Puts it in force on the partner, as it was `here`: on trial for as long if it is on trial
    /// here; else the files that go with it follow.
    ///
    /// Where the partner does not do it after all, it is taken back here, so that both have the same.
    /// A partner that cannot be reached, so that nobody knows, is owed it instead.
    pub async fn put_in_force(
        self,
        control: &Path,
        here: &Applied,
        reason: Option<String>,
        on_behalf_of: Option<String>,
    ) -> Brought {
        let mut lvs = match Client::connect(&partner_directory(control), Daemon::Lvs).await {
            Ok(lvs) => lvs,
            Err(error) => return later(control, &error).await,
        };
        let mut wanted = Application::new(Draft::Text(self.text.clone()));
        wanted.base = Some(self.base.clone());
        wanted.confirm = here.pending.as_ref().map_or(Confirmation::Never, |pending| {
            Confirmation::Within(Age(pending.until.since(pending.since)))
        });
        (wanted.reason, wanted.on_behalf_of) = (reason, on_behalf_of.clone());
        match lvs.apply_config(wanted).await {
            Ok(Applied { pending: Some(pending), .. }) => {
                Brought { done: true, pending: Some(pending), ..Brought::default() }
            }
            Ok(_) => files(control).await,
            Err(error) => {
                let on_behalf_of = on_behalf_of.as_deref();
                self.failed(&Here { control, applied: here, on_behalf_of }, error).await
            }
        }
    }
}

/// What is to be said of the partner after a change that was forced on this node alone. One that
/// can be reached keeps what it has; one that cannot is owed the change. `None` as of [`agree`].
pub async fn leave(control: &Path) -> Option<Brought> {
    Some(match reach(control, Daemon::Peer).await? {
        Ok(_) => alone(),
        Err(unreached) => unreached,
    })
}

/// Keeps the change on the partner that was confirmed here, and brings what goes with it. `None` as
/// of [`agree`].
pub async fn confirm(control: &Path, on_behalf_of: Option<&str>) -> Option<Brought> {
    let confirmed = match reach(control, Daemon::Lvs).await? {
        Ok(mut lvs) => confirm_there(control, &mut lvs, on_behalf_of).await,
        Err(unreached) => return Some(unreached),
    };
    Some(match confirmed {
        Ok(None) => files(control).await,
        Ok(Some(left)) => left,
        Err(error) => Brought::failed(error.to_string()),
    })
}

/// Takes the change back on the partner that was taken back here, and brings what goes with that.
/// `None` as of [`agree`].
pub async fn undo(
    control: &Path,
    reason: Option<&str>,
    on_behalf_of: Option<&str>,
) -> Option<Brought> {
    let undone = match reach(control, Daemon::Lvs).await? {
        Ok(mut lvs) => undo_there(control, &mut lvs, reason, on_behalf_of).await,
        Err(unreached) => return Some(unreached),
    };
    Some(match undone {
        Ok(None) => files(control).await,
        Ok(Some(left)) => left,
        Err(error) => Brought::failed(error.to_string()),
    })
}

/// Nothing where the partner has what is here; else what is to be said of it.
async fn confirm_there(
    control: &Path,
    lvs: &mut Client,
    on_behalf_of: Option<&str>,
) -> Result<Option<Brought>, ClientError> {
    let pending = lvs.config_history().await?.standing.pending;
    let same = standing(control).await? == Some(Standing::Same);
    Ok(match (pending, same) {
        (Some(_), true) => {
            lvs.confirm_config(on_behalf_of).await?;
            None
        }
        // Another change that waits there is not this one's to keep.
        (Some(_), false) => Some(other_change()),
        (None, true) => None,
        (None, false) => Some(alone()),
    })
}

/// The same, of what was taken back.
async fn undo_there(
    control: &Path,
    lvs: &mut Client,
    reason: Option<&str>,
    on_behalf_of: Option<&str>,
) -> Result<Option<Brought>, ClientError> {
    let Some(Pending { base, .. }) = lvs.config_history().await?.standing.pending else {
        return Ok(None);
    };
    let before = lvs.config_text(&base.to_string()).await?.text;
    if without_role(before.as_bytes()) != without_role(&file(control).await?) {
        return Ok(Some(other_change()));
    }
    lvs.undo_config(reason, on_behalf_of).await?;
    Ok(None)
}

fn alone() -> Brought {
    Brought::failed("this node alone has it; `piranha sync run` brings it there")
}

fn other_change() -> Brought {
    Brought::failed("another change waits to be confirmed there")
}

/// A daemon of the partner, or what is to be said where it cannot be reached.
async fn reach(control: &Path, daemon: Daemon) -> Option<Result<Client, Brought>> {
    match partner(control).await {
        Ok(partner) => drop(partner?),
        Err(objection) => return Some(Err(Brought::failed(objection.to_string()))),
    }
    Some(match Client::connect(&partner_directory(control), daemon).await {
        Ok(client) => Ok(client),
        Err(error) => Err(later(control, &error).await),
    })
}

/// The name of the partner.
async fn partner(control: &Path) -> Result<Option<String>, Objection> {
    let lost = |error: &ClientError| Objection::unreachable("the partner", error);
    let mut peer = match Client::connect(control, Daemon::Peer).await {
        Err(ClientError::Unreachable { source, .. }) if source.kind() == ErrorKind::NotFound => {
            return Ok(None);
        }
        connected => connected.map_err(|error| lost(&error))?,
    };
    let status = peer.call::<PairStatus>(Call::Peer(PeerCall::PairStatus), LIMIT).await;
    Ok(status.map_err(|error| lost(&error))?.partner.map(|partner| partner.node))
}

/// How lvs.cf stands; `None` where nobody says.
async fn standing(control: &Path) -> Result<Option<Standing>, ClientError> {
    let files: Vec<SyncFile> = ask(control, PeerCall::SyncStatus).await?;
    Ok(files.into_iter().find(|file| file.name == CONFIG).map(|file| file.standing))
}

/// The revision in force here.
async fn before(control: &Path) -> Result<Option<u64>, ClientError> {
    Ok(Client::connect(control, Daemon::Lvs).await?.config_history().await?.standing.revision)
}

/// What a draft of this node says.
async fn text(control: &Path, draft: &Draft) -> Result<Vec<u8>, ClientError> {
    match draft {
        Draft::Text(text) => Ok(text.clone().into_bytes()),
        Draft::Revision(name) => {
            let mut lvs = Client::connect(control, Daemon::Lvs).await?;
            Ok(lvs.config_text(name).await?.text.into_bytes())
        }
        Draft::File | Draft::Upload => file(control).await,
    }
}

/// What is in lvs.cf of the node whose sockets are in `control`.
async fn file(control: &Path) -> Result<Vec<u8>, ClientError> {
    let file: FileText = ask(control, PeerCall::File { name: CONFIG.to_owned() }).await?;
    let text = base64::decode(&file.base64);
    text.ok_or_else(|| ClientError::Protocol("lvs.cf came in another form".to_owned()))
}

/// What `lvs` says about a draft, and whether another one waits to be confirmed.
async fn review(control: &Path, text: &str) -> Result<(Review, Option<Pending>), ClientError> {
    let mut lvs = Client::connect(control, Daemon::Lvs).await?;
    let pending = lvs.config_history().await?.standing.pending;
    Ok((lvs.review_config(Draft::Text(text.to_owned())).await?, pending))
}

fn not_usable(node: String, review: Review) -> Objection {
    let error =
        review.remarks.iter().find(|remark| remark.severity == crate::config::Severity::Error);
    let error = error.map(|remark| {
        let Remark { file, code, message, span, .. } = remark;
        format!("{file}:{}: {code}: {message}", span.start)
    });
    let reason = review.refusal.or(error).unwrap_or_else(|| "it has errors".to_owned());
    Objection::Refused { node, reason, remarks: review.remarks }
}

/// Brings what is newer here to the partner, and no conflict. One that cannot be reached is owed it.
async fn files(control: &Path) -> Brought {
    let call = PeerCall::SyncRun { direction: Direction::Push, dry_run: false };
    match ask::<Vec<SyncStep>>(control, call).await {
        Ok(steps) => {
            let why = steps.iter().find_map(left);
            Brought { done: why.is_none(), why, steps, ..Brought::default() }
        }
        Err(error) => later(control, &error).await,
    }
}

/// Why a file is not there, if it is not.
fn left(step: &SyncStep) -> Option<String> {
    let SyncStep { name, standing, action, problem, .. } = step;
    match problem {
        Some(why) => Some(format!("{name}: {why}")),
        None => (*action == Action::Leave).then(|| format!("{name}: {standing}")),
    }
}

/// The partner is owed it.
async fn later(control: &Path, error: &ClientError) -> Brought {
    let owed = ask::<Done>(control, PeerCall::SyncLater).await.is_ok();
    Brought { owed, ..Brought::failed(error.to_string()) }
}

async fn ask<T: DeserializeOwned>(control: &Path, call: PeerCall) -> Result<T, ClientError> {
    Client::connect(control, Daemon::Peer).await?.call(Call::Peer(call), LIMIT).await
}
