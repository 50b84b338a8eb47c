//! Random days of an exchange: people do whatever is possible, notices are lost, doubled and
//! late, callhook and the PBX are restarted. A day is known by its number, which is its seed.
//!
//! `CALLHOOK_DAYS=10000` plays as many days, `CALLHOOK_DAY=17` only that one.

mod dice;
mod people;
mod record;
mod watcher;

use callhook::event::CallEvent;
use callhook_pbx::exchange::{Hold, Join, PolledBy, Wire};

use self::dice::Dice;
use self::people::people_do;
use self::record::Record;
use self::watcher::Watcher;
use crate::desk::Desk;
use crate::invariants;
use crate::office::{EXTENSIONS, SYSTEM, TRUNK};

/// What goes wrong on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    /// Nothing; every number is visible.
    Clear,
    /// Notices come late, doubled or not at all; some numbers are hidden; the connection breaks
    /// and the PBX is restarted.
    Rough,
}

/// Plays a day. A day with restarts of callhook is the same day at the exchange.
fn play(day: u64, weather: Weather, restarts: bool) -> Result<Vec<CallEvent>, String> {
    let mut dice = Dice::new(day);
    let wire = wire(&mut dice, weather);
    let hidden = hidden(&mut dice, weather);
    let mut desk = Desk::new(wire, &hidden);
    let mut watcher = Watcher::new(weather);
    let mut record = Record::default();
    let actions = dice.below(200) + 20;
    for _ in 0..actions {
        if weather == Weather::Clear {
            record.compare(&desk)?;
        }
        people_do(&mut desk.exchange, &mut dice);
        watcher.tells(&mut desk, &mut dice);
        if weather == Weather::Clear {
            record.compare(&desk)?;
        }
        watcher.lives(&mut desk, &mut dice, restarts);
        let quickly = dice.one_in(3);
        desk.pass(if quickly { dice.below(20) } else { dice.below(9_000) });
    }
    while watcher.sends_home(&mut desk) {
        if weather == Weather::Clear {
            record.compare(&desk)?;
        }
    }
    assert_eq!(desk.exchange.participants().count(), 0, "the exchange forgot to end a leg");
    invariants::check(&desk.events)?;
    desk.is_forgotten();
    Ok(desk.events)
}

/// On clear days a queue whose leg stays only meets calls that are joined by moving legs: what a
/// queue's idle leg does in the other ways of joining is anybody's guess.
fn wire(dice: &mut Dice, weather: Weather) -> Wire {
    let mut wire = Wire {
        party_did: dice.one_in(2),
        polled_by: dice.pick(&[PolledBy::Group, PolledBy::Router, PolledBy::Nobody]),
        group_leg: dice.one_in(2),
        queue_leg_stays: dice.one_in(2),
        queue_prefix: false,
        join: dice.pick(&[Join::LegMoves, Join::LegReplaced, Join::OtherSideMoves]),
        hold: dice.pick(&[Hold::Silent, Hold::Repeat, Hold::Status]),
    };
    if weather == Weather::Clear && wire.queue_leg_stays {
        wire.join = Join::LegMoves;
    }
    wire
}

/// Each number may be hidden; on a third of the rough days none is.
fn hidden(dice: &mut Dice, weather: Weather) -> Vec<&'static str> {
    if weather == Weather::Clear || dice.one_in(3) {
        return Vec::new();
    }
    let all = EXTENSIONS.iter().chain(&SYSTEM).chain(&[TRUNK]).copied();
    all.filter(|_| dice.one_in(3)).collect()
}

/// The days to play.
fn days() -> Box<dyn Iterator<Item = u64>> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("CALLHOOK_DAY") {
        Some(day) => Box::new(std::iter::once(day)),
        None => Box::new(0..number("CALLHOOK_DAYS").unwrap_or(150)),
    }
}

#[test]
fn on_clear_days_all_that_is_told_is_true_and_nothing_is_left_out() {
    for day in days() {
        if let Err(wrong) = play(day, Weather::Clear, true) {
            panic!("day {day}: {wrong}");
        }
    }
}

#[test]
fn on_rough_days_every_link_that_began_ends_once() {
    for day in days() {
        if let Err(wrong) = play(day, Weather::Rough, true) {
            panic!("day {day}: {wrong}");
        }
    }
}

#[test]
fn a_restart_of_callhook_changes_nothing_of_what_is_told() {
    for day in days() {
        let weather = if day % 2 == 0 { Weather::Clear } else { Weather::Rough };
        let undisturbed = play(day, weather, false).expect("the other tests tell of it");
        let killed = play(day, weather, true).expect("the other tests tell of it");
        assert!(undisturbed == killed, "day {day}, {weather:?}");
    }
}
