//! How a simulated exchange is put together.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::exchange::{Did, Dn, Hold, Join, Kind, Plan, PolledBy, Strategy, Wire};
use crate::pbx::Pbx;
use crate::server::{Casing, ExpiresIn, Settings};

/// Voicemail's menu in every capture.
const VOICEMAIL: &str = "666";
/// The trunk unless another is named.
const TRUNK: &str = "10007";

/// A simulated exchange before it starts.
#[derive(Clone, Debug)]
pub struct Builder {
    /// The numbers.
    plan: Plan,
    /// The API.
    settings: Settings,
}

impl Default for Builder {
    fn default() -> Self {
        let plan = Plan {
            dns: BTreeMap::new(),
            dids: BTreeMap::new(),
            trunk: TRUNK.to_owned(),
            route_point: String::new(),
            listed: None,
            first_call: 1,
            first_participant: 1,
            wire: Wire::default(),
        };
        Self { plan, settings: Settings::default() }
            .dn("SP0", Dn::new(Kind::Parking, "Parking place"))
            .dn(VOICEMAIL, Dn::new(Kind::SpecialMenu, "Voicemail Menu"))
    }
}

/// What the exchange is.
impl Builder {
    /// Adds a number of any kind.
    #[must_use]
    pub fn dn(mut self, number: &str, dn: Dn) -> Self {
        self.plan.dns.insert(number.to_owned(), dn);
        self
    }

    /// Adds a person with one phone.
    #[must_use]
    pub fn extension(self, number: &str, name: &str) -> Self {
        self.extension_with_phones(number, name, 1)
    }

    /// Adds a person with several phones, which ring together.
    #[must_use]
    pub fn extension_with_phones(self, number: &str, name: &str, phones: usize) -> Self {
        let port = |place: usize| 5483 + place;
        let device =
            |place| format!("sip:{number}@127.0.0.1:{};rinstance=c2a7{number}", port(place));
        let devices = (0..phones).map(device).collect();
        self.dn(number, Dn { devices, ..Dn::new(Kind::Extension, name) })
    }

    /// Adds a queue.
    #[must_use]
    pub fn queue(self, number: &str, name: &str, members: &[&str], strategy: Strategy) -> Self {
        self.group(Kind::Queue, number, name, members, strategy)
    }

    /// Adds a ring group.
    #[must_use]
    pub fn ring_group(
        self,
        number: &str,
        name: &str,
        members: &[&str],
        strategy: Strategy,
    ) -> Self {
        self.group(Kind::RingGroup, number, name, members, strategy)
    }

    /// Adds a queue or ring group.
    fn group(self, kind: Kind, number: &str, name: &str, members: &[&str], how: Strategy) -> Self {
        let members = members.iter().map(|&member| member.to_owned()).collect();
        self.dn(number, Dn { members, strategy: how, ..Dn::new(kind, name) })
    }

    /// Adds a digital receptionist.
    #[must_use]
    pub fn receptionist(self, number: &str, name: &str) -> Self {
        self.dn(number, Dn::new(Kind::Receptionist, name))
    }

    /// Adds a parking place; `SP0` exists without this.
    #[must_use]
    pub fn parking(self, number: &str) -> Self {
        self.dn(number, Dn::new(Kind::Parking, "Parking place"))
    }

    /// Names the trunk; it is 10007 without this.
    #[must_use]
    pub fn trunk(mut self, number: &str) -> Self {
        number.clone_into(&mut self.plan.trunk);
        self
    }

    /// Sends the calls to a number of the trunk to an internal number.
    #[must_use]
    pub fn did(self, number: &str, to: &str) -> Self {
        self.named_did(number, "", to)
    }

    /// The same by an inbound rule whose name stands before the caller's name (inferred from
    /// call detail records).
    #[must_use]
    pub fn named_did(mut self, number: &str, rule: &str, to: &str) -> Self {
        let did = Did { to: to.to_owned(), rule: rule.to_owned() };
        self.plan.dids.insert(number.to_owned(), did);
        self
    }

    /// Sends calls on that are rejected or not answered at a number, which must be there already.
    #[must_use]
    pub fn if_not_answered(mut self, number: &str, to: &str) -> Self {
        if let Some(dn) = self.plan.dns.get_mut(number) {
            dn.if_not_answered = Some(to.to_owned());
        }
        self
    }

    /// Numbers the calls and the participants after each start from here.
    #[must_use]
    pub fn counters(mut self, first_call: i64, first_participant: i64) -> Self {
        self.plan.first_call = first_call;
        self.plan.first_participant = first_participant;
        self
    }

    /// Lists exactly these DNs for the app, which sees its route point besides. Without a list it
    /// sees extensions, queues, ring groups and receptionists.
    #[must_use]
    pub fn visible(mut self, numbers: &[&str]) -> Self {
        self.plan.listed = Some(numbers.iter().map(|&number| number.to_owned()).collect());
        self
    }
}

/// What is unknown of the wire; see [`Wire`].
impl Builder {
    /// Extension legs of inbound calls tell the dialled number.
    #[must_use]
    pub fn party_did(mut self, told: bool) -> Self {
        self.plan.wire.party_did = told;
        self
    }

