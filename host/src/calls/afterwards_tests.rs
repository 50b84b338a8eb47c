use crate::calls::tests::{CALLER, Story, leg};
use crate::source::notice::{LogParty, LogRow, Seen, Status};

use super::*;

const RECORDED: Wanted = Wanted { recordings: true, callback_wait: Duration::ZERO };
const CALLBACKS: Wanted = Wanted { recordings: false, callback_wait: Duration::from_secs(5) };

/// A row that began when all stories begin, and was answered 4 s later.
fn row(dn: &str, url: &str) -> LogRow {
    LogRow {
        call: "h1".into(),
        from: LogParty { dn: "10007".into(), number: format!("+{CALLER}") },
        to: LogParty { dn: dn.into(), number: dn.into() },
        started: "2022-01-06T19:59:45Z".parse().unwrap(),
        ringing_ms: Some(4_000),
        talking_ms: Some(60_000),
        answered: true,
        recordings: Some(url.to_owned()).filter(|url| !url.is_empty()).into_iter().collect(),
    }
}

fn logged(rows: Vec<LogRow>) -> Seen {
    Seen::Logged { rows }
}

/// Alice answers after 4 s and talks for a minute.
fn talk(story: &mut Story) {
    story.leg(leg("106", 1, Status::Ringing)).pass(4_000);
    story.leg(leg("106", 1, Status::Connected)).pass(60_000);
    story.gone("106", 1).pass(2_000);
}

/// A call that is over while it waits in the queue.
fn missed_in_queue(story: &mut Story) {
    story.leg(leg("800", 1, Status::Connected)).pass(30_000);
    story.gone("800", 1).pass(2_000);
}

fn recordings(story: &Story) -> Vec<(String, u32, String)> {
    let url = |event: &CallEvent| match &event.kind {
        EventKind::Recording(recording) => Some(recording.url.clone()),
        _ => None,
    };
    let named = |event: &CallEvent| Some((event.id.to_string(), event.sequence, url(event)?));
    story.events.iter().filter_map(named).collect()
}

fn callbacks(story: &Story) -> Vec<Callback> {
    let callback = |event: &CallEvent| match &event.kind {
        EventKind::Ended(ended) => Some(ended.callback_ordered),
        _ => None,
    };
    story.events.iter().filter_map(callback).collect()
}

#[test]
fn a_recording_is_told_once_next_in_the_sequence_of_its_link() {
    let mut story = Story::wanting(RECORDED);
    talk(&mut story);
    story.see(logged(vec![row("106", "")])).pass(3_000);
    assert_eq!(recordings(&story), []);
    story.see(logged(vec![row("106", "106/a.wav")])).pass(7_000);
    story.see(logged(vec![row("106", "106/a.wav"), row("109", "109/b.wav")]));
    let id = "220106205945_755-1".to_owned();
    assert_eq!(recordings(&story), [(id, 4, "106/a.wav".to_owned())]);
    let event = story.events.last().unwrap();
    assert_eq!(event.event_id, "pbx-220106205945_755-4");
    assert_eq!((event.user.number.as_str(), event.caller_id.as_str()), ("106", CALLER));
}

#[test]
fn a_recording_that_the_log_showed_before_the_end_is_told_after_it() {
    let mut story = Story::wanting(RECORDED);
    story.see(logged(vec![row("106", "106/a.wav")]));
    talk(&mut story);
    let kinds: Vec<&str> = story.events.iter().map(|event| event.kind.name()).collect();
    assert_eq!(kinds, ["ringing", "start", "end", "recording"]);
}

#[test]
fn what_is_wanted_can_change_while_a_call_goes_on() {
    let mut story = Story::new();
    story.adopt(RECORDED);
    talk(&mut story);
    story.see(logged(vec![row("106", "106/a.wav")]));
    assert_eq!(recordings(&story).len(), 1);
}

#[test]
fn a_restart_loses_no_recording_and_tells_none_twice() {
    let mut story = Story::wanting(RECORDED);
    talk(&mut story);
    story.restart().snapshot(Vec::new());
    story.see(logged(vec![row("106", "106/a.wav")]));
    story.restart().snapshot(Vec::new());
    story.see(logged(vec![row("106", "106/a.wav")]));
    assert_eq!(recordings(&story).len(), 1);
}

