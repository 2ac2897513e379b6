//! Who holds the addresses: between a heartbeat and its data plane.

mod leases;
mod neighbours;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::mpsc;

use self::leases::{cannot, refused};
use self::neighbours::claims;
use super::announce::Speaker;
use super::devices::{self, Devices, Links};
use super::guard::{Guard, Lease};
use super::rival::Lookout;
use super::route::{Monitor, Route};
use super::{Options, lifetime};
use crate::control::Event;
use crate::control::supervision::{Report, Request, Terms};
use crate::failover::announcer::Announcer;
use crate::failover::{ActionError, ActionId, VirtualAddress};
use crate::runtime::announced::Announced;
use crate::runtime::beat::Listener;
use crate::runtime::clock;
use crate::runtime::heartbeat::{self, Observer};
use crate::time::Instant;
use crate::wire::ethernet::MacAddr;
use crate::wire::rtnetlink::{Lifetime, Link, LinkAddress, Message};

pub(super) use self::leases::is_gone;

/// After a stall of this thread a heartbeat that does not beat is given this long to give the
/// service up before addresses that were lost meanwhile are put back: the partner may have them.
const RECONSIDERATION: Duration = Duration::from_millis(200);

/// One that beats has decided when it does so again, which is looked at this often.
const RECHECK: Duration = Duration::from_millis(5);

pub(super) struct Keeper {
    lvs: heartbeat::Link,
    reports: mpsc::UnboundedSender<Report>,
    observer: Observer,
    route: Route,
    monitor: Monitor,
    speaker: Option<Speaker>,
    lookout: Option<Lookout>,
    /// When each address was last defended against another station.
    defended: BTreeMap<IpAddr, Instant>,
    announcer: Announcer,
    announced: Announced,
    guard: Option<Guard>,
    beats: Option<Listener>,
    links: Links,
    devices: Devices,
    held: BTreeMap<IpAddr, Held>,
    /// New addresses that nobody was asked about yet.
    unprobed: Vec<VirtualAddress>,
    /// What each acquisition that the data plane has not answered yet brought up.
    unanswered: BTreeMap<ActionId, Vec<VirtualAddress>>,
    /// Why a release that the data plane has not answered yet is not done.
    unreleased: BTreeMap<ActionId, ActionError>,
    lifetime: Lifetime,
    dead_time: Duration,
    renewal: Instant,
    /// What was last renewed: room for the next time.
    renewed: Vec<LinkAddress>,
    /// Whether leftovers of an earlier life were looked for.
    purged: bool,
    /// Until when nothing is put back or announced, after a stall.
    reconsidering: Instant,
    /// The last stall of the heartbeat that is over and done with.
    heeded: Instant,
}

/// An address that is served on.
struct Held {
    wanted: VirtualAddress,
    /// What was put on a link for it; none for an address that was there.
    lease: Option<LinkAddress>,
    /// The kernel would not remove it: it is not renewed, and the next release tries again.
    leaving: bool,
}

enum Input {
    Request(Option<Request>),
    Report(Option<Report>),
    Changes(Vec<Message>),
    Claims(Vec<(IpAddr, MacAddr)>),
    Deadline,
}

impl Keeper {
    pub(super) fn new(
        lvs: heartbeat::Link,
        options: Options,
        observer: Observer,
        reports: mpsc::UnboundedSender<Report>,
    ) -> io::Result<Self> {
        let beats = options.beats;
        let start = |program| Guard::start(program, beats.clone());
        let guard = options.guard.map(start).transpose()?;
        Ok(Self {
            lvs,
            reports,
            observer,
            route: Route::open()?,
            monitor: Monitor::open()?,
            // Without the privilege no address can be put on a link either, which is told then.
            speaker: Speaker::open().ok(),
            lookout: Lookout::open().ok(),
            defended: BTreeMap::new(),
            announcer: Announcer::new(options.announcements),
            announced: options.announced,
            guard,
            beats,
            links: Links::new(),
            devices: Devices::default(),
            held: BTreeMap::new(),
            unprobed: Vec::new(),
            unanswered: BTreeMap::new(),
            unreleased: BTreeMap::new(),
            lifetime: lifetime(Duration::ZERO),
            dead_time: Duration::MAX,
            renewal: Instant::MAX,
            renewed: Vec::new(),
            purged: false,
            reconsidering: Instant::ZERO,
            heeded: Instant::ZERO,
        })
    }

