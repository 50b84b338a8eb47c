//! One endpoint: what it takes, what it was sent, and what it said.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::attempts::Slot;
use super::breaker::{Change, Sign};
use super::credentials::{Credentials, Lines};
use super::exchange::{Client, Reply};
use super::failure::{Patience, SendFailure};
use super::follow::follow;
use super::gate::{Gate, Lesson, Room};
use super::judge::{self, Judge};
use super::meter::Meter;
use super::outcome::Outcome;
use super::report;
use super::resolver;
use super::settings::EndpointSettings;
use super::standing::Standing;
use super::status::{EndpointState, EndpointStatus};
use super::verdict::{self, Past, Verdict, jitter, judge};
use crate::clock::Clock;
use crate::config::Order;
use crate::metrics::Metrics;
use crate::outbox::{Attempt, Charge, Claimed, Outbox, Settlement};
use crate::quiet::Said;
use crate::reply::Judgement;

/// An endpoint and all that is known of it.
pub(super) struct Endpoint {
    pub(super) settings: EndpointSettings,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) clock: Clock,
    /// Who judges replies, if anybody does.
    judge: Option<Arc<dyn Judge>>,
    client: Client,
    credentials: Arc<Credentials>,
    meter: Meter,
    pub(super) standing: Arc<Standing>,
    said: Mutex<Said<&'static str>>,
}

/// The right to one attempt. Whoever drops it without having used it gives it back.
pub(super) struct Turn {
    endpoint: Arc<Endpoint>,
    probe: bool,
    ended: bool,
}

/// How the endpoint stands after an attempt.
struct Stand {
    change: Option<Change>,
    /// What failed was not the request's fault: the endpoint is given up for now.
    excused: bool,
    /// Nothing is sent for so long.
    wait: Duration,
}

impl Endpoint {
    /// An endpoint that was sent nothing by these settings yet. What is known of it from `before`
    /// stays known. Fails if its settings cannot be used.
    pub(super) fn new(
        settings: EndpointSettings,
        before: Option<&Self>,
        lines: &Lines,
        outbox: Arc<dyn Outbox>,
        judge: Option<Arc<dyn Judge>>,
        clock: Clock,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let resolver = resolver::system();
        let credentials = Credentials::new(&settings, lines, &resolver, &outbox, &clock)?;
        let credentials = Arc::new(credentials);
        let most = settings.concurrency.max(1);
        let standing = before.filter(|before| before.settings.url == settings.url);
        let standing = standing.map(|before| Arc::clone(&before.standing));
        let known = standing.is_some();
        let endpoint = Self {
            client: Client::new(&settings, most, Arc::clone(&credentials), &resolver)?,
            credentials,
            meter: Meter::new(&settings.name, metrics),
            standing: standing.unwrap_or_else(|| Arc::new(Standing::new(&settings))),
            said: Mutex::default(),
            settings,
            outbox,
            clock,
            judge,
        };
        if !known {
            endpoint.restore_disabled()?;
            endpoint.restore_pause()?;
        }
        Ok(endpoint)
    }

    /// From now on its settings are in force.
    pub(super) fn take_over(&self) {
        let mut gate = self.gate();
        gate.adopt(&self.settings, self.clock.now().mono);
        self.show(&gate);
    }

    /// Has what failed before this process leave its turn as the order says. May wait for the disk.
    pub(super) fn let_pass(&self) {
        let endpoint = &self.settings.name;
        if let Order::Bounded(bound) = self.settings.order
            && let Err(error) = self.outbox.let_pass(endpoint, bound)
        {
            let error = format!("{error:#}");
            tracing::warn!(endpoint, error, "What failed leaves its turn with its next attempt.");
        }
    }

    /// It is no longer in the settings.
    pub(super) fn leave(&self) {
        self.meter.forget();
    }

    /// Waits until what it has begun beside its attempts is finished.
    pub(super) async fn at_rest(&self) {
        self.credentials.at_rest().await;
    }

    /// What may be started now.
    pub(super) fn room(&self) -> Room {
        self.gate().room(self.clock.now().mono)
    }

    /// Takes the right to one attempt.
    pub(super) fn turn(self: &Arc<Self>, probe: bool) -> Turn {
        let mut gate = self.gate();
        gate.start(probe);
        self.meter.show(&gate);
        drop(gate);
        Turn { endpoint: Arc::clone(self), probe, ended: false }
    }

