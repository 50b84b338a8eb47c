//! Replays recordings: folds their notices through an engine, with time passing as it did then.
//!
//! Nothing waits and no clock is read. Between two notices the engine is woken whenever it asked
//! for it; after the last one, until it asks for nothing more.

use std::time::Duration;

use super::{Engine, Settings, Wanted, title::Titles};
use crate::clock::Moment;
use crate::event::{CallEvent, Callback, Ended, EventKind, Party, TransferType};
use crate::source::notice::{Notice, Seen};
use crate::source::recording::{Header, Recording};

/// An engine in the time of a recording.
struct Stage {
    engine: Engine,
    /// The latest time that was reached.
    now: Option<Moment>,
    events: Vec<CallEvent>,
}

/// All events that follow from a recording, in their order.
pub fn replay(recording: &Recording) -> Vec<CallEvent> {
    let engine = Engine::new(settings(&recording.header));
    let mut stage = Stage { engine, now: None, events: Vec::new() };
    for notice in &recording.notices {
        stage.pass_until(Some(notice.at.mono));
        stage.take(notice);
    }
    stage.pass_until(None);
    stage.events
}

fn settings(header: &Header) -> Settings {
    Settings {
        pbx: header.pbx.clone(),
        zone: header.timezone.clone(),
        settle: Duration::from_millis(header.settle_ms),
        dids: header.dids.clone(),
        dns: header.dns.clone(),
        titles: Titles::default(),
        // Without looks into the log, which are notices, too, nothing comes of it.
        wanted: Wanted {
            recordings: true,
            callback_wait: Duration::from_millis(header.callback_wait_ms),
        },
    }
}

impl Stage {
    fn take(&mut self, notice: &Notice) {
        self.now = Some(notice.at);
        self.events.extend(self.engine.apply(notice).events);
    }

    /// Lets time pass, and the engine be woken, until the monotonic clock shows this.
    fn pass_until(&mut self, end: Option<Duration>) {
        let mut last = None;
        while let (Some(now), Some(due)) = (self.now, self.engine.next_tick()) {
            // A clock at its limit cannot go where the engine waits for it.
            if end.is_some_and(|end| due > end) || last == Some(due) {
                return;
            }
            last = Some(due);
            let passed = due.saturating_sub(now.mono);
            let wall = now.wall.checked_add(passed).unwrap_or(now.wall);
            let at = Moment { wall, mono: due.max(now.mono) };
            self.take(&Notice { at, what: Seen::Tick });
        }
    }
}

/// An event in one line that a person can read: what stays the same whenever the same happens,
/// a bar, and when it was and how long it took.
pub fn line(event: &CallEvent) -> String {
    let number = event.id.chain.to_string();
    let number = number.rsplit('_').next().unwrap_or_default();
    let mut words = vec![
        format!("{:<8}", event.kind.name()),
        format!("{}({})", event.user.number, event.user.kind.user_type()),
        format!("{number}-{}", event.id.link),
        format!("{:?}", event.direction).to_lowercase(),
        event.caller_id.clone(),
    ];
    let quoted = |name: &str, text: &str| format!("{name}={text:?}");
    words.extend(event.caller_name.as_deref().map(|name| quoted("name", name)));
    words.extend(event.user.name.as_deref().map(|name| quoted("user", name)));
    words.extend(event.did.as_ref().map(|did| format!("did={}", did.label())));
    words.extend(event.queue.as_ref().map(|queue| format!("queue={}", queue.number)));
    let times = match &event.kind {
        EventKind::Ringing(ringing) => {
            words.extend(came(ringing.transfer, ringing.transferred_by.as_ref()));
            String::new()
        }
        EventKind::Started(started) => {
            words.extend(came(started.transfer, started.transferred_by.as_ref()));
            format!(" ring={} wait={}", ms(started.ring_ms), ms(Some(started.wait_ms)))
        }
        EventKind::Ended(ended) => end(ended, &mut words),
        EventKind::RingingStopped(stopped) => {
            words.push(stopped.reason.name().to_owned());
            format!(" rang={}", ms(Some(stopped.rang_ms)))
        }
        EventKind::Recording(recording) => {
            words.push(format!("url={:?}", recording.url));
            format!(" talk={}", ms(recording.duration_ms))
        }
        EventKind::Dialing | EventKind::Hold | EventKind::Resume => String::new(),
    };
    if event.resynced {
        words.push("resynced".to_owned());
    }
    format!("{} | {}{times}", words.join(" "), event.occurred_at)
}

fn end(ended: &Ended, words: &mut Vec<String>) -> String {
    words.push(format!("{:?}", ended.finish).to_lowercase());
    if ended.transferred {
        let to = ended.transferred_to.as_ref().map_or("?", |party| party.number.as_str());
        words.push(format!("moved-to={to}"));
    }
    if !ended.unanswered.is_empty() {
        let numbers: Vec<&str> = ended.unanswered.iter().map(|it| it.number.as_str()).collect();
        words.push(format!("unanswered={}", numbers.join(",")));
    }
    if ended.callback_ordered != Callback::No {
        words.push(format!("callback={:?}", ended.callback_ordered).to_lowercase());
    }
    let (ring, wait, talk) = (ms(ended.ring_ms), ms(Some(ended.wait_ms)), ms(ended.talk_ms));
    format!(" ring={ring} wait={wait} talk={talk}")
}

fn came(transfer: TransferType, by: Option<&Party>) -> Option<String> {
    let by = by.map_or("?", |party| party.number.as_str());
    match transfer {
        TransferType::NotDef => None,
        TransferType::Blind => Some(format!("blind-by={by}")),
        TransferType::Accomp => Some(format!("attended-by={by}")),
    }
}

fn ms(ms: Option<u32>) -> String {
    ms.map_or_else(|| "?".to_owned(), |ms| format!("{ms}ms"))
}
