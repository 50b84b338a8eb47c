//! Whatever stands in a file, it is either understood or refused, never worse.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::Fake;
use crate::config::{
    Config, DeliveryConfig, Dialect, EndpointConfig, Filter, LogConfig, LogFormat, LogLevel,
    Pattern, PbxConfig, PbxSource, PluginConfig, PluginSource, Secret, ServedEvent, Setting,
    Titles,
};
use crate::event::{Direction, PartyKind};

proptest! {
    #[test]
    fn random_text_never_panics(text in "(?s).{0,200}") {
        drop(Fake::new().parse(&text));
    }

    #[test]
    fn random_lines_never_panic_and_every_fault_is_one_line_with_its_place(
        lines in prop::collection::vec(line(), 0..30),
        newline in "(\n|\r\n|\r)",
    ) {
        if let Err(errors) = Fake::new().parse(&lines.join(&newline)) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(error.to_string().starts_with("callhook.ini:"));
                prop_assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }

    #[test]
    fn a_valid_config_is_read_back_as_it_was_written(config in config()) {
        let text = written(&config);
        let mut around = Fake::new();
        for file in files(&config) {
            around.files.insert(file, String::new());
        }
        let mut read = around.parse(&text).map(|loaded| loaded.config);
        for plugin in read.iter_mut().flat_map(|config| &mut config.plugins) {
            plugin.settings.iter_mut().for_each(|setting| setting.line = 0);
        }
        prop_assert_eq!(read, Ok(config), "{}", text);
    }
}

/// Lines as people write them, and nearly so.
fn line() -> impl Strategy<Value = String> {
    let section = "\\[?(pbx|webhook|plugin|did|dn|titles|log|console)(\\.[a-z ]{0,3})?\\]?";
    let key = "(url|client_id|client_secret|plugins|events|user|timeout|schedule|file|memory|\
               listen|incoming|level|42)";
    let value = "(https://a\\.b/|5s|64MiB|a, b|1-9|\\$\\{env:A\\}|\\$\\$\\{|\\{caller\\}|\\*)?";
    prop_oneof![
        section,
        (key, "( = |=|:| )", value, "( [;#].{0,9})?").prop_map(|(k, e, v, c)| k + &e + &v + &c),
        ".{0,40}",
    ]
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_-]{0,9}"
}

fn number() -> impl Strategy<Value = String> {
    "\\+?[0-9]{1,12}"
}

/// Text without comments; what would be a reference is escaped when written.
fn text() -> impl Strategy<Value = String> {
    let word = "[a-zA-Z0-9ěš=:\\\\\"'.,!?%&/()${}\\[\\]-][a-zA-Z0-9ěš;#=:$]{0,8}";
    prop::collection::vec(word, 1..4).prop_map(|words| words.join(" "))
}

fn template() -> impl Strategy<Value = Option<String>> {
    let words = ["{caller}", "[ via {did}]", "from", "{duration}", "[{callback}]", "é"];
    prop::option::of(subsequence(words.to_vec(), 1..6).prop_map(|words| words.concat()))
}

fn millis(least: u64, most: u64) -> impl Strategy<Value = Duration> {
    (least..=most).prop_map(Duration::from_millis)
}

fn pbx() -> impl Strategy<Value = PbxConfig> {
    let zones = select(vec!["Europe/Prague", "America/New_York", "UTC", "Asia/Kathmandu"]);
    let ca_file = prop::option::of("[a-z/]{0,9}[a-z]\\.pem");
    (name(), 1..u16::MAX, text(), text(), zones, millis(1_000, 3_600_000), ca_file, any::<bool>())
        .prop_map(|(name, port, client_id, secret, zone, every, ca_file, insecure)| PbxConfig {
            name,
            url: format!("https://pbx.example:{port}/").parse().unwrap(),
            client_id,
            client_secret: Secret::new(secret),
            timezone: TimeZone::get(zone).unwrap(),
            snapshot_every: every,
            settle: every.clamp(Duration::from_millis(100), Duration::from_mins(1)),
            callback_wait: every.min(Duration::from_mins(1)),
            ca_file: ca_file.map(PathBuf::from),
            insecure,
            source: PbxSource::CallControl,
        })
}

fn filter() -> impl Strategy<Value = Filter> {
    let pattern = prop_oneof!["1[0-9]{2}-2[0-9]{2}", "[0-9*]{1,9}", "[A-Z][a-z]{1,9}[*]?"];
    let patterns = || {
        let pattern = pattern.clone().prop_map(|text| Pattern::parse(&text).unwrap());
        prop::collection::vec(pattern, 0..3)
    };
    let directions = vec![Direction::Incoming, Direction::Outgoing, Direction::Internal];
    (patterns(), patterns(), patterns(), subsequence(directions, 0..=3))
        .prop_map(|(did, user, queue, direction)| Filter { did, user, queue, direction })
}

