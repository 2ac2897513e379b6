//! Keys out of a recording.

use crate::failover::pulse::Config;
use crate::failover::{Output, Payload};
use crate::wire::pulse::{Heartbeat, Key};

use super::{Entry, FORMAT, Input, Line, Step};

/// Keys that are remembered, so that datagrams sealed with an earlier one are known as such.
const KEYS_MAX: usize = 8;

/// Makes lines of entries, in which keys are numbers.
///
/// A datagram whose tag fits one of the keys gets that of the key everybody knows with the same
/// number; any other tag is made one that fits nothing. What is recorded is then no help in
/// guessing a key, and replays as it was.
#[derive(Debug, Default)]
pub struct Disguise {
    /// The real key, the public one in its place, and the number.
    keys: Vec<(Key, Key, u32)>,
    next: u32,
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
                keys: self.take_keys(machine.config_mut()),
                machine,
            },
            Entry::Step(mut step) => {
                self.disguise(&mut step);
                Line::Step(step)
            }
        }
    }

    fn disguise(&mut self, step: &mut Step) {
        match &mut step.input {
            Input::Datagram { bytes, .. } => self.seal_anew(bytes),
            Input::Config { config, keys } => *keys = self.take_keys(config),
            Input::Timeout
            | Input::Completion { .. }
            | Input::Command(_)
            | Input::DataPlane(_)
            | Input::Guards(_)
            | Input::Warmth(_) => {}
        }
        for output in &mut step.outputs {
            if let Output::Send { payload, .. } = output {
                self.seal_anew(payload);
            }
        }
    }

    fn take_keys(&mut self, config: &mut Config) -> Vec<u32> {
        config.take_keys().into_iter().filter_map(|key| self.number(key)).collect()
    }

    /// The number of `key`; none without the feature `auth`, which has no keys.
    fn number(&mut self, key: Key) -> Option<u32> {
        if let Some((.., number)) = self.keys.iter().find(|(known, ..)| known.is_same(&key)) {
            return Some(*number);
        }
        let number = self.next;
        let public = public_key(number)?;
        if self.keys.len() == KEYS_MAX {
            self.keys.remove(0);
        }
        self.keys.push((key, public, number));
        self.next += 1;
        Some(number)
    }

    fn seal_anew(&self, datagram: &mut Payload) {
        let Some((signed, tag)) = Heartbeat::split_tag(datagram) else {
            return;
        };
        let known = self.keys.iter().find(|(key, ..)| key.verify(signed, tag));
        let tag = known.map_or([0xff; 32], |(_, public, _)| public.tag(signed));
        *datagram = [signed, &tag].concat().into();
    }
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
