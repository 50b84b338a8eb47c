//! `callhook deliveries` and `callhook replay`: what became of events, and what should.
//!
//! All of it works on the database itself, whether a service has it open or not, and without the
//! service's secrets as long as no request has to be made.

mod endpoints;
mod shown;

use std::io::Write as _;

use anyhow::Context as _;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use self::shown::{Line, Told, detail_as_json, row_as_json};
use super::{ConfigArgument, Failure, ToStdout, complain, log, say};
use crate::app::{Faults, Operator, Replay, Tally, deliveries, each, goes_to};
use crate::config::{Config, LogConfig, LogLevel, Partial};
use crate::outbox::{DeliveryFilter, DeliveryState, Scan as _, Selection};

/// What became of events.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List deliveries: first events, then replies that a plugin failed on, then requests; oldest
    /// first each.
    List {
        #[command(flatten)]
        config: ConfigArgument,
        #[command(flatten)]
        which: Which,
        /// So many at most; stderr says if there are more.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// One JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Show all that is known of one delivery: the request, its attempts, the event.
    Show {
        #[command(flatten)]
        config: ConfigArgument,
        /// As `list` shows it.
        id: String,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Send deliveries again, now, under the same webhook-id.
    ///
    /// Of an event that a plugin failed on, today's plugins make new requests; a reply that a
    /// plugin failed on is judged by them. Exit code 1 if they fail again, or if a delivery that is
    /// named by its id has arrived already.
    Retry {
        #[command(flatten)]
        config: ConfigArgument,
        /// These.
        ids: Vec<String>,
        #[command(flatten)]
        which: Which,
    },
    /// Give deliveries up that still wait.
    ///
    /// Exit code 1 if one that is named by its id does not wait.
    Bury {
        #[command(flatten)]
        config: ConfigArgument,
        /// These.
        ids: Vec<String>,
        #[command(flatten)]
        which: Which,
        /// Why, for those who look at them later.
        #[arg(long, default_value = "given up by the operator")]
        reason: String,
    },
    /// Write deliveries with requests, attempts and events to stdout, one JSON object per line.
    Export {
        #[command(flatten)]
        config: ConfigArgument,
        #[command(flatten)]
        which: Which,
    },
    /// Deliver again to an endpoint that was switched off because its address was gone (410).
    Resume {
        #[command(flatten)]
        config: ConfigArgument,
        /// Its name in the settings.
        endpoint: String,
    },
}

/// Which deliveries.
#[derive(Debug, clap::Args)]
struct Which {
    /// In these states: waiting, delivered, dead, expired.
    #[arg(long, value_delimiter = ',', value_name = "STATE", value_parser = state)]
    state: Vec<DeliveryState>,
    /// To this endpoint.
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Of this call: an id with or without the link.
    #[arg(long, value_name = "ID")]
    call: Option<String>,
    /// Made at this time or later: `2026-03-05`, `2026-03-05 09:15` (this machine's time),
    /// `2026-03-05T09:15:00Z`, or how long ago: `2h`.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Made before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

/// Stored events, once more.
#[derive(Debug, clap::Args)]
pub(super) struct ReplayArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Events of this time or later; as in `deliveries list --since`.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Timestamp,
    /// Events before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Timestamp,
    /// To this endpoint only.
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Also ringing and other events that only matter while they are new.
    #[arg(long)]
    popups: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.what {
        What::List { config, which, limit, json } => {
            list(&load(config)?, &which.filter(), *limit, *json)
        }
        What::Show { config, id, json } => show(&load(config)?.config, id, *json),
        What::Export { config, which } => export(&load(config)?, which.filter()),
        What::Retry { config, ids, which } => {
            let selection = which.selection(ids)?;
            let settings = load(config)?;
            endpoints::in_settings_or_kept(&settings, which.endpoint.as_deref())?;
            change(config, settings, "sent again", |operator| operator.retry(&selection))
        }
        What::Bury { config, ids, which, reason } => {
            let selection = which.selection(ids)?;
            let settings = load(config)?;
            endpoints::in_settings_or_kept(&settings, which.endpoint.as_deref())?;
            change(config, settings, "given up", |it| it.bury(&selection, reason))
        }
        What::Resume { config, endpoint } => {
            let settings = load(config)?;
            endpoints::in_settings(&settings, Some(endpoint))?;
            let mut operator = open(settings)?;
            let was_off = operator.resume(endpoint).map_err(|error| failure(config, error))?;
            let said = if was_off { "is delivered to again" } else { "was not switched off" };
            Ok(say(format_args!("{endpoint} {said}\n"))?)
        }
    }
}

pub(super) fn replay(arguments: &ReplayArguments) -> Result<(), Failure> {
    let ReplayArguments { config, from, to, endpoint, popups } = arguments;
    if from >= to {
        complain("error: --from must be earlier than --to");
        return Err(Failure::Settings);
    }
    let replay = Replay { from: *from, until: *to, endpoint: endpoint.clone(), popups: *popups };
    let settings = load(config)?;
    endpoints::in_settings(&settings, endpoint.as_deref())?;
    change(config, settings, "made", |operator| operator.replay(&replay))
}

impl Which {
    fn filter(&self) -> DeliveryFilter {
        DeliveryFilter {
            states: self.state.clone(),
            endpoint: self.endpoint.clone(),
            chain: self.chain(),
            since: self.since,
            until: self.until,
            ..DeliveryFilter::default()
        }
    }

    /// The call without its link.
    fn chain(&self) -> Option<String> {
        let call = self.call.as_deref()?;
        let chain = match call.rsplit_once('-') {
            Some((chain, link)) if link.bytes().all(|byte| byte.is_ascii_digit()) => chain,
            _ => call,
        };
        Some(chain.to_owned())
    }

    /// What is to be changed. All there is must be asked for by a state at least.
    fn selection(&self, ids: &[String]) -> Result<Selection, Failure> {
        let filtered = !self.state.is_empty()
            || self.endpoint.is_some()
            || self.call.is_some()
            || self.since.is_some()
            || self.until.is_some();
        if ids.is_empty() != filtered {
            complain(
                "error: say which, either by their ids or by --state, --endpoint, --call, \
                 --since and --until",
            );
            return Err(Failure::Settings);
        }
        if ids.is_empty() {
            return Ok(Selection::Filter(self.filter()));
        }
        Ok(Selection::Ids(ids.to_vec()))
    }
}

/// Reads the settings as far as that is possible here.
fn load(ConfigArgument { config: path }: &ConfigArgument) -> Result<Partial, Failure> {
    let read = Config::load_in_part(path);
    let partial = read.map_err(|errors| super::tell(path, &super::lines(&errors)))?;
    drop(log::start(LogConfig { level: LogLevel::Warn, ..partial.config.log }));
    Ok(partial)
}

fn open(settings: Partial) -> Result<Operator, Failure> {
    Ok(Operator::open(settings)?)
}

/// Why an operator's command failed; faults of the settings are told.
fn failure(ConfigArgument { config: path }: &ConfigArgument, error: anyhow::Error) -> Failure {
    match error.downcast::<Faults>() {
        Ok(Faults(faults)) => super::tell(path, &faults),
        Err(error) => Failure::Running(error),
    }
}

fn change(
    config: &ConfigArgument,
    settings: Partial,
    what: &str,
    carry_out: impl FnOnce(&mut Operator) -> anyhow::Result<Tally>,
) -> Result<(), Failure> {
    let done = carry_out(&mut open(settings)?).map_err(|error| failure(config, error))?;
    let Tally { done, failed, judged, skipped, untouched, left_out } = done;
    say(format_args!("{done} {} {what}\n", plural(done, "request", "requests")))?;
    if judged > 0 {
        say(format_args!("{judged} {} judged\n", plural(judged, "reply", "replies")))?;
    }
    if skipped > 0 {
        say(format_args!(
            "{skipped} {} left out that only mattered while new; --popups takes them too\n",
            plural(skipped, "event", "events")
        ))?;
    }
    if failed > 0 {
        say(format_args!(
            "{failed} {} failed on by a plugin; see: callhook deliveries list --state dead\n",
            plural(failed, "event or reply", "events or replies")
        ))?;
    }
    for (id, state) in &untouched {
        complain(format_args!("{id}: {}", already(*state)));
    }
    for (why, count) in &left_out {
        complain(format_args!("{count} left out: {why}"));
    }
    if failed > 0 || !untouched.is_empty() || !left_out.is_empty() {
        return Err(anyhow::anyhow!("not all that was asked for could be done").into());
    }
    Ok(())
}

/// Why nothing happens to a delivery.
fn already(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Waiting => "waits already",
        DeliveryState::Delivered => "delivered already",
        DeliveryState::Dead => "given up already",
        DeliveryState::Expired => "expired already",
    }
}