fn endpoint() -> impl Strategy<Value = EndpointConfig> {
    let kinds = vec![
        ServedEvent::Ringing,
        ServedEvent::RingingStopped,
        ServedEvent::Dialing,
        ServedEvent::Start,
        ServedEvent::Hold,
        ServedEvent::Resume,
        ServedEvent::End,
        ServedEvent::Recording,
    ];
    let schedule = prop::collection::vec(millis(1, 604_800_000), 1..13);
    let timeout = millis(100, 300_000);
    (name(), "[a-z0-9]{0,9}", subsequence(kinds, 1..=8), filter(), timeout, schedule, any::<bool>())
        .prop_map(|(name, path, events, filter, timeout, schedule, yes)| EndpointConfig {
            url: format!("https://{name}.example/{path}?a={path}").parse().unwrap(),
            name,
            plugins: vec!["plain-get".to_owned()],
            events,
            internal: yes,
            dialect: if yes { Dialect::Pickup } else { Dialect::Classic },
            filter,
            delivery: DeliveryConfig {
                timeout,
                schedule,
                ca_file: yes.then(|| "ca.pem".into()),
                insecure: !yes,
                ..DeliveryConfig::default()
            },
        })
}

fn plugin() -> impl Strategy<Value = PluginConfig> {
    let settings = prop::collection::btree_map("[a-z]{1,3}_[a-z]{1,9}", text(), 0..4);
    (name(), settings, millis(1, 60_000), 1_u64..4096).prop_map(
        |(name, settings, deadline, memory)| PluginConfig {
            source: PluginSource::File(format!("{name}.wasm").into()),
            name,
            settings: settings
                .into_iter()
                .map(|(key, value)| Setting {
                    key,
                    value: Secret::new(value),
                    line: 0,
                    secret: false,
                })
                .collect(),
            deadline,
            memory: memory << 20,
        },
    )
}