    /// Runs until one side is gone; then no address is left.
    pub(super) async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        loop {
            let deadline = self.deadline();
            let input = self.next_input(&mut requests, deadline).await;
            self.heed_stall(deadline, &requests);
            match input {
                Input::Request(Some(request)) => self.on_request(request),
                Input::Report(Some(report)) => self.on_report(report),
                Input::Changes(changes) => self.on_changes(changes),
                Input::Claims(claims) => self.on_claims(&claims),
                Input::Deadline => self.on_deadline(),
                Input::Request(None) | Input::Report(None) => return self.give_up(),
            }
        }
    }

    async fn next_input(
        &mut self,
        requests: &mut mpsc::UnboundedReceiver<Request>,
        deadline: Instant,
    ) -> Input {
        tokio::select! {
            biased;
            request = requests.recv() => Input::Request(request),
            report = self.lvs.reports.recv() => Input::Report(report),
            changes = self.monitor.next() => {
                Input::Changes(changes.unwrap_or_else(|_| vec![Message::Lost]))
            }
            claims = claims(&mut self.lookout) => Input::Claims(claims),
            () = clock::sleep_until(deadline) => Input::Deadline,
        }
    }

    fn deadline(&self) -> Instant {
        let announcement = self.announcer.poll_timeout().unwrap_or(Instant::MAX);
        let next = announcement.min(self.renewal);
        if self.is_reconsidering() { next.max(self.reconsidering) } else { next }
    }

    /// Whoever wakes late was stopped or suspended, and the partner may have the addresses by now.
    /// The heartbeat notices as well, and decides.
    fn heed_stall(&mut self, deadline: Instant, requests: &mpsc::UnboundedReceiver<Request>) {
        let now = clock::now();
        let until = match &self.beats {
            Some(beats) => match beats.resumed(now).filter(|resumed| *resumed > self.heeded) {
                // It asks for what it decides before it beats again: nothing is outstanding.
                Some(resumed) if resumed < now && requests.is_empty() => {
                    (self.heeded, self.reconsidering) = (resumed, Instant::ZERO);
                    return;
                }
                Some(_) => now + RECHECK,
                None => return,
            },
            None if now - deadline > self.dead_time => now + RECONSIDERATION,
            None => return,
        };
        if !self.held.is_empty() {
            self.reconsidering = until;
            self.renewal = if self.renewal == Instant::MAX { Instant::MAX } else { until };
        }
    }

    /// Whether this node cannot know yet if the addresses are still its own.
    fn is_reconsidering(&self) -> bool {
        self.reconsidering > clock::now()
    }

    fn on_request(&mut self, request: Request) {
        match request {
            Request::Acquire { id, addresses } => self.on_acquire(id, addresses),
            Request::Release { id, addresses } => {
                // The data plane answers; both go down at the same time.
                self.pass_on(Request::Release { id, addresses: addresses.clone() });
                if let Err(error) = self.release(&addresses) {
                    self.unreleased.insert(id, error);
                }
            }
            Request::Announce { addresses } => {
                self.announcer.announce(clock::now(), &addresses);
                self.speak();
                self.probe();
            }
            other => self.pass_on(other),
        }
    }

    fn on_report(&mut self, mut report: Report) {
        match &mut report {
            Report::Configured(terms) => self.on_terms(terms),
            Report::Done { id, result } => {
                let acquired = self.unanswered.remove(id);
                if let (Some(acquired), Err(_)) = (acquired, &result) {
                    self.release_or_warn(&acquired);
                }
                if let Some(error) = self.unreleased.remove(id) {
                    *result = Err(error);
                }
            }
            Report::Warm(_) | Report::Broken { .. } => {}
        }
        // The heartbeat that does not listen any more shows as the end of its requests.
        let _ = self.reports.send(report);
    }

    fn on_terms(&mut self, terms: &Terms) {
        self.lifetime = lifetime(terms.dead_time);
        self.dead_time = terms.dead_time;
        if !std::mem::replace(&mut self.purged, true) {
            self.purge(&terms.addresses);
        }
    }

    fn on_acquire(&mut self, id: ActionId, addresses: Vec<VirtualAddress>) {
        match self.acquire(&addresses) {
            Ok(acquired) => {
                self.pass_on(Request::Acquire { id, addresses });
                self.unprobed.extend_from_slice(&acquired);
                self.unanswered.insert(id, acquired);
            }
            Err(error) => {
                let _ = self.reports.send(Report::Done { id, result: Err(error) });
            }
        }
    }

    /// Puts all of `wanted` that is not held on their links, or none. Returns which are new.
    fn acquire(&mut self, wanted: &[VirtualAddress]) -> Result<Vec<VirtualAddress>, ActionError> {
        let is_held = |address| self.held.get(address).is_some_and(|held| !held.leaving);
        let new: Vec<_> = wanted.iter().filter(|w| !is_held(&w.address)).collect();
        let present = self.present()?;
        let mut held = Vec::new();
        for wanted in new {
            let lease = match self.is_others(&present, wanted) {
                true => None,
                false => Some(self.prepare(wanted)?),
            };
            held.push(Held { wanted: wanted.clone(), lease, leaving: false });
        }
        let leases: Vec<_> = held.iter().filter_map(|held| held.lease.clone()).collect();
        // The guard first: an address it does not know stays when this process dies.
        self.tell_guard(&leases);
        if let Err(error) = self.put(&leases) {
            // What stays in spite of it expires.
            self.remove(&leases);
            self.remove_devices();
            self.tell_guard(&[]);
            return Err(error);
        }
        if !leases.is_empty() && self.renewal == Instant::MAX {
            self.renewal = clock::now() + self.renewal_interval();
        }
        let acquired = held.iter().map(|held| held.wanted.clone()).collect();
        self.held.extend(held.into_iter().map(|held| (held.wanted.address, held)));
        Ok(acquired)
    }

    /// Takes these down. One that the kernel keeps is still held afterwards, so that the next
    /// release finds it.
    fn release(&mut self, addresses: &[VirtualAddress]) -> Result<(), ActionError> {
        self.announcer.withdraw(addresses);
        let held = addresses.iter().filter_map(|address| self.held.remove(&address.address));
        let leased: Vec<_> = held.filter(|held| held.lease.is_some()).collect();
        let leases: Vec<_> = leased.iter().filter_map(|held| held.lease.clone()).collect();
        let outcomes = self.remove(&leases);
        let mut failure = None;
        for (held, error) in leased.into_iter().zip(outcomes) {
            if let Some(error) = error {
                failure.get_or_insert_with(|| cannot("remove", &held.wanted.to_string(), &error));
                self.held.insert(held.wanted.address, Held { leaving: true, ..held });
            }
        }
        self.remove_devices();
        self.unprobed.retain(|new| self.held.contains_key(&new.address));
        self.tell_guard(&[]);
        if self.leases().next().is_none() {
            self.renewal = Instant::MAX;
        }
        failure.map_or(Ok(()), Err)
    }

    fn release_or_warn(&mut self, addresses: &[VirtualAddress]) {
        if let Err(ActionError(text)) = self.release(addresses) {
            self.tell(Event::Warning { text });
        }
    }

    fn give_up(&mut self) {
        let held: Vec<_> = self.held.values().map(|held| held.wanted.clone()).collect();
        self.release_or_warn(&held);
    }

    /// Takes down what an earlier life left behind: it died, or it would have done so itself.
    fn purge(&mut self, addresses: &[VirtualAddress]) {
        let Ok(mut stale) = self.route.addresses() else {
            return;
        };
        stale.retain(|present| {
            present.is_ours() && addresses.iter().any(|a| a.address == present.address())
        });
        self.remove(&stale);
        // What is left of a device without an address bears none.
        let _ = devices::purge(&mut self.route);
    }

    fn on_deadline(&mut self) {
        let now = clock::now();
        if self.is_reconsidering() {
            return;
        }
        if self.renewal <= now {
            self.renew(now);
        }
        self.announcer.handle_timeout(now);
        self.speak();
    }

    /// Puts every lease again, which also brings back what went unnoticed.
    fn renew(&mut self, now: Instant) {
        let lifetime = self.lifetime;
        let mut leases = std::mem::take(&mut self.renewed);
        leases.clear();
        let staying = self.held.values_mut().filter(|held| !held.leaving);
        for lease in staying.filter_map(|held| held.lease.as_mut()) {
            *lease = lease.clone().with_lifetime(lifetime);
            leases.push(lease.clone());
        }
        if let Err(ActionError(text)) = self.put(&leases) {
            self.tell(Event::Warning { text });
        }
        self.renewed = leases;
        self.renewal = now + self.renewal_interval();
    }

    fn renewal_interval(&self) -> Duration {
        Duration::from_secs(self.lifetime.seconds().into()) / 3
    }

    fn on_changes(&mut self, changes: Vec<Message>) {
        for change in changes {
            match change {
                Message::Link(link) => self.on_link(link),
                Message::LinkGone(link) => drop(self.links.remove(&link.index())),
                Message::AddressGone(gone) => self.on_address_gone(&gone),
                Message::Lost => self.on_loss(),
                _ => {}
            }
        }
        self.speak();
    }

    /// A link that comes back may have neighbours that were told of somebody else meanwhile.
    fn on_link(&mut self, link: Link) {
        let before = self.links.insert(link.index(), link.clone());
        if link.is_running() && before.is_some_and(|before| !before.is_running()) {
            let is_on_it = |held: &&Held| {
                let found = devices::find(&self.links, &held.wanted);
                found.is_some_and(|found| found.index() == link.index())
            };
            let on_it = self.held.values().filter(is_on_it);
            let on_it: Vec<_> = on_it.map(|held| held.wanted.clone()).collect();
            self.announcer.announce(clock::now(), &on_it);
        }
    }

    /// Changes went by unseen: what is missing was removed meanwhile.
    fn on_loss(&mut self) {
        match self.present() {
            Ok(present) => {
                let is_there = |lease: &&LinkAddress| present.iter().any(|p| lease.is_same(p));
                let gone: Vec<_> = self.leases().filter(|l| !is_there(l)).cloned().collect();
                gone.iter().for_each(|gone| self.on_address_gone(gone));
            }
            Err(ActionError(text)) => self.tell(Event::Warning { text }),
        }
    }

    /// Puts an address back that somebody removed.
    fn on_address_gone(&mut self, gone: &LinkAddress) {
        let Some(held) = self.held.get(&gone.address()) else {
            return;
        };
        if held.leaving {
            self.held.remove(&gone.address());
            return;
        }
        let wanted = held.wanted.clone();
        let ours = held.lease.as_ref().is_none_or(|lease| lease.is_same(gone));
        if !ours || self.is_reconsidering() {
            return;
        }
        match self.put_again(&wanted) {
            Ok(lease) => self.on_restored(wanted, lease),
            Err(ActionError(text)) => self.tell(Event::Warning { text }),
        }
    }

    fn put_again(&mut self, wanted: &VirtualAddress) -> Result<LinkAddress, ActionError> {
        if wanted.hardware.is_some() {
            // It may have gone with its device, of which the word is still to come.
            let read = self.read_links();
            read.map_err(|error| refused(&wanted.to_string(), &error))?;
            self.make_device(wanted)?;
        }
        let lease = self.lease(wanted)?;
        self.put(std::slice::from_ref(&lease))?;
        Ok(lease)
    }

    fn on_restored(&mut self, wanted: VirtualAddress, lease: LinkAddress) {
        let now = clock::now();
        self.renewal = self.renewal.min(now + self.renewal_interval());
        self.announcer.announce(now, std::slice::from_ref(&wanted));
        self.tell(Event::AddressRestored { address: wanted.clone() });
        let held = Held { wanted, lease: Some(lease), leaving: false };
        self.held.insert(held.wanted.address, held);
        self.tell_guard(&[]);
    }

    /// Tells the guard of all leases and of `coming`.
    fn tell_guard(&self, coming: &[LinkAddress]) {
        if let Some(guard) = &self.guard {
            let leases = self.leases().chain(coming).map(Lease::from).collect();
            guard.tell(leases, self.devices.indices(), self.dead_time);
        }
    }

    fn pass_on(&self, request: Request) {
        // A data plane that is gone shows as the end of its reports.
        let _ = self.lvs.requests.send(request);
    }

    fn tell(&self, event: Event) {
        (self.observer)(event);
    }
}
