//! As many calls as the service can take: something happens at the exchange whenever few enough
//! events are on their way to the receiver.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use callhook_pbx::{Call, Pbx};

use crate::sink::Sink;

/// Not measured: what is slow at first only.
const BEFORE: Duration = Duration::from_secs(2);

/// How long it is measured.
const TIME: Duration = Duration::from_secs(5);

/// Events that are on their way at once: enough for every stage to have work.
const ON_THE_WAY: u64 = 200;

/// Calls that ring at once, and as many again that go on. A call is answered so much later than it
/// began that its ringing is through before; else the watcher would see both as one.
const CALLS: usize = 250;

/// The calls of everybody at the exchange.
struct Flood<'a> {
    pbx: &'a Pbx,
    /// With the phones that ring.
    ringing: VecDeque<(Call, String)>,
    talking: VecDeque<(Call, String)>,
    /// Calls that began.
    began: u64,
    /// Each of them is an event.
    doings: u64,
}

/// Events a second that arrive while there is always more to do.
pub(crate) async fn rate(pbx: &Pbx, sink: &Sink) -> f64 {
    let (ringing, talking) = (VecDeque::new(), VecDeque::new());
    let mut flood = Flood { pbx, ringing, talking, began: 0, doings: 0 };
    let before = sink.count();
    let start = Instant::now();
    let mut beat = tokio::time::interval(Duration::from_millis(1));
    let mut measured = None;
    while start.elapsed() < BEFORE + TIME {
        while flood.doings.saturating_sub(sink.count() - before) < ON_THE_WAY {
            flood.step();
        }
        if measured.is_none() && start.elapsed() >= BEFORE {
            measured = Some((Instant::now(), sink.count()));
        }
        beat.tick().await;
    }
    let (since, count) = measured.expect("it went on for longer than that");
    (sink.count() - count) as f64 / since.elapsed().as_secs_f64()
}

impl Flood<'_> {
    /// Somebody hangs up, answers or calls, so that the calls of each kind stay as many.
    fn step(&mut self) {
        self.doings += 1;
        if self.talking.len() >= CALLS
            && let Some((call, number)) = self.talking.pop_front()
        {
            self.pbx.person(&number).hangs_up(&call).expect("the call goes on");
        } else if self.ringing.len() >= CALLS
            && let Some((call, number)) = self.ringing.pop_front()
        {
            self.pbx.person(&number).answers(&call).expect("the phone rings");
            self.talking.push_back((call, number));
        } else {
            let number = (100 + self.began % 50).to_string();
            let call = self.pbx.outside("420774852629").calls(&format!("420226201{number}"));
            self.ringing.push_back((call.expect("the call arrives"), number));
            self.began += 1;
        }
    }
}
