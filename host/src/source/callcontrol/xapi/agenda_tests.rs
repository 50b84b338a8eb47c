use super::*;
use crate::source::callcontrol::diary::Life;
use crate::source::notice::LogParty;

const RECORDED: Wishes = Wishes { recordings: true, callbacks: Duration::ZERO };
const CALLBACKS: Wishes = Wishes { recordings: false, callbacks: Duration::from_secs(3) };

fn moment(ms: u64) -> Moment {
    let mono = Duration::from_millis(ms);
    let start: jiff::Timestamp = "2026-03-05T08:15:02Z".parse().unwrap();
    Moment { wall: start.checked_add(mono).unwrap(), mono }
}

fn left(call: i64, talked: bool, queued: bool) -> News {
    let life = Life::of("420774852629", talked, queued, moment(0));
    News { left: vec![Left { call, life, at: moment(0) }], ..News::default() }
}

fn row(recorded: bool) -> LogRow {
    let party = |dn: &str, number: &str| LogParty { dn: dn.into(), number: number.into() };
    LogRow {
        call: "h1".into(),
        from: party("10007", "+420774852629"),
        to: party("106", "106"),
        started: moment(0).wall,
        ringing_ms: None,
        talking_ms: Some(1),
        answered: true,
        recordings: if recorded { vec!["a.wav".into()] } else { Vec::new() },
    }
}

/// When which looks are taken, in milliseconds, if nothing is ever found.
fn looks(agenda: &mut Agenda) -> Vec<(u128, &'static str)> {
    let mut taken = Vec::new();
    while let Some(due) = agenda.due() {
        assert!(taken.len() < 50, "no end: {taken:?}");
        let now = due;
        while let Some(look) = agenda.look(now) {
            match look {
                Look::Active => {
                    taken.push((now.as_millis(), "active"));
                    let mono = now;
                    let says = agenda.active(&[], &[], Moment { mono, ..moment(0) });
                    assert!(!says, "a call that was never listed");
                }
                Look::Log(_) => {
                    taken.push((now.as_millis(), "log"));
                    agenda.found(&[], now);
                }
            }
        }
    }
    taken
}

#[test]
fn the_log_is_looked_into_at_growing_intervals_and_then_no_more() {
    let mut agenda = Agenda::new(RECORDED);
    agenda.take(left(7, true, false), moment(0));
    let log = |at| (at, "log");
    let expected =
        [(300, "active"), log(3_000), log(10_000), log(30_000), log(120_000), log(300_000)];
    assert_eq!(looks(&mut agenda), expected);
}

#[test]
fn nobody_who_wants_nothing_of_the_log_has_it_read() {
    let mut agenda = Agenda::new(Wishes::default());
    agenda.take(News { watched: true, ..left(7, true, true) }, moment(0));
    assert_eq!(looks(&mut agenda), [(0, "active"), (300, "active")]);
}

#[test]
fn a_call_that_was_no_talk_is_not_looked_for() {
    let mut agenda = Agenda::new(RECORDED);
    agenda.take(left(7, false, true), moment(0));
    assert_eq!(looks(&mut agenda), [(300, "active")]);
}

#[test]
fn a_recording_that_shows_ends_the_looking() {
    let mut agenda = Agenda::new(RECORDED);
    agenda.take(left(7, true, false), moment(0));
    agenda.close(Look::Active);
    let second = Duration::from_secs(1);
    agenda.found(&[row(false)], second * 3);
    assert_eq!(agenda.due(), Some(second * 10));
    agenda.found(&[row(true), row(false)], second * 10);
    assert_eq!(agenda.due(), Some(second * 30), "one of two talks is without");
    agenda.found(&[row(true)], second * 30);
    assert_eq!(agenda.due(), None);
}

#[test]
fn callbacks_are_looked_for_each_second_until_nobody_waits() {
    let mut agenda = Agenda::new(CALLBACKS);
    agenda.close(Look::Active);
    agenda.take(left(7, false, true), moment(0));
    assert_eq!(looks(&mut agenda), [(1_000, "log"), (2_000, "log"), (3_000, "log")]);
}