fn log() -> impl Strategy<Value = LogConfig> {
    let levels =
        [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    (select(levels.to_vec()), select(vec![LogFormat::Text, LogFormat::Json]))
        .prop_map(|(level, format)| LogConfig { level, format })
}

fn titles() -> impl Strategy<Value = Titles> {
    let template = template;
    (template(), template(), template(), template(), template(), template(), template()).prop_map(
        |(a, b, c, d, e, f, g)| Titles {
            incoming: a,
            incoming_missed: b,
            incoming_missed_queue: c,
            outgoing: d,
            outgoing_missed: e,
            internal: f,
            internal_missed: g,
        },
    )
}

fn config() -> impl Strategy<Value = Config> {
    use prop::collection::{btree_map, vec};
    let kind =
        select(vec![PartyKind::Extension, PartyKind::Queue, PartyKind::Other("other".to_owned())]);
    let directory = prop::option::of("[a-z]{1,9}\\.csv".prop_map(PathBuf::from));
    let storage =
        ("[a-z]{1,9}\\.db".prop_map(PathBuf::from), (1..9_000_u64).prop_map(Duration::from_hours));
    let console = prop::option::of(any::<u16>());
    let numbers = (btree_map(number(), text(), 0..4), btree_map(number(), kind, 0..4));
    let parts = (vec(pbx(), 1..3), vec(endpoint(), 1..3), vec(plugin(), 0..3));
    (numbers, parts, titles(), directory, storage, console, log()).prop_map(
        |((dids, dns), (pbxs, endpoints, plugins), titles, directory, storage, port, log)| {
            // One section per name; the chains lead through all plugins.
            let once = |names: &mut BTreeSet<String>, name: &str| names.insert(name.to_owned());
            let mut seen = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            let mut plugins = plugins;
            plugins.retain(|plugin| plugin.name != "plain-get" && once(&mut seen.0, &plugin.name));
            let mut pbxs = pbxs;
            pbxs.retain(|pbx| once(&mut seen.1, &pbx.name));
            let mut endpoints = endpoints;
            endpoints.retain(|endpoint| once(&mut seen.2, &endpoint.name));
            for endpoint in &mut endpoints {
                endpoint.plugins.extend(plugins.iter().map(|plugin| plugin.name.clone()));
            }
            plugins.push(PluginConfig {
                name: "plain-get".to_owned(),
                source: PluginSource::Embedded,
                settings: Vec::new(),
                deadline: Duration::from_millis(250),
                memory: 64 << 20,
            });
            let console = port.map(|port| ([127, 0, 0, 1], port).into());
            let (storage, retention) = storage;
            Config {
                pbxs,
                dids,
                dns,
                directory,
                endpoints,
                plugins,
                titles,
                storage,
                retention,
                console,
                log,
            }
        },
    )
}

/// The files that must exist for the configuration to be sound.
fn files(config: &Config) -> Vec<PathBuf> {
    let components = config.plugins.iter().filter_map(|plugin| match &plugin.source {
        PluginSource::File(path) => Some(path.clone()),
        PluginSource::Embedded => None,
    });
    let pbx_cas = config.pbxs.iter().filter_map(|pbx| pbx.ca_file.clone());
    let hook_cas = config.endpoints.iter().filter_map(|endpoint| endpoint.delivery.ca_file.clone());
    components.chain(pbx_cas).chain(hook_cas).chain(config.directory.clone()).collect()
}

/// A .ini under construction.
#[derive(Default)]
struct Ini(String);

impl Ini {
    fn section(&mut self, name: &str) {
        writeln!(self.0, "[{name}]").unwrap();
    }

    fn set(&mut self, key: &str, value: impl std::fmt::Display) {
        let value = value.to_string().replace("${", "$${");
        writeln!(self.0, "{key} = {value}").unwrap();
    }

    fn list(&mut self, key: &str, items: impl Iterator<Item = String>) {
        let items: Vec<String> = items.collect();
        if !items.is_empty() {
            self.set(key, items.join(", "));
        }
    }
}

fn time(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

fn lower(word: impl std::fmt::Debug) -> String {
    format!("{word:?}").to_lowercase()
}

fn written(config: &Config) -> String {
    let mut ini = Ini::default();
    for pbx in &config.pbxs {
        write_pbx(pbx, &mut ini);
    }
    ini.section("did");
    config.dids.iter().for_each(|(number, name)| ini.set(number, name));
    ini.section("dn");
    config.dns.iter().for_each(|(number, kind)| ini.set(number, kind.user_type()));
    if let Some(file) = &config.directory {
        ini.section("directory");
        ini.set("file", file.display());
    }
    for endpoint in &config.endpoints {
        write_endpoint(endpoint, &mut ini);
    }
    for plugin in &config.plugins {
        write_plugin(plugin, &mut ini);
    }
    write_titles(&config.titles, &mut ini);
    ini.section("storage");
    ini.set("path", config.storage.display());
    ini.set("retention", humantime::format_duration(config.retention));
    ini.section("console");
    ini.set("listen", config.console.map_or("off".to_owned(), |address| address.to_string()));
    ini.section("log");
    ini.set("level", lower(config.log.level));
    ini.set("format", lower(config.log.format));
    ini.0
}

fn write_pbx(pbx: &PbxConfig, ini: &mut Ini) {
    ini.section(&if pbx.name == "pbx" { "pbx".to_owned() } else { format!("pbx.{}", pbx.name) });
    ini.set("url", &pbx.url);
    ini.set("client_id", &pbx.client_id);
    ini.set("client_secret", pbx.client_secret.expose());
    ini.set("timezone", pbx.timezone.iana_name().unwrap());
    ini.set("snapshot_every", time(pbx.snapshot_every));
    ini.set("settle", time(pbx.settle));
    ini.set("callback_wait", time(pbx.callback_wait));
    ini.list("ca_file", pbx.ca_file.iter().map(|path| path.display().to_string()));
    ini.set("insecure", pbx.insecure);
    ini.set("source", lower(pbx.source));
}

fn write_endpoint(endpoint: &EndpointConfig, ini: &mut Ini) {
    ini.section(&format!("webhook.{}", endpoint.name));
    ini.set("url", &endpoint.url);
    ini.list("plugins", endpoint.plugins.iter().cloned());
    ini.list("events", endpoint.events.iter().map(|kind| kind.name().to_owned()));
    ini.set("dialect", endpoint.dialect.name());
    ini.set("internal", if endpoint.internal { "yes" } else { "no" });
    ini.list("did", endpoint.filter.did.iter().map(ToString::to_string));
    ini.list("user", endpoint.filter.user.iter().map(ToString::to_string));
    ini.list("queue", endpoint.filter.queue.iter().map(ToString::to_string));
    ini.list("direction", endpoint.filter.direction.iter().map(lower));
    ini.set("timeout", time(endpoint.delivery.timeout));
    ini.list("schedule", endpoint.delivery.schedule.iter().copied().map(time));
    ini.list("ca_file", endpoint.delivery.ca_file.iter().map(|path| path.display().to_string()));
    ini.set("insecure", u8::from(endpoint.delivery.insecure));
}

fn write_plugin(plugin: &PluginConfig, ini: &mut Ini) {
    ini.section(&format!("plugin.{}", plugin.name));
    if let PluginSource::File(path) = &plugin.source {
        ini.set("file", path.display());
    }
    ini.set("deadline", time(plugin.deadline));
    ini.set("memory", plugin.memory);
    plugin.settings.iter().for_each(|setting| ini.set(&setting.key, setting.value.expose()));
}

fn write_titles(titles: &Titles, ini: &mut Ini) {
    ini.section("titles");
    ini.list("incoming", titles.incoming.iter().cloned());
    ini.list("incoming-missed", titles.incoming_missed.iter().cloned());
    ini.list("incoming-missed-queue", titles.incoming_missed_queue.iter().cloned());
    ini.list("outgoing", titles.outgoing.iter().cloned());
    ini.list("outgoing-missed", titles.outgoing_missed.iter().cloned());
    ini.list("internal", titles.internal.iter().cloned());
    ini.list("internal-missed", titles.internal_missed.iter().cloned());
}
