//! Sample events of every kind: what `callhook plugin try` gives to a plugin, what the documents
//! show and what tests are made of. They are the files in `examples/events`.
//!
//! Together they are seven calls; the events of one call share its id and stand in their order.

use super::CallEvent;

/// One sample event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The name of its file, without `.json`.
    pub name: &'static str,
    /// The call that it belongs to.
    pub call: &'static str,
    /// What happens, in a few words.
    pub what: &'static str,
    /// The event as JSON.
    pub json: &'static str,
}

macro_rules! samples {
    ($($call:literal { $($name:literal $what:literal)+ })+) => {
        [$($(Sample {
            name: $name,
            call: $call,
            what: $what,
            json: include_str!(concat!("../../../examples/events/", $name, ".json")),
        },)+)+]
    };
}

/// All of them, call by call.
pub const ALL: [Sample; 24] = samples! {
    "answered" {
        "ringing" "somebody outside calls, the phone of extension 106 rings"
        "start" "106 answers"
        "hold" "106 puts the caller on hold"
        "resume" "106 takes the caller back"
        "end" "the talk is over"
        "recording" "the recording of the talk is there"
    }
    "missed" {
        "ringing-queue" "somebody outside calls queue 800"
        "ringing-in-queue" "the queue lets 106 ring"
        "ringing-stopped" "the caller gave up, 106 stops ringing"
        "end-missed" "nobody in the queue had answered"
    }
    "transferred" {
        "ringing-before-transfer" "somebody outside calls, 106 rings"
        "start-before-transfer" "106 answers"
        "end-transferred" "106 passes the call on to 107, which ends the first link"
        "ringing-transferred" "107 rings"
        "start-transferred" "107 answers"
        "end-after-transfer" "the talk is over"
    }
    "outgoing" {
        "dialing" "107 dials a number outside"
        "start-outgoing" "the other side answers"
        "end-outgoing" "the talk is over"
    }
    "outgoing-missed" {
        "end-outgoing-missed" "107 dialled a number outside and nobody answered"
    }
    "internal" {
        "ringing-internal" "107 calls 106"
        "start-internal" "106 answers"
        "end-internal" "the talk is over"
    }
    "withheld" {
        "ringing-withheld" "a caller without a number, and nothing else is known"
    }
};

/// The samples that a name stands for: one event, or all events of a call.
pub fn named(name: &str) -> Vec<&'static Sample> {
    let one = ALL.iter().find(|sample| sample.name == name);
    match one {
        Some(sample) => vec![sample],
        None => ALL.iter().filter(|sample| sample.call == name).collect(),
    }
}

impl Sample {
    /// The event.
    ///
    /// # Panics
    ///
    /// Never: a test reads all of them.
    #[expect(clippy::expect_used, reason = "a test reads all of them")]
    pub fn event(&self) -> CallEvent {
        serde_json::from_str(self.json).expect("every sample is an event")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// So a new field, or one with another name, cannot be forgotten in the samples.
    #[test]
    fn each_file_is_written_as_the_host_writes_events() {
        for sample in ALL {
            let written = serde_json::to_string_pretty(&sample.event()).unwrap();
            assert_eq!(sample.json.trim_end(), written, "{}", sample.name);
        }
    }

    #[test]
    fn every_file_and_every_kind_of_event_is_there() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/events");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files: BTreeSet<String> = files
            .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let names: BTreeSet<String> = ALL.iter().map(|sample| sample.name.to_owned()).collect();
        assert_eq!(files, names);
        let kinds: BTreeSet<&str> = ALL.iter().map(|sample| sample.event().kind.name()).collect();
        let all = [
            "dialing",
            "end",
            "hold",
            "recording",
            "resume",
            "ringing",
            "ringing-stopped",
            "start",
        ];
        assert_eq!(kinds, BTreeSet::from(all));
    }

    #[test]
    fn the_events_of_a_call_fit_together() {
        for pair in ALL.windows(2) {
            let (earlier, later) = (pair[0].event(), pair[1].event());
            let same = pair[0].call == pair[1].call;
            assert_eq!(earlier.id.chain == later.id.chain, same, "{}", pair[1].name);
            if same {
                assert!(earlier.sequence < later.sequence, "{}", pair[1].name);
                assert!(earlier.occurred_at <= later.occurred_at, "{}", pair[1].name);
                assert!(earlier.id.link <= later.id.link, "{}", pair[1].name);
                assert_eq!(earlier.arrived_at, later.arrived_at, "{}", pair[1].name);
            }
        }
        for sample in ALL {
            let event = sample.event();
            let stamp = event.arrived_at.stamp();
            assert!(event.id.chain.as_str().starts_with(&format!("{stamp}_")), "{}", sample.name);
            let id = format!("{}-{}-{}", event.pbx, event.id.chain, event.sequence);
            assert_eq!(event.event_id, id, "{}", sample.name);
        }
    }

    #[test]
    fn a_name_is_one_event_or_a_call() {
        assert_eq!(named("ringing").len(), 1);
        assert_eq!(named("transferred").len(), 6);
        assert!(named("rining").is_empty());
        // A name that were both would hide the call.
        assert!(ALL.iter().all(|one| ALL.iter().all(|other| one.name != other.call)));
    }
}
