//! A plugin of callhook for Bitrix24: the call's card while the phone rings, the call in the CRM when
//! it is over, and its recording.
//!
//! The way of the data: [`news`] writes down what an event says, [`answer`] what a reply says, both
//! into the state of the [`chain`]; [`due`] compares what Bitrix24 should know with what it was told,
//! and [`requests`] makes requests of the difference. All of that is pure. This file reads the state
//! from the host's memory, lets them work, and writes it back.

pub mod answer;
pub mod chain;
pub mod due;
pub mod news;
pub mod requests;
pub mod settings;

#[cfg(test)]
mod tests;

use callhook_plugin::reply::{Exchange, Judgement, Retry, Verdict};
use callhook_plugin::{
    CallEvent, Failure, HttpRequest, Outcome, Plugin, Problem, Replies, Setting, directory, log,
    memory, settings as host,
};

use answer::{Judgement as Judged, Reply};
use chain::Chain;
use settings::{KEYS, Settings};

/// Under which the state of the chain is kept.
const KEY: &str = "chain";

struct Bitrix24;

impl Plugin for Bitrix24 {
    const SUMMARY: &str = "Bitrix24: the card of a call, the call in the CRM, its recording";

    fn settings() -> Vec<Setting> {
        let setting = |(name, help, default): (&str, &str, Option<&str>)| Setting {
            default: default.map(str::to_owned),
            ..Setting::new(name, help)
        };
        KEYS.into_iter().map(setting).collect()
    }

    fn check() -> Vec<Problem> {
        let (_, problems) = Settings::read(host::get);
        problems.into_iter().map(|(setting, message)| Problem::new(setting, message)).collect()
    }

    fn transform(event: CallEvent, draft: HttpRequest) -> Result<Outcome, Failure> {
        let (settings, _) = Settings::read(host::get);
        let mut chain = recall();
        if let Err(reason) = news::take(&mut chain, &event, &settings, |extension| {
            column(extension, &settings.user_column)
        }) {
            return Ok(Outcome::skip(reason));
        }
        let requests = told(&mut chain, &settings, &draft);
        if requests.is_empty() {
            return Ok(Outcome::skip("there is nothing to tell Bitrix24, or not yet"));
        }
        Ok(requests.into())
    }
}

impl Replies for Bitrix24 {
    fn on_reply(_event: CallEvent, exchange: Exchange) -> Result<Verdict, Failure> {
        let Some((method, external_id, user)) = requests::about(&exchange.request) else {
            let message = "a reply to a request that is not this plugin's".to_owned();
            return Err(Failure::BadMapping(message));
        };
        let (settings, _) = Settings::read(host::get);
        let mut chain = recall();
        let reply = Reply {
            status: exchange.reply.status,
            body: &exchange.reply.body,
            attempt: exchange.attempt,
        };
        let judgement = match answer::judge(&mut chain, method, &external_id, user, reply) {
            // Nothing has changed.
            Judged::Retry(after_ms, reason) => {
                let judgement = Judgement::Retry(Retry { after_ms, reason });
                return Ok(Verdict { judgement, follow_up: Vec::new() });
            }
            Judged::Done => Judgement::Done,
            Judged::Settled(why) => {
                log::warn(why);
                Judgement::Done
            }
            Judged::GiveUp(why) => Judgement::GiveUp(why),
        };
        let follow_up = told(&mut chain, &settings, &requests::draft_of(&exchange.request));
        Ok(Verdict { judgement, follow_up })
    }
}

fn recall() -> Chain {
    Chain::from_bytes(memory::get(KEY).as_deref())
}

/// Everything that is due, which is then kept as told.
fn told(chain: &mut Chain, settings: &Settings, draft: &HttpRequest) -> Vec<HttpRequest> {
    let calls = due::due(chain, settings);
    memory::set(KEY, chain.to_bytes());
    calls.iter().map(|call| requests::request(call, draft)).collect()
}

/// The value in the operator's column.
fn column(extension: &str, name: &str) -> Option<String> {
    let person = directory::find(extension)?;
    let mut columns = person.columns.into_iter();
    columns.find(|column| column.name.eq_ignore_ascii_case(name)).map(|column| column.value)
}

callhook_plugin::export!(Bitrix24 with replies);
