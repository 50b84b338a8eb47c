//! Reads of DNs, phones and participants, early or late as the switches say.

use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::exchange::{Exchange, Kind, Participant};
use crate::server::faults::Looked;
use crate::server::http::Reply;
use crate::server::state::{Shared, State};

/// A DN as the API shows it.
#[derive(Debug, Serialize)]
struct DnShown {
    /// The number.
    dn: String,
    /// What it is.
    #[serde(rename = "type")]
    kind: Kind,
    /// Its phones.
    devices: Vec<Device>,
    /// Its legs of calls.
    participants: Vec<Participant>,
}

/// A phone as the API shows it.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "these are the names on the wire")]
struct Device {
    /// Whose it is.
    dn: String,
    /// Its SIP contact.
    device_id: String,
    /// What it calls itself.
    user_agent: &'static str,
}

/// The parts of a path, decoded.
pub(crate) fn parts(path: &str) -> Vec<String> {
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    path.trim_matches('/').split('/').map(decode).collect()
}

/// Reads DNs, devices, participants.
pub(crate) async fn read(shared: &Shared, path: &str) -> Reply {
    let parts = parts(path);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match *parts.as_slice() {
        ["callcontrol"] => list(shared, |state| Some(state.all_dns())),
        ["callcontrol", dn] => list(shared, |state| state.visible(dn).then(|| state.dn(dn))),
        ["callcontrol", dn, "devices"] => shared.look(|state| {
            let devices = || Reply::json(200, &state.devices(dn));
            if state.visible(dn) { devices() } else { Reply::forbidden() }
        }),
        ["callcontrol", dn, "devices", id] => shared.look(|state| {
            let found = state.devices(dn).into_iter().find(|device| device.device_id == id);
            match found {
                _ if !state.visible(dn) => Reply::forbidden(),
                Some(device) => Reply::json(200, &device),
                None => Reply::error(404, "not_found", "no such device"),
            }
        }),
        ["callcontrol", dn, "participants"] => {
            list(shared, |state| state.visible(dn).then(|| state.participants(dn)))
        }
        ["callcontrol", dn, "participants", id] => read_participant(shared, dn, id).await,
        _ => Reply::error(404, "not_found", "no such resource"),
    }
}

/// Reads more than one participant.
fn list<T: Serialize>(shared: &Shared, find: impl FnOnce(&mut State) -> Option<T>) -> Reply {
    shared.change(|state| {
        state.counts.lists += 1;
        if let Some(fault) = state.switches.lists.take() {
            return fault;
        }
        state.lists_since_socket += 1;
        find(state).map_or_else(Reply::forbidden, |found| Reply::json(200, &found))
    })
}

/// Reads one participant, early or late.
async fn read_participant(shared: &Shared, dn: &str, id: &str) -> Reply {
    let gone = shared.settings.gone_status;
    let (early, delay) = shared.change(|state| {
        state.counts.reads_begun += 1;
        let looked = state.switches.held.or(state.switches.delay.map(|(_, looked)| looked));
        let early = (looked == Some(Looked::AtArrival)).then(|| state.read_one(dn, id, gone));
        (early, state.switches.delay.map(|(delay, _)| delay))
    });
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    shared.until(|state| state.switches.held.is_none()).await;
    shared.change(|state| {
        state.counts.reads_done += 1;
        match state.switches.reads.take() {
            Some(fault) => fault,
            None => early.unwrap_or_else(|| state.read_one(dn, id, gone)),
        }
    })
}

impl State {
    /// Whether the app sees this DN.
    pub(crate) fn visible(&self, dn: &str) -> bool {
        self.exchange.plan().visible(dn)
    }

    /// All DNs that the app sees.
    fn all_dns(&mut self) -> Vec<DnShown> {
        let mut numbers: Vec<String> = self.exchange.plan().dns.keys().cloned().collect();
        numbers.retain(|dn| self.visible(dn));
        numbers.iter().map(|dn| self.dn(dn)).collect()
    }

    /// A DN with everything it has.
    fn dn(&mut self, dn: &str) -> DnShown {
        DnShown {
            dn: dn.to_owned(),
            kind: self.exchange.plan().kind(dn),
            devices: self.devices(dn),
            participants: self.participants(dn),
        }
    }

    /// The phones of a DN.
    fn devices(&self, dn: &str) -> Vec<Device> {
        let found = self.exchange.plan().dns.get(dn);
        let devices = found.map(|found| found.devices.as_slice()).unwrap_or_default();
        let device = |id: &String| Device {
            dn: dn.to_owned(),
            device_id: id.clone(),
            user_agent: "Simulated phone",
        };
        devices.iter().map(device).collect()
    }

    /// The participants of a DN, which are read with this.
    fn participants(&mut self, dn: &str) -> Vec<Participant> {
        let of_dn = self.exchange.participants().filter(|leg| leg.dn == dn);
        let found: Vec<Participant> = of_dn.cloned().collect();
        for leg in &found {
            self.unread.remove(&leg.id);
        }
        found
    }

    /// One participant, which is read with this.
    fn read_one(&mut self, dn: &str, id: &str, gone_status: u16) -> Reply {
        if !self.visible(dn) {
            return Reply::forbidden();
        }
        let found = find_participant(&self.exchange, dn, id);
        let Some(found) = found else {
            return Reply::error(gone_status, "not_found", "no such participant");
        };
        self.unread.remove(&found.id);
        Reply::json(200, found)
    }
}

/// The participant that a path names.
pub(crate) fn find_participant<'a>(
    exchange: &'a Exchange,
    dn: &str,
    id: &str,
) -> Option<&'a Participant> {
    exchange.participant(id.parse().ok()?).filter(|found| found.dn == dn)
}
