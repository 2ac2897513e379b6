//! `piranha pair`

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use clap::Subcommand;
use serde::de::DeserializeOwned;

use super::place::{Place, refused};
use super::{print, print_json};
use crate::cli::{Failure, on_one_thread};
use crate::control::peer::{Offer, PORT, PairStatus, PartnerStatus, PeerCall};
use crate::control::protocol::{Call, Daemon, Done};
use crate::health::Pin;

/// How long the other node and a stretched code may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The commands about who this node is paired with.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a one-time code with which the other node can be paired with this one.
    ///
    /// It can be used for ten minutes, and tried five times.
    New {
        #[command(flatten)]
        place: Place,
    },
    /// Pair this node with the one that printed CODE.
    Join {
        #[command(flatten)]
        place: Place,
        /// Where the other node listens: ADDRESS, ADDRESS:PORT, \[IPV6\]:PORT, or a name.
        address: String,
        /// The code it printed.
        code: String,
        /// The fingerprint it printed, to be compared too.
        #[arg(long, value_name = "PIN")]
        fingerprint: Option<Pin>,
    },
    /// Say who this node is paired with.
    Status {
        #[command(flatten)]
        place: Place,
    },
    /// Make a new key for this node and tell the partner.
    Rotate {
        #[command(flatten)]
        place: Place,
    },
    /// Forget the partner, on both nodes if it can be reached.
    Remove {
        #[command(flatten)]
        place: Place,
    },
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            match self {
                Self::New { place } => {
                    let offer: Offer = ask(&place, PeerCall::PairNew).await?;
                    show(&place, &offer, || offered(&offer))
                }
                Self::Join { place, address, code, fingerprint } => {
                    let address = resolve(&address)?;
                    let call = PeerCall::PairJoin { address, code, fingerprint };
                    let status: PairStatus = ask(&place, call).await?;
                    show(&place, &status, || known(&status))
                }
                Self::Status { place } => {
                    let status: PairStatus = ask(&place, PeerCall::PairStatus).await?;
                    show(&place, &status, || known(&status))
                }
                Self::Rotate { place } => {
                    let done: Done = ask(&place, PeerCall::PairRotate).await?;
                    show(&place, &done, || format!("{}\n", done.done))
                }
                Self::Remove { place } => {
                    let done: Done = ask(&place, PeerCall::PairRemove).await?;
                    show(&place, &done, || format!("{}\n", done.done))
                }
            }
        })
    }
}

/// Asks the program that has the connection to the partner.
pub(super) async fn ask<T: DeserializeOwned>(place: &Place, call: PeerCall) -> Result<T, Failure> {
    let mut peer = place.connect(Daemon::Peer).await?;
    peer.call(Call::Peer(call), LIMIT).await.map_err(refused)
}

/// Prints `value`, as JSON where that is wanted.
pub(super) fn show(
    place: &Place,
    value: &impl serde::Serialize,
    words: impl FnOnce() -> String,
) -> Result<u8, Failure> {
    if place.json {
        print_json(&serde_json::to_value(value)?)?;
    } else {
        print(words())?;
    }
    Ok(0)
}

fn offered(offer: &Offer) -> String {
    let Offer { code, until, fingerprint, addresses, .. } = offer;
    let address = addresses.first().map_or_else(|| "ADDRESS".to_owned(), ToString::to_string);
    format!(
        "code         {code}\nuntil        {until}\nfingerprint  {fingerprint}\n\n\
         On the other node, as root:\n    piranha pair join {address} {code}\n"
    )
}

fn known(status: &PairStatus) -> String {
    let own = format!("{}  {}\n", status.node, status.fingerprint);
    let partner = match &status.partner {
        Some(partner) => reached(partner),
        None => "no partner: `piranha pair new` on one node, `piranha pair join` on the other\n"
            .to_owned(),
    };
    let offered = status.offered_until.map(|until| format!("a code is offered until {until}\n"));
    let turned_away: u64 = status.refused.values().sum();
    let refused = (turned_away > 0).then(|| {
        let each = status.refused.iter().map(|(reason, count)| format!("{count} {reason}"));
        format!("turned away: {}\n", each.collect::<Vec<_>>().join(", "))
    });
    let owed = status.owed_since.map(|since| {
        format!("changed here without the partner since {since}: it gets that when it is reached\n")
    });
    let parts = [Some(partner), owed, offered, refused];
    own + &parts.into_iter().flatten().collect::<String>()
}

fn reached(partner: &PartnerStatus) -> String {
    let PartnerStatus { node, fingerprint, address, since, .. } = partner;
    let heard = match (&partner.problem, partner.heard) {
        (Some(problem), _) => format!("not reached: {problem}"),
        (None, Some(age)) => format!("spoken with {age} ago"),
        (None, None) => "not spoken with yet".to_owned(),
    };
    format!("{node}  {fingerprint}\n    {address}, partner since {since}, {heard}\n")
}

/// The first address of what somebody typed.
fn resolve(text: &str) -> Result<SocketAddr, Failure> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, PORT));
    }
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let found = match text.rsplit_once(':') {
        Some(_) => text.to_socket_addrs(),
        None => (text, PORT).to_socket_addrs(),
    };
    let none = || Failure::new(format!("`{text}` is no address and no name of one"));
    found.map_err(|_unknown| none())?.next().ok_or_else(none)
}
