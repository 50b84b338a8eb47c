//! Between the exchange and the engine: what a watcher may make of the notices, and what befalls
//! the connection, callhook and the PBX.

use std::collections::BTreeMap;

use callhook::source::notice::Seen;
use callhook_pbx::exchange::{Change, Who};

use super::Weather;
use super::dice::Dice;
use crate::desk::{Desk, SETTLE_MS};

/// How notices reach the engine.
pub(crate) struct Watcher {
    weather: Weather,
    /// The connection is broken.
    lost: bool,
}

impl Watcher {
    pub(crate) fn new(weather: Weather) -> Self {
        Self { weather, lost: false }
    }

    /// Tells what happened: some of it late or twice, in the order of each participant, and some
    /// of it never.
    pub(crate) fn tells(&mut self, desk: &mut Desk, dice: &mut Dice) {
        let changes = desk.exchange.take_changes();
        if self.lost {
            return;
        }
        let changes = if self.weather == Weather::Clear { changes } else { shake(changes, dice) };
        for change in changes {
            desk.show(&change);
            desk.pass(dice.below(3));
        }
    }

    /// What befalls the watcher. Restarts of callhook are only played if wanted, so that a day
    /// can be compared with the same day without them.
    pub(crate) fn lives(&mut self, desk: &mut Desk, dice: &mut Dice, restarts: bool) {
        let chance = dice.below(60);
        if self.lost {
            if chance < 20 {
                self.lost = false;
                desk.snapshot(true);
            }
            return;
        }
        let rough = self.weather == Weather::Rough;
        match chance {
            0..6 => desk.snapshot(false),
            6 | 7 => {
                if restarts {
                    desk.restart();
                }
                desk.snapshot(true);
            }
            8 if rough => {
                self.lost = true;
                desk.see(Seen::Lost);
            }
            9 if rough && dice.one_in(3) => {
                desk.see(Seen::Lost);
                desk.exchange.restart();
                desk.pass(1_000 + dice.below(90_000));
                desk.snapshot(true);
            }
            _ => {}
        }
    }

    /// At the end of the day somebody hangs up; false if there is no call any more.
    pub(crate) fn sends_home(&mut self, desk: &mut Desk) -> bool {
        if self.lost {
            self.lost = false;
            desk.snapshot(true);
        }
        let first = desk.exchange.calls().next().map(|call| (call.id, call.anchor));
        let Some((call, anchor)) = first else {
            if self.weather == Weather::Rough {
                desk.snapshot(false);
            }
            desk.pass(SETTLE_MS);
            return false;
        };
        desk.exchange.hang_up(call, Who::Participant(anchor)).expect("whoever called can leave");
        for change in desk.exchange.take_changes() {
            desk.show(&change);
            desk.pass(1);
        }
        true
    }
}

/// Loses, doubles and mixes, but never within one participant.
fn shake(changes: Vec<Change>, dice: &mut Dice) -> Vec<Change> {
    let mut late: BTreeMap<(i64, u64), u64> = BTreeMap::new();
    let mut shaken: Vec<(u64, Change)> = Vec::new();
    for (place, change) in (0_u64..).zip(changes) {
        if dice.one_in(40) {
            continue;
        }
        let id = (change.participant().id, 0);
        let due = late.get(&id).copied().unwrap_or_default().max(place + dice.below(4));
        late.insert(id, due);
        if dice.one_in(12) {
            shaken.push((due, change.clone()));
        }
        shaken.push((due, change));
    }
    shaken.sort_by_key(|(due, _)| *due);
    shaken.into_iter().map(|(_, change)| change).collect()
}