fn plural<'a>(count: u64, one: &'a str, more: &'a str) -> &'a str {
    if count == 1 { one } else { more }
}

fn list(
    settings: &Partial,
    filter: &DeliveryFilter,
    limit: usize,
    json: bool,
) -> Result<(), Failure> {
    endpoints::in_settings_or_kept(settings, filter.endpoint.as_deref())?;
    let mut out = std::io::stdout().lock();
    let mut left = limit;
    each(&deliveries(&settings.config)?, filter.clone(), limit.saturating_add(1), |row| {
        if left == 0 {
            complain(format_args!("note: there are more than these {limit}; see --limit"));
            return Ok(false);
        }
        left -= 1;
        let line = if json { row_as_json(row).to_string() } else { Line(row).to_string() };
        writeln!(out, "{line}").context(ToStdout)?;
        Ok(true)
    })?;
    Ok(())
}

fn show(config: &Config, id: &str, json: bool) -> Result<(), Failure> {
    let detail = deliveries(config)?.show(id)?.with_context(|| {
        format!("there is no delivery {id}; `callhook deliveries list` shows all")
    })?;
    let goes_to = goes_to(config, &detail);
    if json {
        return Ok(say(format_args!("{:#}\n", detail_as_json(&detail, goes_to.as_deref())))?);
    }
    Ok(say(Told { detail: &detail, goes_to: goes_to.as_deref() })?)
}

