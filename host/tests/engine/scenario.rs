//! A story, and what is told of it: with everything visible, with some of it hidden, and however
//! the wire shows what is not known of it.

use callhook_pbx::exchange::{Hold, Join, PolledBy, Wire};

use crate::desk::{Desk, SETTLE_MS};
use crate::invariants;
use crate::office::{EXTENSIONS, SYSTEM, TRUNK};

/// What happens.
pub(crate) struct Scenario {
    story: fn(&mut Desk),
    wire: Wire,
    hidden: Vec<&'static str>,
    with_internal: bool,
}

impl Scenario {
    /// Everything is visible until told otherwise.
    pub(crate) fn of(story: fn(&mut Desk)) -> Self {
        Self { story, wire: Wire::default(), hidden: Vec::new(), with_internal: false }
    }

    /// From here on these numbers, and only these, are not visible.
    pub(crate) fn hiding(mut self, hidden: &[&'static str]) -> Self {
        self.hidden = hidden.to_vec();
        self
    }

    /// From here on the wire shows it so.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Wire)) -> Self {
        change(&mut self.wire);
        self
    }

    /// From here on internal events count, too.
    pub(crate) fn with_internal(mut self) -> Self {
        self.with_internal = true;
        self
    }

    /// Compares all events of the usual kinds: ringing, start, end.
    #[track_caller]
    pub(crate) fn tells(self, expected: &[&str]) -> Self {
        self.compares(expected, false)
    }

    /// Compares all events of all kinds.
    #[track_caller]
    pub(crate) fn tells_in_full(self, expected: &[&str]) -> Self {
        self.compares(expected, true)
    }

    #[track_caller]
    fn compares(self, expected: &[&str], of_all_kinds: bool) -> Self {
        let desk = self.play(&self.wire, &self.hidden);
        let told = desk.told(self.with_internal, of_all_kinds);
        assert_eq!(told.join("\n"), expected.join("\n"), "hidden: {:?}", self.hidden);
        self
    }

    /// Plays it with everything and each part hidden, alone and together, on each kind of wire,
    /// and holds the invariants.
    #[track_caller]
    pub(crate) fn keeps_its_word_whatever_is_hidden(self) {
        for wire in wires(&self.wire) {
            for hidden in hidden_sets() {
                let mut desk = self.play(&wire, &hidden);
                if let Err(wrong) = invariants::check(&desk.events) {
                    panic!("hidden {hidden:?}, {wire:?}: {wrong}");
                }
                desk.is_forgotten();
            }
        }
    }

    fn play(&self, wire: &Wire, hidden: &[&str]) -> Desk {
        let mut desk = Desk::new(wire.clone(), hidden);
        (self.story)(&mut desk);
        assert_eq!(desk.exchange.calls().count(), 0, "the story leaves a call");
        desk.pass(SETTLE_MS);
        desk
    }
}

/// The trunk, whatever is no person, and two of the people: hidden alone and together.
fn hidden_sets() -> Vec<Vec<&'static str>> {
    let parts: [&[&str]; 5] = [
        &[TRUNK],
        &["800", "801", "802", "810", "811"],
        &SYSTEM[4..10],
        &EXTENSIONS[1..],
        &EXTENSIONS[..1],
    ];
    (0..1_u32 << parts.len())
        .map(|set| {
            let chosen = parts.iter().enumerate().filter(|(place, _)| set & (1 << place) != 0);
            chosen.flat_map(|(_, part)| part.iter().copied()).collect()
        })
        .collect()
}

/// The wire as it is, and with each of its unknowns another way.
fn wires(wire: &Wire) -> Vec<Wire> {
    let changed = |change: fn(&mut Wire)| {
        let mut wire = wire.clone();
        change(&mut wire);
        wire
    };
    vec![
        wire.clone(),
        changed(|wire| wire.polled_by = PolledBy::Router),
        changed(|wire| wire.polled_by = PolledBy::Nobody),
        changed(|wire| wire.group_leg = true),
        changed(|wire| wire.queue_leg_stays = true),
        changed(|wire| wire.join = Join::LegReplaced),
        changed(|wire| wire.join = Join::OtherSideMoves),
        changed(|wire| wire.hold = Hold::Status),
        changed(|wire| wire.party_did = true),
    ]
}
