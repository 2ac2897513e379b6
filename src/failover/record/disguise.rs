//! Keys and passwords out of a recording.

use std::ops::Range;

use crate::failover::{Output, Payload};
use crate::wire::ip::Packet;
use crate::wire::pulse::{Heartbeat, Key};
use crate::wire::vrrp::{PROTOCOL, Password, replace_password};

use super::{Entry, FORMAT, Input, Line, Machine, Step};

/// Keys, and passwords, that are remembered, so that datagrams sealed with an earlier one are known
/// as such.
const KEYS_MAX: usize = 8;

/// Makes lines of entries, in which keys and passwords are numbers.
///
/// A datagram whose tag fits one of the keys gets that of the key everybody knows with the same
/// number; any other tag is made one that fits nothing. An advertisement with the password gets one
/// that everybody knows, and one with another password a wrong one. What is recorded is then no help
/// in guessing, and replays as it was.
#[derive(Debug, Default)]
pub struct Disguise {
    keys: Masks<Key>,
    passwords: Masks<Password>,
}

/// The real one, the public one in its place, and the number.
#[derive(Debug)]
struct Masks<K> {
    masks: Vec<(K, K, u32)>,
    next: u32,
}

impl<K> Default for Masks<K> {
    fn default() -> Self {
        Self { masks: Vec::new(), next: 0 }
    }
}

impl Disguise {
    /// No key is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The line that `entry` is written as.
    pub fn line(&mut self, entry: Entry) -> Line {
        match entry {
            Entry::Begin { at, lost, mut machine } => Line::Begin {
                format: FORMAT,
                piranha: env!("CARGO_PKG_VERSION").to_owned(),
                at,
                lost,
                keys: self.unmask(&mut machine),
                machine,
            },
            Entry::Step(mut step) => {
                self.disguise(&mut step);
                Line::Step(step)
            }
        }
    }

    fn unmask(&mut self, machine: &mut Machine) -> Vec<u32> {
        match machine {
            Machine::Pulse(machine) => self.take_keys(machine.config_mut().take_keys()),
            Machine::Vrrp(machine) => self.take_password(machine.config_mut().password_mut()),
        }
    }

    fn disguise(&mut self, step: &mut Step) {
        match &mut step.input {
            Input::Datagram { bytes, .. } => self.mask(bytes),
            Input::Config { config, keys } => *keys = self.take_keys(config.take_keys()),
            Input::Router { config, keys } => *keys = self.take_password(config.password_mut()),
            Input::Timeout
            | Input::Completion { .. }
            | Input::Command(_)
            | Input::DataPlane(_)
            | Input::Guards(_)
            | Input::Warmth(_) => {}
        }
        for output in &mut step.outputs {
            if let Output::Send { payload, .. } = output {
                self.mask(payload);
            }
        }
    }

    fn take_keys(&mut self, keys: Vec<Key>) -> Vec<u32> {
        let number = |key| self.keys.number(key, Key::is_same, public_key);
        keys.into_iter().filter_map(number).collect()
    }

    fn take_password(&mut self, password: &mut Option<Password>) -> Vec<u32> {
        let number = |word| self.passwords.number(word, Password::eq, public_password);
        password.take().and_then(number).into_iter().collect()
    }

    fn mask(&self, datagram: &mut Payload) {
        if let Some((signed, tag)) = Heartbeat::split_tag(datagram) {
            let known = self.keys.masks.iter().find(|(key, ..)| key.verify(signed, tag));
            let tag = known.map_or([0xff; 32], |(_, public, _)| public.tag(signed));
            *datagram = [signed, &tag].concat().into();
        } else if let Some(place) = place_of_advertisement(datagram) {
            let mut bytes = datagram.to_vec();
            replace_password(&mut bytes[place], |word| self.public_for(word));
            *datagram = bytes.into();
        }
    }

    fn public_for(&self, password: Password) -> Option<Password> {
        let known = self.passwords.masks.iter().find(|(known, ..)| *known == password);
        known.map(|(_, public, _)| *public)
    }
}

impl<K> Masks<K> {
    /// The number of `key`; none where there are no public ones, as without the feature `auth`.
    fn number(
        &mut self,
        key: K,
        is_same: impl Fn(&K, &K) -> bool,
        public: impl Fn(u32) -> Option<K>,
    ) -> Option<u32> {
        if let Some((.., number)) = self.masks.iter().find(|(known, ..)| is_same(known, &key)) {
            return Some(*number);
        }
        let number = self.next;
        let public = public(number)?;
        if self.masks.len() == KEYS_MAX {
            self.masks.remove(0);
        }
        self.masks.push((key, public, number));
        self.next += 1;
        Some(number)
    }
}

/// Where the message of VRRP is in what is sent, which has no header of IP, or came in, which has one
/// of IPv4. None in what cannot have a password.
fn place_of_advertisement(datagram: &[u8]) -> Option<Range<usize>> {
    let first = *datagram.first()?;
    match first >> 4 {
        2 => Some(0..datagram.len()),
        4 if datagram.get(9) == Some(&PROTOCOL) => {
            let start = (usize::from(first & 0x0f) * 4).min(datagram.len());
            // What is cut is no packet, and may have the password in it all the same.
            let whole = Packet::decode(datagram).map(|packet| start + packet.payload.len());
            Some(start..whole.unwrap_or(datagram.len()))
        }
        _ => None,
    }
}

/// The password that stands for the one with this number in every recording.
pub(super) fn public_password(number: u32) -> Option<Password> {
    Password::new(format!("public{:02}", number % 100).as_bytes())
}

/// The key that stands for the one with this number in every recording.
#[cfg(feature = "auth")]
pub(super) fn public_key(number: u32) -> Option<Key> {
    Key::new(format!("piranha recording, key {number}").as_bytes()).ok()
}

#[cfg(not(feature = "auth"))]
pub(super) const fn public_key(_number: u32) -> Option<Key> {
    None
}