#[test]
fn a_call_that_is_forgotten_still_has_its_sequence() {
    let mut story = Story::wanting(RECORDED);
    talk(&mut story);
    story.pass(20 * 60_000);
    story.see(logged(vec![LogRow { recordings: vec!["a".into(), "b".into()], ..row("106", "") }]));
    let sequences: Vec<u32> = recordings(&story).iter().map(|told| told.1).collect();
    assert_eq!(sequences, [4, 5]);
}

#[test]
fn nothing_is_kept_for_ever() {
    let mut story = Story::wanting(Wanted { recordings: true, ..CALLBACKS });
    story.see(logged(Vec::new()));
    talk(&mut story);
    missed_in_queue(&mut story);
    story.pass(2 * 3_600_000);
    assert!(story.kept.is_empty(), "{:?}", story.kept.keys());
    assert_eq!(story.engine.next_tick(), None);
}

#[test]
fn without_the_wish_nothing_is_remembered() {
    let mut story = Story::new();
    talk(&mut story);
    story.see(logged(vec![row("106", "106/a.wav")]));
    assert_eq!(recordings(&story), []);
    assert!(story.kept.keys().all(|key| !key.starts_with(PREFIX)));
}

#[test]
fn an_end_in_a_queue_waits_for_the_log() {
    for (rows, answer) in [
        (vec![row("800", "")], Callback::No),
        (vec![row("QCB", ""), row("800", "")], Callback::Yes),
    ] {
        let mut story = Story::wanting(CALLBACKS);
        story.see(logged(Vec::new()));
        missed_in_queue(&mut story);
        assert_eq!(callbacks(&story), []);
        story.pass(1_000).see(logged(rows));
        assert_eq!(callbacks(&story), [answer]);
        let EventKind::Ended(ended) = &story.events.last().unwrap().kind else { panic!("no end") };
        assert_eq!(ended.title.contains("callback ordered"), answer == Callback::Yes);
        assert_eq!(ended.wait_ms, 30_000);
        story.pass(3_600_000);
        assert_eq!(callbacks(&story).len(), 1);
    }
}

#[test]
fn only_an_order_is_believed_that_the_log_showed_before_the_end() {
    let queue = vec![row("800", "")];
    let order = vec![row("QCB", "")];
    for (rows, told) in [(queue, Vec::new()), (order, vec![Callback::Yes])] {
        let mut story = Story::wanting(CALLBACKS);
        story.see(logged(rows));
        missed_in_queue(&mut story);
        assert_eq!(callbacks(&story), told);
    }
}

#[test]
fn an_end_waits_no_longer_than_it_may() {
    let mut story = Story::wanting(CALLBACKS);
    story.see(logged(Vec::new()));
    missed_in_queue(&mut story);
    story.pass(4_900);
    assert_eq!(callbacks(&story), []);
    story.pass(200);
    assert_eq!(callbacks(&story), [Callback::Unknown]);
}

#[test]
fn no_end_waits_while_the_log_may_be_closed() {
    let mut story = Story::wanting(CALLBACKS);
    missed_in_queue(&mut story);
    assert_eq!(callbacks(&story), [Callback::Unknown]);
}

#[test]
fn an_end_that_waits_survives_a_restart() {
    let mut story = Story::wanting(CALLBACKS);
    story.see(logged(Vec::new()));
    missed_in_queue(&mut story);
    story.restart().see(Seen::Tick).pass(5_000);
    assert_eq!(callbacks(&story), [Callback::Unknown], "although nobody watches");
    story.restart().see(Seen::Tick).pass(10_000);
    assert_eq!(callbacks(&story).len(), 1);
}

#[test]
fn nothing_overtakes_an_end_that_waits() {
    let mut story = Story::wanting(CALLBACKS);
    story.see(logged(Vec::new()));
    missed_in_queue(&mut story);
    story.leg(leg("107", 2, Status::Ringing));
    let sequences: Vec<u32> = story.events.iter().map(|event| event.sequence).collect();
    assert!(sequences.is_sorted() && sequences.len() > 2, "{sequences:?}");
}