    /// Sends a request once and settles it.
    pub(super) async fn attempt(self: Arc<Self>, mut claimed: Claimed, turn: Turn, slot: Slot) {
        let today = follow(&claimed.request.url, claimed.base.as_deref(), &self.settings.url);
        claimed.request.url = today.into_owned();
        let began = self.clock.now();
        // The gate may have closed since the claim.
        if !self.gate().admits(turn.probe, began.mono) {
            drop(turn);
            self.give_back(&claimed, slot);
            return;
        }
        failpoint!("delivery-before-send");
        let admitted = self.client.admit(&claimed);
        let own = admitted.as_ref().map_or(true, |(target, _)| target.own);
        let sent = match admitted {
            Ok(there) => self.client.send_at(there, &claimed, began.wall).await,
            Err(failure) => Err(failure),
        };
        let (reply, failure) = match sent {
            Ok(reply) => {
                let failure = reply.failure(&self.settings.success);
                (Some(reply), failure)
            }
            Err(failure) => (None, Some(failure)),
        };
        failpoint!("delivery-replied");
        let ended = self.clock.now();
        if let Some(reply) = &reply {
            self.compare_clocks(reply, began.wall, ended.wall);
        }
        let outcome = Outcome { own, reply, failure, began, ended };
        if outcome.failure.as_ref().map(SendFailure::patience) == Some(Patience::Gone) {
            self.disable().await;
        }
        let wanted = self.judge.as_ref().filter(|judge| judge.wants(&self.settings.name));
        let Some((judge, reply)) = wanted.zip(judge::reply_of(&outcome)) else {
            let settlement = self.conclude(&claimed, outcome, turn, None);
            failpoint!("delivery-before-settle");
            self.outbox.settle_holding(&claimed, settlement, Box::new(slot));
            failpoint!("delivery-queued");
            return;
        };
        let case = self.case(&claimed, reply.into(), outcome, turn);
        if let Err(error) = judge.judge(case).await {
            let (endpoint, request) = (&self.settings.name, &claimed.id);
            tracing::warn!(endpoint, request, %error, "A request may be sent a second time.");
        }
        drop(slot);
        failpoint!("reply-settled");
    }

    /// What becomes of a request after an attempt, which is over by this. The judgement, if there
    /// is one, says more of the request than the HTTP status, but no more of the endpoint.
    pub(super) fn conclude(
        &self,
        claimed: &Claimed,
        mut outcome: Outcome,
        mut turn: Turn,
        judgement: Option<&Judgement>,
    ) -> Settlement {
        let ended = outcome.ended;
        let asked = outcome.reply.as_ref().and_then(|reply| verdict::asked(reply, ended.wall));
        let mut lesson = outcome.lesson(asked, turn.probe);
        if let Some(judgement) = judgement {
            let failure = verdict::judged(judgement);
            lesson.pushed_back |= outcome.own
                && outcome.failure.is_none()
                && failure.as_ref().is_some_and(SendFailure::is_push_back);
            outcome.failure = failure;
        }
        let past = Past { attempts: claimed.attempts, refusals: claimed.refusals };
        let failure = outcome.failure.as_ref();
        let verdict = judge(failure, asked, past, &self.settings, jitter());
        if let Some(quiet) = lesson.quiet {
            self.keep_pause(quiet);
            self.report_pause(quiet, ended.mono);
        }
        // The next attempt need not wait until the disk has heard of this one.
        let stand = turn.end(&lesson, ended.mono);
        self.report(claimed, &outcome, &verdict, &stand);
        self.settlement(claimed, outcome, verdict, (asked, lesson.quiet), &stand)
    }

    /// Settles a request that is not sent for now, free of charge.
    pub(super) fn give_back(&self, claimed: &Claimed, slot: Slot) {
        let wait = self.gate().wait(self.clock.now().mono);
        self.outbox.settle_holding(claimed, Settlement::GivenBack(wait), Box::new(slot));
    }

    /// Looks what the endpoint's own clock shows.
    fn compare_clocks(&self, reply: &Reply, began: Timestamp, ended: Timestamp) {
        let Some(date) = verdict::dated(reply).filter(|_| reply.own) else { return };
        let mut skew = self.standing.skew();
        let news = skew.learn(date, began, ended);
        let Some(seconds) = skew.seconds() else { return };
        drop(skew);
        self.meter.skew(seconds);
        if news {
            report::clocks(&self.settings.name, seconds);
        }
    }

    /// Settles a request that came too late to be of use.
    pub(super) fn expire(&self, claimed: &Claimed, slot: Slot) {
        let (endpoint, request) = (&self.settings.name, &claimed.id);
        tracing::debug!(endpoint, request, "A request has expired.");
        self.meter.outcome("expired");
        self.outbox.settle_holding(claimed, Settlement::Expired, Box::new(slot));
    }

