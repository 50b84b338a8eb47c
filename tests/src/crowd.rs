//! Many people who call at once, so that a simulated exchange is as busy as a test wants it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use callhook_pbx::{Builder, Call, Pbx};
use tokio::task::JoinHandle;

use crate::Dice;

/// So many people have a phone.
const PEOPLE: u64 = 50;

/// How often the crowd does something.
const BEAT: Duration = Duration::from_millis(4);

/// The crowd, and the calls that are going on.
pub struct Crowd {
    pbx: Arc<Pbx>,
    dice: Dice,
    /// With the phone that rings.
    ringing: VecDeque<(Call, String)>,
    talking: VecDeque<Call>,
    /// So many calls at once.
    most: usize,
    /// Calls that began.
    began: usize,
}

/// A crowd that calls until it is told to stop.
pub struct Bustle {
    going: Arc<AtomicBool>,
    task: JoinHandle<Crowd>,
}

impl Crowd {
    /// An exchange for a crowd.
    pub fn office() -> Builder {
        let mut office = Pbx::builder();
        for person in 0..PEOPLE {
            let number = (100 + person).to_string();
            office = office
                .extension(&number, &format!("Person {number}"))
                .did(&format!("420226201{number}"), &number);
        }
        office
    }

    /// People who make so many calls at once at the most.
    pub fn new(pbx: &Arc<Pbx>, seed: u64, most: usize) -> Self {
        let (ringing, talking) = (VecDeque::new(), VecDeque::new());
        let dice = Dice::new(seed);
        Self { pbx: Arc::clone(pbx), dice, ringing, talking, most, began: 0 }
    }

    /// How many calls began.
    pub fn began(&self) -> usize {
        self.began
    }

    /// Somebody does something: calls, answers, gives up or hangs up. Most of it is an event.
    pub fn step(&mut self) {
        let room = self.ringing.len() + self.talking.len() < self.most;
        match self.dice.below(3) {
            0 if room => self.call(),
            1 if !self.ringing.is_empty() => self.answer(),
            _ => self.end(),
        }
    }

    fn call(&mut self) {
        let number = (100 + self.dice.below(PEOPLE)).to_string();
        let caller = format!("42077{:07}", self.dice.below(10_000_000));
        let call = self.pbx.outside(&caller).calls(&format!("420226201{number}"));
        self.ringing.push_back((call.expect("the call arrives"), number));
        self.began += 1;
    }

    fn answer(&mut self) {
        let Some((call, number)) = self.ringing.pop_front() else { return };
        if self.dice.below(5) == 0 {
            self.pbx.person(&number).rejects(&call).expect("the phone rings");
        } else {
            self.pbx.person(&number).answers(&call).expect("the phone rings");
            self.talking.push_back(call);
        }
    }

    fn end(&mut self) {
        let Some(call) = self.talking.pop_front() else { return };
        let participants = call.participants();
        let inside = participants.iter().find(|leg| leg.dn.len() == 3);
        let person = self.pbx.person(&inside.expect("somebody talks").dn);
        person.hangs_up(&call).expect("the call goes on");
    }

    /// Everybody does something until all calls are over.
    pub fn go_home(&mut self) {
        while !self.ringing.is_empty() {
            self.answer();
        }
        while !self.talking.is_empty() {
            self.end();
        }
    }

    /// Lets the crowd go on by itself, with about so many doings a second.
    pub fn bustle(mut self, per_second: u64) -> Bustle {
        let going = Arc::new(AtomicBool::new(true));
        let told = Arc::clone(&going);
        let task = tokio::spawn(async move {
            let mut beat = tokio::time::interval(BEAT);
            let began = tokio::time::Instant::now();
            let mut done = 0;
            while told.load(Ordering::Relaxed) {
                let passed = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                let due = passed.saturating_mul(per_second) / 1_000_000;
                for _ in done..due {
                    self.step();
                }
                done = due;
                beat.tick().await;
            }
            self
        });
        Bustle { going, task }
    }
}

impl Bustle {
    /// Lets it stop, and gives the crowd back with what is going on.
    ///
    /// # Panics
    ///
    /// If the exchange refused something.
    pub async fn stop(self) -> Crowd {
        self.going.store(false, Ordering::Relaxed);
        self.task.await.expect("nothing was refused")
    }
}
