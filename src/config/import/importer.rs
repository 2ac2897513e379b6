//! What all importers share: the text, the file in the making, and what is to be said about it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Fate, Given, Imported, Remark};
use crate::config::Directive;
use crate::config::draft::{Block, Draft};
use crate::net::Family;

/// An address that the other file brings up.
pub(super) struct Vip {
    pub(super) line: usize,
    pub(super) device: String,
    pub(super) prefix: Option<u8>,
    pub(super) used: bool,
}

pub(super) struct Importer<'a> {
    lines: Vec<&'a str>,
    given: &'a Given,
    pub(super) draft: Draft,
    pub(super) vips: BTreeMap<IpAddr, Vip>,
    remarks: Vec<Remark>,
    device_assumed: bool,
}

impl<'a> Importer<'a> {
    pub(super) fn new(lines: Vec<&'a str>, given: &'a Given) -> Self {
        Self {
            lines,
            given,
            draft: Draft::new(),
            vips: BTreeMap::new(),
            remarks: Vec::new(),
            device_assumed: false,
        }
    }

    /// The lines with their numbers, from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &'a str)> + use<'a> {
        Vec::from_iter(self.lines.iter().copied()).into_iter().enumerate().map(|(i, l)| (i + 1, l))
    }

    pub(super) fn lost(&mut self, line: usize, reason: impl Into<String>) {
        self.remark(line, Fate::Lost, reason.into());
    }

    pub(super) fn replaced(&mut self, line: usize, reason: impl Into<String>) {
        self.remark(line, Fate::Replaced, reason.into());
    }

    fn remark(&mut self, line: usize, fate: Fate, reason: String) {
        let text = line.checked_sub(1).and_then(|index| self.lines.get(index));
        let text = shown(text.copied().unwrap_or_default());
        let reason = reason.chars().filter(|letter| !letter.is_control()).collect();
        self.remarks.push(Remark { line, text, fate, reason });
    }

    /// Sets a directive outside of any block.
    pub(super) fn set_global(&mut self, name: &str, value: &str, line: usize) {
        let mut global = std::mem::replace(&mut self.draft.global, Draft::new().global);
        self.set(&mut global, name, value, line);
        self.draft.global = global;
    }

    /// Sets a directive outside of any block once more, unless it has this value already.
    pub(super) fn add_global(&mut self, name: &str, value: &str, line: usize) {
        let Some(directive) = Directive::from_name(name) else {
            return self.lost(line, format!("lvs.cf has no `{name}` yet"));
        };
        if let Err(error) = self.draft.global.add(directive, value) {
            self.lost(line, error.to_string());
        }
    }

    /// Sets a directive outside of any block, or says that it has `another` value already.
    pub(super) fn agree_global(&mut self, name: &str, value: &str, line: usize, another: &str) {
        let Some(known) = Directive::from_name(name).and_then(|d| self.draft.global.get(d)) else {
            return self.set_global(name, value, line);
        };
        if known.trim_matches('"') != value {
            self.lost(line, another);
        }
    }

    /// What was set outside of blocks until now, for what is to stand before it.
    pub(super) fn take_global(&mut self) -> Block {
        std::mem::replace(&mut self.draft.global, Draft::new().global)
    }

    /// The backup's address, where it was given beside the file.
    pub(super) const fn given_backup(&self) -> Option<IpAddr> {
        self.given.backup
    }

    /// Sets a directive, or says why it cannot be.
    pub(super) fn set(&mut self, block: &mut Block, name: &str, value: &str, line: usize) {
        self.try_set(block, name, value, line);
    }

    /// The same, and whether it was set.
    pub(super) fn try_set(
        &mut self,
        block: &mut Block,
        name: &str,
        value: &str,
        line: usize,
    ) -> bool {
        let Some(directive) = Directive::from_name(name) else {
            self.lost(line, format!("lvs.cf has no `{name}` yet"));
            return false;
        };
        let set = block.set(directive, value);
        if let Err(error) = &set {
            self.lost(line, error.to_string());
        }
        set.is_ok()
    }

    /// The addresses of the pair, where the other file says them.
    pub(super) fn pair(&mut self, primary: Option<IpAddr>, backup: Option<IpAddr>, line: usize) {
        if let Some(primary) = self.given.primary.or(primary) {
            self.set_global("primary", &primary.to_string(), line);
        } else {
            self.draft.global.comment("primary = ADDRESS of the primary director");
            self.lost(0, "no address of the primary director is known: set `primary` (--primary)");
        }
        if let Some(backup) = self.given.backup.or(backup) {
            self.set_global("backup", &backup.to_string(), line);
            self.set_global("backup_active", "1", line);
        }
    }

    /// The device of a VIP and its netmask, if one is known.
    pub(super) fn device(&mut self, vip: Option<IpAddr>, line: usize) -> (String, Option<String>) {
        if let Some((address, vip)) = vip.and_then(|vip| Some((vip, self.vips.get_mut(&vip)?))) {
            vip.used = true;
            let mask = vip.prefix.map(|prefix| mask(address, prefix));
            return (vip.device.clone(), mask);
        }
        if let Some(device) = &self.given.device {
            return (device.clone(), None);
        }
        if !std::mem::replace(&mut self.device_assumed, true) {
            let reason = "the file names no device for this VIP, and lvs.cf brings VIPs up: eth0 \
                          is assumed here and below (--device)";
            self.replaced(line, reason);
        }
        ("eth0".to_owned(), None)
    }

    /// The VIP of a service by mark: lvs.cf wants one, for it may have to be brought up.
    pub(super) fn vip_for_mark(&mut self, family: Family, line: usize) -> Option<IpAddr> {
        let known = self.given.vips.iter().chain(self.vips.keys());
        let vip = known.copied().find(|vip| Family::of(*vip) == family);
        if vip.is_none() {
            let reason = "lvs.cf wants a VIP for a service by mark, and none is known: set \
                          `address`, and `active = 1` (--vip)";
            self.lost(line, reason);
        }
        vip
    }

    pub(super) fn finish(mut self) -> Imported {
        self.remarks.sort();
        Imported { document: self.draft.into_document(), remarks: self.remarks }
    }
}