    /// Who is told as the origin of a polled leg.
    #[must_use]
    pub fn polled_by(mut self, who: PolledBy) -> Self {
        self.plan.wire.polled_by = who;
        self
    }

    /// A ring group has a ringing participant of its own.
    #[must_use]
    pub fn group_leg(mut self, exists: bool) -> Self {
        self.plan.wire.group_leg = exists;
        self
    }

    /// A queue's participant stays while an agent talks.
    #[must_use]
    pub fn queue_leg_stays(mut self, stays: bool) -> Self {
        self.plan.wire.queue_leg_stays = stays;
        self
    }

    /// The queue's name stands before the caller's.
    #[must_use]
    pub fn queue_prefix(mut self, stands: bool) -> Self {
        self.plan.wire.queue_prefix = stands;
        self
    }

    /// What an attended transfer does to the legs that remain.
    #[must_use]
    pub fn join(mut self, how: Join) -> Self {
        self.plan.wire.join = how;
        self
    }

    /// What a hold shows.
    #[must_use]
    pub fn hold(mut self, how: Hold) -> Self {
        self.plan.wire.hold = how;
        self
    }
}

/// How the API behaves.
impl Builder {
    /// The client id, alphanumeric as 3CX wants it, and the secret.
    #[must_use]
    pub fn client(mut self, id: &str, secret: &str) -> Self {
        id.clone_into(&mut self.settings.client_id);
        secret.clone_into(&mut self.settings.client_secret);
        self
    }

    /// How long a token is good.
    #[must_use]
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.token_lifetime = lifetime;
        self
    }

    /// The unit of `expires_in`.
    #[must_use]
    pub fn expires_in(mut self, unit: ExpiresIn) -> Self {
        self.settings.expires_in = unit;
        self
    }

    /// Sockets stay open when their token ends.
    #[must_use]
    pub fn sockets_outlive_tokens(mut self, outlive: bool) -> Self {
        self.settings.sockets_outlive_tokens = outlive;
        self
    }

    /// How the keys of frames are spelled.
    #[must_use]
    pub fn casing(mut self, casing: Casing) -> Self {
        self.settings.casing = casing;
        self
    }

    /// Each upsert is sent twice.
    #[must_use]
    pub fn duplicates(mut self, sent: bool) -> Self {
        self.settings.duplicates = sent;
        self
    }

    /// The status of a read of a participant that is gone.
    #[must_use]
    pub fn gone_status(mut self, status: u16) -> Self {
        self.settings.gone_status = status;
        self
    }

    /// The client may read the Configuration API; without this it gets a 403.
    #[must_use]
    pub fn configuration_api(mut self, open: bool) -> Self {
        self.settings.configuration_api = open;
        self
    }

    /// Talks are recorded, and the call log shows it.
    #[must_use]
    pub fn recordings(mut self, made: bool) -> Self {
        self.settings.recordings = made;
        self
    }

    /// So many reads of the call log do not see a new row yet.
    #[must_use]
    pub fn log_hidden_for(mut self, reads: u32) -> Self {
        self.settings.log_hidden_for = reads;
        self
    }

    /// Whoever waits in a queue may order a callback, at a menu with the number `QCB` (documented
    /// for call detail records).
    #[must_use]
    pub fn queue_callbacks(self) -> Self {
        self.dn("QCB", Dn::new(Kind::SpecialMenu, "Queue callback"))
    }

    /// How long the `wait_*` functions wait before they give up.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// The port of the loopback.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.settings.port = port;
        self
    }

    /// Checks the plan and starts. Must be called in a tokio runtime.
    pub async fn start(self) -> Result<Pbx> {
        let settings = self.settings.clone();
        let plan = self.plan().context("while checking the numbers of the simulated exchange")?;
        Pbx::start(plan, settings).await.context("while starting the simulated exchange")
    }

    /// The whole plan, checked.
    pub(crate) fn plan(self) -> Result<Plan> {
        let Self { mut plan, settings } = self;
        plan.route_point.clone_from(&settings.client_id);
        plan.dns.insert(settings.client_id, Dn::new(Kind::RoutePoint, "API app"));
        plan.dns.insert(plan.trunk.clone(), Dn::new(Kind::Trunk, "Trunk"));
        check(&plan)?;
        Ok(plan)
    }
}

/// Finds numbers that lead nowhere.
fn check(plan: &Plan) -> Result<()> {
    for (number, dn) in &plan.dns {
        if let Some(member) = dn.members.iter().find(|m| plan.kind(m) != Kind::Extension) {
            bail!("{number} has the member {member}, which is no extension");
        }
        let next = dn.if_not_answered.as_deref();
        if let Some(next) = next.filter(|next| plan.kind(next) == Kind::None) {
            bail!("{number} forwards to {next}, which does not exist");
        }
    }
    for (number, did) in &plan.dids {
        if plan.kind(&did.to) == Kind::None {
            bail!("{number} goes to {}, which does not exist", did.to);
        }
    }
    Ok(())
}