fn export(settings: &Partial, filter: DeliveryFilter) -> Result<(), Failure> {
    endpoints::in_settings_or_kept(settings, filter.endpoint.as_deref())?;
    let config = &settings.config;
    let kept = deliveries(config)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    each(&kept, filter, usize::MAX, |row| {
        // It may have been pruned since it was listed.
        if let Some(detail) = kept.show(&row.id)? {
            let json = detail_as_json(&detail, goes_to(config, &detail).as_deref());
            writeln!(out, "{json}").context(ToStdout)?;
        }
        Ok(true)
    })?;
    Ok(out.flush().context(ToStdout)?)
}

fn state(name: &str) -> Result<DeliveryState, String> {
    let named = DeliveryState::ALL.into_iter().find(|state| state.name() == name);
    named.ok_or_else(|| "expected waiting, delivered, dead or expired".to_owned())
}

/// A time as people write it.
fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        let ago = jiff::SignedDuration::try_from(ago).map_err(|error| error.to_string())?;
        return Timestamp::now().checked_sub(ago).map_err(|error| error.to_string());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(zoned) = text.parse::<Zoned>() {
        return Ok(zoned.timestamp());
    }
    let civil = text
        .parse::<DateTime>()
        .or_else(|_| text.parse::<jiff::civil::Date>().map(|date| date.at(0, 0, 0, 0)));
    let expected = "expected a time such as 2026-03-05, 2026-03-05T09:15, 2026-03-05T09:15:00Z, \
                    or how long ago, such as 2h";
    let zoned = civil.map_err(|_| expected.to_owned())?.to_zoned(TimeZone::system());
    Ok(zoned.map_err(|error| error.to_string())?.timestamp())
}
