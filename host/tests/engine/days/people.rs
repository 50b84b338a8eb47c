//! What people do all day.

use callhook_pbx::exchange::{Exchange, Participant, Refused, Status, Who};

use super::dice::Dice;
use crate::office::EXTENSIONS;

/// More calls than this at a time, and nobody calls.
const BUSY: usize = 12;
const LINES: u64 = 10;
const SYSTEM: [&str; 9] = ["800", "801", "802", "810", "811", "850", "851", "666", "888"];

/// Somebody does something, or tries to: what makes no sense at the moment is refused.
pub(crate) fn people_do(exchange: &mut Exchange, dice: &mut Dice) {
    let calls: Vec<i64> = exchange.calls().map(|call| call.id).collect();
    let calls_first = calls.is_empty() || (calls.len() < BUSY && dice.one_in(5));
    let done = if calls_first {
        somebody_calls(exchange, dice)
    } else {
        let call = dice.pick(&calls);
        something_happens(exchange, dice, call, &calls)
    };
    drop(done);
}

/// A number outside that nobody had before, as good as.
fn outside(dice: &mut Dice) -> String {
    format!("4206{:08}", dice.below(100_000_000))
}

fn somewhere(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => dice.pick(&SYSTEM).to_owned(),
        1 if dice.one_in(3) => outside(dice),
        _ => dice.pick(&EXTENSIONS).to_owned(),
    }
}

fn somebody_calls(exchange: &mut Exchange, dice: &mut Dice) -> Result<(), Refused> {
    let from = dice.pick(&EXTENSIONS);
    match dice.below(8) {
        0..4 => {
            let line = format!("42022620{}", 1_001 + dice.below(LINES));
            exchange.arrive(&outside(dice), "", &line)?
        }
        4 => exchange.dial(from, &outside(dice))?,
        5 => exchange.make_call(from, &outside(dice))?,
        _ => {
            let to = somewhere(dice);
            if to == from {
                return Ok(());
            }
            exchange.dial(from, &to)?
        }
    };
    Ok(())
}

/// A leg of the call that stands so.
fn somebody(exchange: &Exchange, dice: &mut Dice, call: i64, status: Status) -> Who<'static> {
    let legs: Vec<i64> = exchange
        .participants()
        .filter(|leg| leg.callid == call && leg.status == status)
        .map(|leg| leg.id)
        .collect();
    if legs.is_empty() { Who::Participant(0) } else { Who::Participant(dice.pick(&legs)) }
}

fn something_happens(
    exchange: &mut Exchange,
    dice: &mut Dice,
    call: i64,
    calls: &[i64],
) -> Result<(), Refused> {
    let person = dice.pick(&EXTENSIONS);
    let to = somewhere(dice);
    let ringing = somebody(exchange, dice, call, Status::Ringing);
    let talking = somebody(exchange, dice, call, Status::Connected);
    match dice.below(24) {
        0..6 => exchange.answer(call, ringing),
        6 => exchange.reject(call, ringing),
        7 => exchange.take_own_call(call, ringing),
        8 => exchange.divert(call, ringing, &to),
        9 => exchange.ring_out(call),
        10 => exchange.poll_again(call),
        11 => exchange.time_out(call),
        12 => exchange.go_to(call, &to),
        13 => exchange.pick_up(call, person),
        14 => exchange.barge_in(call, person),
        15 => exchange.hold(call, talking),
        16 => exchange.resume(call, talking),
        17 => exchange.park(call, Who::Dn(person), "SP0"),
        18 => exchange.transfer(call, Who::Dn(person), &to),
        19 => {
            if to == person {
                return Ok(());
            }
            exchange.dial(person, &to).map(drop)
        }
        20 | 21 => {
            let second = dice.pick(calls);
            let both = EXTENSIONS.iter().find(|dn| {
                let takes_part = |call| {
                    let own = |leg: &&Participant| leg.dn == **dn && leg.callid == call;
                    exchange.participants().filter(own).count() == 1
                };
                takes_part(call) && takes_part(second)
            });
            match both {
                Some(by) => exchange.join(call, second, by).map(drop),
                None => Ok(()),
            }
        }
        _ => exchange.hang_up(call, talking),
    }
}
