//! Random days of an exchange: people do whatever is possible, notices are lost, doubled and
//! late, callhook and the PBX are restarted. A day is known by its number, which is its seed.
//!
//! `CALLHOOK_DAYS=10000` plays as many days, `CALLHOOK_DAY=17` only that one; with
//! `CALLHOOK_TRACE=1` everything that happens is printed.

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
    let wire = wire(&mut dice);
    let hidden = hidden(&mut dice, weather);
    let mut desk = Desk::new(wire, &hidden);
    let mut watcher = Watcher::new(weather);
    let mut record = Record::default();
    let actions = dice.below(200) + 20;
    for _ in 0..actions {
        if weather == Weather::Clear {
            record.compare(&mut desk)?;
        }
        people_do(&mut desk.exchange, &mut dice);
        watcher.tells(&mut desk, &mut dice);
        if weather == Weather::Clear {
            record.compare(&mut desk)?;
        }
        watcher.lives(&mut desk, &mut dice, restarts);
        let quickly = dice.one_in(3);
        desk.pass(if quickly { dice.below(20) } else { dice.below(9_000) });
    }
    loop {
        if weather == Weather::Clear {
            record.compare(&mut desk)?;
        }
        if !watcher.sends_home(&mut desk) {
            break;
        }
    }
    assert_eq!(desk.exchange.participants().count(), 0, "the exchange forgot to end a leg");
    invariants::check(&desk.events)?;
    desk.is_forgotten();
    Ok(desk.events)
}

/// What is not known of the wire, one way or the other.
fn wire(dice: &mut Dice) -> Wire {
    Wire {
        party_did: dice.one_in(2),
        polled_by: dice.pick(&[PolledBy::Group, PolledBy::Router, PolledBy::Nobody]),
        group_leg: dice.one_in(2),
        queue_leg_stays: dice.one_in(2),
        queue_prefix: false,
        join: dice.pick(&[Join::LegMoves, Join::LegReplaced, Join::OtherSideMoves]),
        hold: dice.pick(&[Hold::Silent, Hold::Repeat, Hold::Status]),
    }
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

/// Plays the days, and says of all of them what went wrong, the first ones in full.
fn play_all(play: impl Fn(u64) -> Result<(), String>) {
    let wrong: Vec<(u64, String)> =
        days().filter_map(|day| Some((day, play(day).err()?))).collect();
    let which: Vec<u64> = wrong.iter().map(|(day, _)| *day).collect();
    let first: Vec<String> =
        wrong.iter().take(3).map(|(day, wrong)| format!("day {day}: {wrong}")).collect();
    assert!(wrong.is_empty(), "{}\n{} days: {which:?}", first.join("\n"), wrong.len());
}

#[test]
fn on_clear_days_all_that_is_told_is_true_and_nothing_is_left_out() {
    play_all(|day| play(day, Weather::Clear, true).map(drop));
}

#[test]
fn on_rough_days_every_link_that_began_ends_once() {
    play_all(|day| play(day, Weather::Rough, true).map(drop));
}

#[test]
fn a_restart_of_callhook_changes_nothing_of_what_is_told() {
    play_all(|day| {
        let weather = if day % 2 == 0 { Weather::Clear } else { Weather::Rough };
        let both = (play(day, weather, false), play(day, weather, true));
        // What is wrong with the day itself, the other tests tell.
        let (Ok(undisturbed), Ok(killed)) = both else { return Ok(()) };
        if undisturbed == killed { Ok(()) } else { Err(format!("{weather:?}")) }
    });
}
