//! Puts other numbers and names into a recording, so that it can be shown to strangers.
//!
//! The same number always becomes the same other number, and the same name the same other name,
//! so calls can still be told apart and followed. Nothing of the original can be computed from
//! what takes its place: that only says which one it was in the order of appearance. Internal
//! numbers stay: without them nothing could be understood.

use std::collections::{HashMap, HashSet};

use crate::source::notice::{Known, LogRow, Participant, Seen};

use super::Header;

/// A number with fewer digits is no external number, or one that everybody has, such as 112.
const FEWEST_DIGITS: usize = 6;

/// Of a long number, so many leading digits stay: about the country.
const SHAPE: usize = 3;

/// What took the place of what.
#[derive(Debug, Default)]
pub(super) struct Mask {
    /// Internal numbers, as far as known.
    internal: HashSet<String>,
    /// By the digits of the number, without `+` or `00`.
    numbers: HashMap<String, String>,
    names: HashMap<String, String>,
    devices: HashMap<String, String>,
    recordings: HashMap<String, String>,
}

impl Mask {
    /// Masks the settings.
    pub(super) fn header(&mut self, header: &mut Header) {
        self.internal.extend(header.dns.keys().cloned());
        header.dids = std::mem::take(&mut header.dids)
            .into_iter()
            .map(|(number, name)| (self.number(&number), self.name(&name)))
            .collect();
    }

    /// Masks what was seen.
    pub(super) fn seen(&mut self, seen: &mut Seen) {
        match seen {
            Seen::Leg(leg) => self.leg(leg),
            Seen::Snapshot(snapshot) => {
                self.internal.extend(snapshot.dns.iter().map(|dn| dn.number.clone()));
                snapshot.legs.iter_mut().for_each(|leg| self.leg(leg));
            }
            Seen::Known(known) => self.known(known),
            Seen::Logged { rows } => rows.iter_mut().for_each(|row| self.row(row)),
            Seen::Active { .. } | Seen::LegGone(_) | Seen::Lost | Seen::Tick => {}
        }
    }

    /// The name of a recording says who talked with whom.
    fn row(&mut self, row: &mut LogRow) {
        for party in [&mut row.from, &mut row.to] {
            party.dn = self.dn(&party.dn);
            party.number = self.number(&party.number);
        }
        for recording in &mut row.recordings {
            *recording = nth(&mut self.recordings, "recording-", recording);
        }
    }

    fn leg(&mut self, leg: &mut Participant) {
        self.internal.insert(leg.key.dn.clone());
        for dn in [
            &mut leg.party_dn,
            &mut leg.originated_by_dn,
            &mut leg.referred_by_dn,
            &mut leg.on_behalf_of_dn,
        ] {
            *dn = self.dn(dn);
        }
        leg.party_caller_id = self.number(&leg.party_caller_id);
        leg.party_did = self.number(&leg.party_did);
        leg.party_caller_name = self.caller_name(&leg.party_caller_name);
        leg.device_id = self.device(&leg.device_id);
    }

    fn known(&mut self, known: &mut Known) {
        for number in &mut known.numbers {
            self.internal.insert(number.number.clone());
            number.name = number.name.take().map(|name| self.name(&name));
            number.email = number.email.take().map(|email| {
                let name = self.name(&email);
                format!("{}@example.com", name.to_ascii_lowercase().replace(' ', ""))
            });
        }
        for did in &mut known.dids {
            did.number = self.number(&did.number);
            did.name = self.name(&did.name);
        }
    }

    /// An internal number, or what stands in its place. A word, such as `ROUTER`, is none.
    fn dn(&mut self, dn: &str) -> String {
        let word = dn.chars().any(char::is_alphabetic) && !dn.contains('@');
        if word { dn.to_owned() } else { self.number(dn) }
    }

    /// A number; with letters in it, it is a name or an address.
    fn number(&mut self, text: &str) -> String {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        if self.internal.contains(text) {
            return text.to_owned();
        }
        if text.chars().any(char::is_alphabetic) {
            return self.name(text);
        }
        if digits.len() < FEWEST_DIGITS {
            return text.to_owned();
        }
        let (before, plain) = match digits.strip_prefix("00") {
            Some(plain) if plain.len() >= FEWEST_DIGITS => ("00", plain),
            _ => ("", digits.as_str()),
        };
        let turn = self.numbers.len() + 1;
        let masked =
            self.numbers.entry(plain.to_owned()).or_insert_with(|| stand_in(plain, turn)).clone();
        let mut masked = before.chars().chain(masked.chars());
        // What stood between the digits stays: the plus sign above all.
        text.chars()
            .map(|sign| if sign.is_ascii_digit() { masked.next().unwrap_or('0') } else { sign })
            .collect()
    }

    /// The display name of the other side: prefixes that end in colons, then a name or a number.
    fn caller_name(&mut self, text: &str) -> String {
        let parts: Vec<String> = text.split(':').map(|part| self.name_or_number(part)).collect();
        parts.join(":")
    }

    fn name_or_number(&mut self, text: &str) -> String {
        if text.chars().any(char::is_alphabetic) { self.name(text) } else { self.number(text) }
    }

    /// `Name 7` for the seventh name.
    fn name(&mut self, text: &str) -> String {
        nth(&mut self.names, "Name ", text)
    }

    fn device(&mut self, text: &str) -> String {
        nth(&mut self.devices, "sip:device", text)
    }
}

/// Another number of the same length that begins like this one.
fn stand_in(digits: &str, turn: usize) -> String {
    let kept = digits.len().saturating_sub(FEWEST_DIGITS).min(SHAPE);
    let lead: String = digits.chars().take(kept).collect();
    let width = digits.len() - kept;
    // The 1 in front keeps it from looking like the 00 of an international number.
    let tail = format!("1{turn:0>width$}", width = width - 1);
    lead + &tail
}

fn nth(known: &mut HashMap<String, String>, prefix: &str, text: &str) -> String {
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let turn = known.len() + 1;
    known.entry(text.to_owned()).or_insert_with(|| format!("{prefix}{turn}")).clone()
}