/// A prefix as `vip_nmask` and `pmask` take it for this address.
pub(super) fn mask(address: IpAddr, prefix: u8) -> String {
    match address {
        IpAddr::V4(_) => {
            let bits = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
            Ipv4Addr::from_bits(bits).to_string()
        }
        IpAddr::V6(_) => prefix.to_string(),
    }
}

/// A time in milliseconds as lvs.cf has it.
pub(super) fn duration(millis: u64) -> String {
    if millis.is_multiple_of(1000) { (millis / 1000).to_string() } else { format!("{millis}ms") }
}

/// A time in seconds, perhaps with decimals, in milliseconds. Finer parts are cut off.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && part.is_empty() || !digits(whole) || !digits(part) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: u64 = format!("{part}000").get(..3)?.parse().ok()?;
    whole.checked_mul(1000)?.checked_add(part).filter(|millis| *millis <= u32::MAX.into())
}

/// `192.0.2.1:80` or `[2001:db8::1]:80`, the port perhaps missing.
pub(super) fn endpoint(text: &str, default_port: u16) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().map(|address| SocketAddr::new(address, default_port))
}

/// A line of the other file as it may go onto a terminal and into logs: bounded, and without the
/// secrets it may hold.
fn shown(line: &str) -> String {
    const LONGEST: usize = 120;
    let line = line.trim();
    let open = &line[..secret_in(line).unwrap_or(line.len())];
    let letters = open.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut text: String = letters.take(LONGEST).collect();
    if text.len() < line.len() {
        text.push('…');
    }
    text
}

/// Where behind the name of a password the rest of `line` begins.
fn secret_in(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let end = |name: &&str| lower.find(name).map(|at| at + name.len());
    ["auth_pass", "passwd", "password", "secret"].iter().filter_map(end).min()
}
