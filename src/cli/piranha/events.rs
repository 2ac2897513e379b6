//! `piranha events`

use std::time::Duration;

use clap::Args;

use super::place::Place;
use super::{print, span};
use crate::cli::{Failure, on_one_thread};
use crate::control::protocol::{Daemon, Events};
use crate::control::{Client, ClientError, Heard, Record, Timestamp};
use crate::runtime::control::now;

/// How often a daemon that is gone is looked for again.
const LOOK: Duration = Duration::from_secs(1);

/// List what has happened, and what happens.
#[derive(Debug, Args)]
pub(super) struct Command {
    #[command(flatten)]
    place: Place,
    /// Go on with what happens from now on, until interrupted.
    #[arg(short, long)]
    follow: bool,
    /// Only what happened within this time.
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    since: Option<Duration>,
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            let since = self
                .since
                .map_or(Timestamp(0), |span| Timestamp(now().0.saturating_sub(millis(span))));
            let (pulse, lvs) = tokio::join!(self.open(Daemon::Pulse), self.open(Daemon::Lvs));
            let both_silent = pulse.is_err() && lvs.is_err();
            let mut past = Vec::new();
            let mut open = Vec::new();
            for (daemon, opened) in [(Daemon::Pulse, pulse), (Daemon::Lvs, lvs)] {
                match opened {
                    Ok((client, events)) => {
                        past.extend(events.events.into_iter().map(|record| (daemon, record)));
                        open.push((daemon, client));
                    }
                    Err(error) => eprintln!("piranha: {error}"),
                }
            }
            past.retain(|(_, record)| record.at >= since);
            past.sort_by_key(|(_, record)| record.at);
            for (daemon, record) in past {
                self.tell(daemon, &record)?;
            }
            if both_silent {
                return Ok(3);
            }
            if self.follow {
                self.go_on(open).await?;
            }
            Ok(0)
        })
    }

    async fn open(&self, daemon: Daemon) -> Result<(Client, Events), ClientError> {
        let mut client = self.place.client(daemon).await?;
        let events = if self.follow { client.follow(0).await? } else { client.events(0).await? };
        Ok((client, events))
    }

    /// Tells what happens, of both daemons. One that is started again is found again.
    async fn go_on(&self, open: Vec<(Daemon, Client)>) -> Result<(), Failure> {
        let (mut pulse, mut lvs) = (None, None);
        for (daemon, client) in open {
            match daemon {
                Daemon::Pulse => pulse = Some(client),
                _ => lvs = Some(client),
            }
        }
        loop {
            tokio::select! {
                heard = next(&mut pulse) => self.on_heard(Daemon::Pulse, &mut pulse, heard)?,
                heard = next(&mut lvs) => self.on_heard(Daemon::Lvs, &mut lvs, heard)?,
                () = tokio::time::sleep(LOOK), if pulse.is_none() || lvs.is_none() => {
                    self.find(Daemon::Pulse, &mut pulse).await?;
                    self.find(Daemon::Lvs, &mut lvs).await?;
                }
            }
        }
    }

    async fn find(&self, daemon: Daemon, client: &mut Option<Client>) -> Result<(), Failure> {
        if client.is_some() {
            return Ok(());
        }
        if let Ok((found, events)) = self.open(daemon).await {
            for record in &events.events {
                self.tell(daemon, record)?;
            }
            *client = Some(found);
        }
        Ok(())
    }

    fn on_heard(
        &self,
        daemon: Daemon,
        client: &mut Option<Client>,
        heard: Result<Heard, ClientError>,
    ) -> Result<(), Failure> {
        match heard {
            Ok(Heard::Event(record)) => self.tell(daemon, &record),
            Ok(Heard::Lost(lost)) => {
                eprintln!("piranha: {lost} events of {daemon} came too fast");
                Ok(())
            }
            Err(error) => {
                eprintln!("piranha: {error}");
                *client = None;
                Ok(())
            }
        }
    }

    fn tell(&self, daemon: Daemon, record: &Record) -> Result<(), Failure> {
        if self.place.json {
            let mut value = serde_json::to_value(record)?;
            value["daemon"] = daemon.name().into();
            return print(value.to_string() + "\n");
        }
        let event = &record.event;
        let why = event.why().map(|why| format!(" ({why})")).unwrap_or_default();
        print(format!("{} {}: {event}{why}\n", record.at, event.subsystem()))
    }
}

async fn next(client: &mut Option<Client>) -> Result<Heard, ClientError> {
    match client {
        Some(client) => client.next_event().await,
        None => std::future::pending().await,
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
