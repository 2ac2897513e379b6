//! Who has an address, asked once.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use super::announce::Speaker;
use super::rival::Lookout;
use crate::wire::ethernet::MacAddr;
use crate::wire::rtnetlink::Link;

/// Stations that are told of: more at once are no answers.
const MOST: usize = 1024;

/// Asks on each link, with one frame, who has the address, without claiming it; returns what came
/// within `patience`.
///
/// # Errors
/// The operating system's, without `CAP_NET_RAW` above all.
pub(in crate::runtime) async fn ask(
    wanted: &[(&Link, IpAddr)],
    patience: Duration,
) -> io::Result<BTreeSet<(IpAddr, MacAddr)>> {
    let (mut lookout, speaker) = (Lookout::open()?, Speaker::open()?);
    for (link, address) in wanted {
        // A link that is down has no neighbours.
        let _unasked = speaker.probe(link, *address);
    }
    let mut heard = BTreeSet::new();
    let listening = async {
        while heard.len() < MOST {
            let claims = lookout.next().await?;
            let meant =
                |(claimed, _): &(IpAddr, MacAddr)| wanted.iter().any(|one| one.1 == *claimed);
            heard.extend(claims.into_iter().filter(meant));
        }
        Ok(())
    };
    match tokio::time::timeout(patience, listening).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => Ok(heard),
    }
}