#[test]
fn a_call_that_goes_on_out_of_sight_is_looked_after_until_it_is_over() {
    let mut agenda = Agenda::new(CALLBACKS);
    agenda.take(left(7, false, true), moment(0));
    assert_eq!(agenda.look(moment(300).mono), Some(Look::Active));
    assert!(agenda.active(&[7, 8], &[7], moment(300)));
    assert_eq!(agenda.look(moment(3_300).mono), Some(Look::Active));
    assert!(agenda.active(&[7], &[7], moment(3_300)));
    // Whoever waits to hear of a callback begins to wait when it is over.
    assert!(agenda.active(&[8], &[], moment(6_300)), "that it is over");
    assert_eq!(agenda.due(), Some(Duration::from_millis(7_300)));
}

#[test]
fn a_call_that_can_be_seen_again_is_not_looked_after() {
    let mut agenda = Agenda::new(Wishes::default());
    agenda.take(left(7, false, true), moment(0));
    agenda.take(News { back: vec![7], ..News::default() }, moment(1));
    assert_eq!(agenda.due(), None);
}

#[test]
fn at_the_start_calls_that_go_on_unseen_are_found() {
    let mut agenda = Agenda::new(Wishes::default());
    agenda.take(News { watched: true, ..News::default() }, moment(0));
    assert_eq!(agenda.look(moment(0).mono), Some(Look::Active));
    assert!(agenda.active(&[7, 8], &[8], moment(0)));
    assert_eq!(agenda.due(), Some(ACTIVE_EVERY));
    assert!(agenda.active(&[7], &[], moment(3_000)));
    assert_eq!(agenda.due(), None);
}

#[test]
fn at_the_start_the_log_is_read_far_back() {
    let mut agenda = Agenda::new(RECORDED);
    agenda.close(Look::Active);
    agenda.take(News { watched: true, ..News::default() }, moment(0));
    let Some(Look::Log(from)) = agenda.look(moment(0).mono) else { panic!("no look") };
    assert_eq!(moment(0).wall.duration_since(from).as_secs(), 3_660);
    agenda.failed(Look::Log(from), moment(0).mono);
    assert_eq!(agenda.due(), Some(Duration::from_secs(3)), "what failed is tried again");
}

#[test]
fn an_earlier_recording_of_the_same_number_does_not_end_the_looking() {
    let mut agenda = Agenda::new(RECORDED);
    let life = Life::of("420774852629", true, false, moment(0));
    let at = moment(600_000);
    agenda.take(News { left: vec![Left { call: 7, life, at }], ..News::default() }, at);
    assert_eq!(agenda.look(Duration::from_millis(600_300)), Some(Look::Active));
    agenda.active(&[], &[], moment(600_300));
    let earlier = row(true);
    agenda.found(std::slice::from_ref(&earlier), Duration::from_millis(603_400));
    assert!(agenda.due().is_some(), "the last talk is not there yet");
    let last = LogRow { started: moment(590_000).wall, talking_ms: Some(10_000), ..row(true) };
    agenda.found(&[earlier, last], Duration::from_millis(610_400));
    assert_eq!(agenda.due(), None);
}

#[test]
fn what_was_closed_is_tried_again_when_the_exchange_is_watched_again() {
    let mut agenda = Agenda::new(RECORDED);
    agenda.close(Look::Active);
    agenda.close(Look::Log(moment(0).wall));
    agenda.take(left(7, true, false), moment(0));
    assert_eq!(agenda.due(), None);
    agenda.take(News { regained: true, ..left(8, true, false) }, moment(0));
    assert!(agenda.due().is_some());
}

#[test]
fn the_first_talk_of_a_call_that_comes_back_is_still_looked_for() {
    let mut agenda = Agenda::new(RECORDED);
    agenda.take(left(7, true, false), moment(0));
    agenda.active(&[7], &[], moment(300));
    agenda.take(News { back: vec![7], ..News::default() }, moment(5_000));
    let due = agenda.due().expect("the log is looked into");
    assert_eq!(agenda.look(due), Some(Look::Log(moment(0).wall.checked_sub(MARGIN).unwrap())));
}