    fn settlement(
        &self,
        claimed: &Claimed,
        outcome: Outcome,
        verdict: Verdict,
        (asked, quiet): (Option<Duration>, Option<Duration>),
        stand: &Stand,
    ) -> Settlement {
        let took = outcome.ended.since(outcome.began);
        let refused =
            outcome.failure.as_ref().map(SendFailure::patience) == Some(Patience::Refusals);
        let excused = stand.excuses(&outcome);
        let least = outcome.failure.as_ref().map(SendFailure::least_wait).unwrap_or_default();
        let least = least.max(asked.unwrap_or_default());
        let attempt = outcome.record();
        match verdict {
            Verdict::Delivered => Settlement::Delivered(attempt),
            Verdict::Shut | Verdict::Gone => waits(attempt, stand.wait.max(least)),
            // Also what would be dead: the endpoint is down, not the request at fault.
            Verdict::Retry(_) | Verdict::Dead(_) if excused => {
                waits(attempt, stand.wait.max(least))
            }
            Verdict::Retry(wait) => {
                let failing = claimed.failing_for.map_or(Duration::ZERO, |since| since + took);
                let aside = match self.settings.order {
                    Order::Bounded(bound) if failing.saturating_add(wait) > bound => {
                        Some(bound.saturating_sub(failing))
                    }
                    Order::Bounded(_) | Order::Strict | Order::None => None,
                };
                // Who failed because of an endpoint that wants quiet keeps its turn meanwhile, but
                // not for ever.
                let quiet = quiet.unwrap_or_default();
                let aside = aside.filter(|_| stand.change.is_none());
                let aside = aside.map(|left| if left.is_zero() { left } else { left.max(quiet) });
                let charge = if refused { Charge::Refusal } else { Charge::Attempt };
                Settlement::Later { attempt, wait, charge, aside }
            }
            Verdict::Dead(reason) => Settlement::Dead { attempt, reason },
        }
    }

    fn report(&self, claimed: &Claimed, outcome: &Outcome, verdict: &Verdict, stand: &Stand) {
        let class = outcome.failure.as_ref().map(SendFailure::class);
        self.meter.attempt(class, outcome.ended.since(outcome.began));
        let kept = stand.excuses(outcome) && *verdict != Verdict::Delivered;
        self.meter.outcome(match verdict {
            Verdict::Delivered => "delivered",
            Verdict::Dead(_) if !kept => "dead",
            _ => "retried",
        });
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &self.settings.name;
        report::attempt(name, claimed, outcome, verdict, kept, stand.change, &mut said);
        if let Some(change) = stand.change.filter(|_| *verdict != Verdict::Shut) {
            report::change(name, change, stand.wait);
        }
    }

    /// How the endpoint stands.
    pub(super) fn status(&self) -> EndpointStatus {
        let now = self.clock.now().mono;
        let gate = self.gate();
        let (limit, in_flight) = gate.load();
        let wait = gate.wait(now);
        let state = if gate.is_disabled() {
            EndpointState::Disabled
        } else if gate.is_open() {
            EndpointState::GivenUp { probe_in: wait }
        } else if wait > Duration::ZERO {
            EndpointState::AskedToWait { more: wait }
        } else {
            EndpointState::Working
        };
        let clock_skew = self.standing.skew().seconds();
        EndpointStatus { name: self.settings.name.clone(), state, limit, in_flight, clock_skew }
    }

    fn report_pause(&self, quiet: Duration, now: Duration) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        report::pause(&self.settings.name, quiet, now, &mut said);
    }

    pub(super) fn gate(&self) -> MutexGuard<'_, Gate> {
        self.standing.gate()
    }

    /// Shows where the gate stands.
    pub(super) fn show(&self, gate: &Gate) {
        self.meter.show(gate);
    }
}

impl Stand {
    /// Whether a failure is not the request's fault. One that a plugin gave up by what the endpoint
    /// answered is not the endpoint's.
    fn excuses(&self, outcome: &Outcome) -> bool {
        self.excused && !matches!(outcome.failure, Some(SendFailure::GivenUp(_)))
    }
}

impl Turn {
    /// The attempt is over, and this is what it says.
    fn end(&mut self, lesson: &Lesson, now: Duration) -> Stand {
        let mut gate = self.endpoint.gate();
        let was_open = gate.is_open();
        let change = gate.learn(lesson, now);
        gate.end(self.probe, now);
        self.ended = true;
        let excused = match lesson.sign {
            None | Some(Sign::Good) => gate.is_disabled(),
            Some(Sign::Shut) => true,
            Some(Sign::Bad | Sign::Unconnected) => was_open,
        };
        self.endpoint.meter.show(&gate);
        let wait = gate.wait(now);
        drop(gate);
        self.endpoint.standing.freed.notify_one();
        Stand { change, excused, wait }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.ended {
            let now = self.endpoint.clock.now().mono;
            self.endpoint.gate().end(self.probe, now);
            self.endpoint.standing.freed.notify_one();
        }
    }
}

/// The request waits for the endpoint, free of charge.
fn waits(attempt: Attempt, wait: Duration) -> Settlement {
    Settlement::Later { attempt, wait, charge: Charge::Nothing, aside: None }
}
