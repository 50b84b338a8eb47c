//! `callhook deliveries` and `callhook replay`: what became of events, and what should.
//!
//! All of it works on the database itself, whether a service has it open or not.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::json;

use super::{ConfigArgument, Failure, log};
use crate::app::{Operator, Replay, Tally, deliveries, each};
use crate::config::{Config, Loaded, LogConfig, LogLevel};
use crate::outbox::{
    DeliveryDetail, DeliveryFilter, DeliveryRow, DeliveryState, Scan as _, Selection,
};

/// What became of events.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List deliveries, oldest first.
    List {
        #[command(flatten)]
        config: ConfigArgument,
        #[command(flatten)]
        which: Which,
        /// So many at most.
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
    /// Of an event that a plugin failed on, today's plugins make new requests.
    Retry {
        #[command(flatten)]
        config: ConfigArgument,
        /// These.
        ids: Vec<String>,
        #[command(flatten)]
        which: Which,
    },
    /// Give deliveries up that still wait.
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
        What::Show { config, id, json } => show(&load(config)?, id, *json),
        What::Export { config, which } => export(&load(config)?, which.filter()),
        What::Retry { config, ids, which } => {
            let which = which.selection(ids)?;
            change(config, "sent again", |operator| operator.retry(&which))
        }
        What::Bury { config, ids, which, reason } => {
            let which = which.selection(ids)?;
            change(config, "given up", |operator| operator.bury(&which, reason))
        }
        What::Resume { config, endpoint } => {
            let mut operator = open(config)?;
            let was_off = operator.resume(endpoint)?;
            let said = if was_off { "is delivered to again" } else { "was not switched off" };
            println!("{endpoint} {said}");
            Ok(())
        }
    }
}

pub(super) fn replay(arguments: &ReplayArguments) -> Result<(), Failure> {
    let ReplayArguments { config, from, to, endpoint, popups } = arguments;
    if from >= to {
        eprintln!("error: --from must be earlier than --to");
        return Err(Failure::Settings);
    }
    let replay = Replay { from: *from, until: *to, endpoint: endpoint.clone(), popups: *popups };
    change(config, "made", |operator| operator.replay(&replay))
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
            eprintln!(
                "error: say which, either by their ids or by --state, --endpoint, --call, \
                       --since and --until"
            );
            return Err(Failure::Settings);
        }
        if ids.is_empty() {
            return Ok(Selection::Filter(self.filter()));
        }
        Ok(Selection::Ids(ids.to_vec()))
    }
}

fn load(config: &ConfigArgument) -> Result<Config, Failure> {
    let Loaded { config, .. } = super::load(&config.config, false)?;
    drop(log::start(LogConfig { level: LogLevel::Warn, ..config.log }));
    Ok(config)
}

fn open(argument: &ConfigArgument) -> Result<Operator, Failure> {
    Operator::open(load(argument)?)?.map_err(|faults| super::tell(&argument.config, &faults.0))
}

fn change(
    config: &ConfigArgument,
    what: &str,
    carry_out: impl FnOnce(&mut Operator) -> anyhow::Result<Tally>,
) -> Result<(), Failure> {
    let tally = carry_out(&mut open(config)?)?;
    let Tally { done, failed, skipped } = tally;
    println!("{done} {} {what}", plural(done, "request", "requests"));
    if skipped > 0 {
        println!(
            "{skipped} {} left out that only mattered while new; --popups takes them too",
            plural(skipped, "event", "events")
        );
    }
    if failed > 0 {
        println!(
            "{failed} {} failed on by a plugin; see: callhook deliveries list --state dead",
            plural(failed, "event", "events")
        );
    }
    Ok(())
}

fn plural<'a>(count: u64, one: &'a str, more: &'a str) -> &'a str {
    if count == 1 { one } else { more }
}

fn list(config: &Config, filter: &DeliveryFilter, limit: usize, json: bool) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    each(&deliveries(config)?, filter.clone(), limit, |row| {
        let line = if json { row_as_json(row).to_string() } else { line(row) };
        writeln!(out, "{line}").context("while writing to stdout")?;
        Ok(true)
    })?;
    Ok(())
}

fn line(row: &DeliveryRow) -> String {
    let state = if row.behind { "behind" } else { row.state.name() };
    let when = row.created.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S");
    let mut line = format!("{when}  {state:<9}  {:>2}  {}", row.attempts, row.id);
    if let Some(due) = row.due_in.filter(|due| !row.behind && !due.is_zero()) {
        let due = Duration::from_secs(due.as_secs());
        line += &format!("  due in {}", humantime::format_duration(due));
    }
    if let Some(reason) = &row.reason {
        line += &format!("  {reason}");
    }
    line
}

fn row_as_json(row: &DeliveryRow) -> serde_json::Value {
    json!({
        "id": row.id,
        "event": row.event_id,
        "endpoint": row.endpoint,
        "lane": row.lane,
        "state": row.state.name(),
        "behind": row.behind,
        "attempts": row.attempts,
        "created": row.created,
        "finished": row.finished,
        "due_in_ms": row.due_in.map(|due| due.as_millis()),
        "reason": row.reason,
    })
}

fn detail_as_json(detail: &DeliveryDetail) -> serde_json::Value {
    let mut value = row_as_json(&detail.row);
    let attempts = detail.attempts.iter().map(|attempt| {
        json!({
            "at": attempt.at,
            "took_ms": attempt.took.as_millis(),
            "status": attempt.status,
            "error": attempt.error,
            "reply": String::from_utf8_lossy(&attempt.reply),
            "truncated": attempt.truncated,
        })
    });
    let event = detail.event.as_deref().map(|event| {
        serde_json::from_str(event).unwrap_or_else(|_| serde_json::Value::from(event))
    });
    let request = detail.request.as_ref().map(|request| {
        json!({
            "method": request.method,
            "url": request.url,
            "headers": request.headers,
            "body": String::from_utf8_lossy(&request.body),
        })
    });
    if let Some(object) = value.as_object_mut() {
        object.insert("generation".to_owned(), json!(detail.generation));
        object.insert("request".to_owned(), json!(request));
        object.insert("tries".to_owned(), attempts.collect());
        object.insert("event_data".to_owned(), json!(event));
    }
    value
}

fn show(config: &Config, id: &str, json: bool) -> Result<(), Failure> {
    let detail = deliveries(config)?.show(id)?.with_context(|| {
        format!("there is no delivery {id}; `callhook deliveries list` shows all")
    })?;
    if json {
        println!("{:#}", detail_as_json(&detail));
        return Ok(());
    }
    print!("{}", told(&detail));
    Ok(())
}

fn told(detail: &DeliveryDetail) -> String {
    let row = &detail.row;
    let state = if row.behind { "waiting behind an earlier one" } else { row.state.name() };
    let mut text = format!("id        {}\nendpoint  {}\nstate     {state}\n", row.id, row.endpoint);
    if let Some(reason) = &row.reason {
        text += &format!("reason    {reason}\n");
    }
    text += &format!("made      {}\n", row.created);
    if let Some(finished) = row.finished {
        text += &format!("finished  {finished}\n");
    }
    if let Some(request) = &detail.request {
        text += &format!("\n{} {}\n", request.method, request.url);
        for (name, value) in &request.headers {
            text += &format!("{name}: {value}\n");
        }
        if !request.body.is_empty() {
            text += &format!("\n{}\n", String::from_utf8_lossy(&request.body));
        }
    }
    for attempt in &detail.attempts {
        let status = attempt.status.map_or_else(|| "no reply".to_owned(), |s| s.to_string());
        let took = Duration::from_millis(u64::try_from(attempt.took.as_millis()).unwrap_or(0));
        text += &format!("\nattempt   {} {status} after {took:?}", attempt.at);
        if let Some(error) = &attempt.error {
            text += &format!(": {error}");
        }
        text.push('\n');
        if !attempt.reply.is_empty() {
            text += &format!("{}\n", String::from_utf8_lossy(&attempt.reply).trim_end());
        }
    }
    if let Some(event) = &detail.event {
        text += &format!("\nevent     {event}\n");
    }
    text
}

fn export(config: &Config, filter: DeliveryFilter) -> Result<(), Failure> {
    let kept = deliveries(config)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    each(&kept, filter, usize::MAX, |row| {
        // It may have been pruned since it was listed.
        if let Some(detail) = kept.show(&row.id)? {
            writeln!(out, "{}", detail_as_json(&detail)).context("while writing to stdout")?;
        }
        Ok(true)
    })?;
    Ok(out.flush().context("while writing to stdout")?)
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
    let civil = text
        .parse::<DateTime>()
        .or_else(|_| text.parse::<jiff::civil::Date>().map(|date| date.at(0, 0, 0, 0)));
    let expected = "expected a time such as 2026-03-05, 2026-03-05T09:15, 2026-03-05T09:15:00Z, \
                    or how long ago, such as 2h";
    let zoned = civil.map_err(|_| expected.to_owned())?.to_zoned(TimeZone::system());
    Ok(zoned.map_err(|error| error.to_string())?.timestamp())
}
