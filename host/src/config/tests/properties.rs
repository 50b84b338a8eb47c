//! Whatever stands in a file, it is either understood or refused, never worse.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::Ipv4Net;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::Fake;
use crate::config::{
    BreakerConfig, ClientCertificate, Config, Credentials, DeliveryConfig, Dialect, EndpointConfig,
    Filter, LogConfig, LogFormat, LogLevel, OAuth2, Order, Pattern, PbxConfig, PbxSource, Places,
    PluginConfig, PluginSource, Proxy, Secret, ServedEvent, Setting, Titles,
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
            (plugin.place, plugin.file_line) = (None, None);
            plugin.settings.iter_mut().for_each(|setting| setting.line = None);
        }
        prop_assert_eq!(read, Ok(config), "{}", text);
    }
}

/// Lines as people write them, and nearly so.
fn line() -> impl Strategy<Value = String> {
    let section = "\\[?(pbx|webhook|plugin|did|dn|titles|log|console)(\\.[a-z ]{0,3})?\\]?";
    let key = "(url|client_id|client_secret|plugins|events|user|timeout|schedule|file|memory|\
               listen|incoming|level|42|order|auth|auth_token|secret|success|allow_hosts)";
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
    let kinds = subsequence(kinds, 1..=8);
    (name(), "[a-z0-9]{0,9}", kinds, filter(), any::<bool>(), delivery()).prop_map(
        |(name, path, events, filter, internal, delivery)| EndpointConfig {
            url: format!("https://{name}.example/{path}?a={path}").parse().unwrap(),
            name,
            plugins: vec!["plain-get".to_owned()],
            events,
            internal,
            dialect: if internal { Dialect::Pickup } else { Dialect::Classic },
            filter,
            delivery,
        },
    )
}

fn secret() -> impl Strategy<Value = Secret> {
    "[!-z]{1,20}"
        .prop_filter("comments end a value", |text| !text.starts_with([';', '#']))
        .prop_map(Secret::new)
}

fn credentials() -> impl Strategy<Value = Credentials> {
    let name = || "[a-z-]{1,9}".prop_filter("the host's own", |name| name != "te");
    let scope = prop::option::of(text());
    let (secrets, renewed) = ((secret(), secret(), secret()), any::<(bool, bool)>());
    let oauth2 = (name(), text(), scope, secrets, renewed);
    prop_oneof![
        Just(Credentials::None),
        ("[a-z@.]{1,9}", secret())
            .prop_map(|(user, password)| Credentials::Basic { user, password }),
        secret().prop_map(Credentials::Bearer),
        (name(), secret()).prop_map(|(name, value)| Credentials::Header { name, value }),
        (text(), secret()).prop_map(|(name, value)| Credentials::Query { name, value }),
        oauth2.prop_map(|(path, client_id, scope, (_, secret, token), (renewed, public))| {
            Credentials::OAuth2(OAuth2 {
                token_url: format!("https://id.example/{path}").parse().unwrap(),
                client_id,
                client_secret: (!renewed || !public).then_some(secret),
                scope,
                refresh_token: renewed.then_some(token),
            })
        }),
    ]
}

fn breaker() -> impl Strategy<Value = BreakerConfig> {
    let (probe, window) = (millis(100, 3_600_000), millis(1_000, 3_600_000));
    (1..=10_000_u32, window, 1..=1_000_u32, probe, 0..20_u32).prop_map(
        |(attempts, window, connects, first_probe, more)| BreakerConfig {
            attempts,
            window,
            connects,
            first_probe,
            last_probe: first_probe + first_probe * more,
        },
    )
}

fn delivery() -> impl Strategy<Value = DeliveryConfig> {
    use prop::collection::vec;
    let order = prop_oneof![
        millis(10, 86_400_000).prop_map(Order::Bounded),
        Just(Order::Strict),
        Just(Order::None)
    ];
    let waits = (vec(millis(1, 604_800_000), 1..13), millis(1_000, 86_400_000));
    let times = (millis(100, 300_000), millis(10, 300_000), millis(1_000, 86_400_000));
    let judging = (vec(300..600_u16, 0..4), 1..=100_u32, breaker(), 1..=1_024_usize);
    let key = vec(any::<u8>(), 24..64).prop_map(|key| Secret::new(STANDARD.encode(key)));
    let host = prop_oneof!["[a-z]{1,9}\\.example", "\\*\\.[a-z]{1,9}\\.example"];
    let network = (any::<[u8; 4]>(), 0..=32_u8)
        .prop_map(|(ip, prefix)| Ipv4Net::new(ip.into(), prefix).unwrap().trunc().into());
    let access = (vec(key, 0..3), credentials(), vec(host, 0..3), vec(network, 0..3));
    let files = any::<(bool, bool, bool, bool)>();
    (order, waits, times, judging, access, files).prop_map(
        |(order, waits, times, judging, access, (ca, insecure, certificate, proxy))| {
            let (certificate_file, key) = ("c.pem".into(), "c.key".into());
            let own = ClientCertificate { certificate: certificate_file, key };
            DeliveryConfig {
                order,
                schedule: waits.0,
                popup_expiry: waits.1,
                timeout: times.0,
                connect_timeout: times.1.min(times.0),
                connection_age: times.2,
                success: judging.0,
                refusals: judging.1,
                breaker: judging.2,
                concurrency: judging.3,
                signing_keys: access.0,
                credentials: access.1,
                allow_hosts: access.2,
                allow_networks: access.3,
                ca_file: ca.then(|| "ca.pem".into()),
                insecure,
                client_certificate: certificate.then_some(own),
                proxy: proxy.then(|| Proxy {
                    url: "http://proxy.example:3128".parse().unwrap(),
                    user: insecure.then(|| ("me".to_owned(), Secret::new("a@b"))),
                }),
            }
        },
    )
}

fn plugin() -> impl Strategy<Value = PluginConfig> {
    let settings = prop::collection::btree_map("[a-z]{1,3}_[a-z]{1,9}", text(), 0..4);
    (name(), settings, millis(1, 60_000), 1_u64..129).prop_map(
        |(name, settings, deadline, memory)| PluginConfig {
            source: PluginSource::File(format!("{name}.wasm").into()),
            name,
            place: None,
            file_line: None,
            settings: settings
                .into_iter()
                .map(|(key, value)| Setting {
                    key,
                    value: Secret::new(value),
                    line: None,
                    secret: false,
                })
                .collect(),
            secrets: Vec::new(),
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
            let embedded = PluginSource::Embedded("plain-get".to_owned());
            plugins.push(PluginConfig::new("plain-get", embedded));
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
                places: Places::default(),
            }
        },
    )
}

/// The files that must exist for the configuration to be sound.
fn files(config: &Config) -> Vec<PathBuf> {
    let components = config.plugins.iter().filter_map(|plugin| match &plugin.source {
        PluginSource::File(path) => Some(path.clone()),
        PluginSource::Embedded(_) => None,
    });
    let pbx_cas = config.pbxs.iter().filter_map(|pbx| pbx.ca_file.clone());
    let hooks = ["ca.pem", "c.pem", "c.key"].map(PathBuf::from);
    components.chain(pbx_cas).chain(hooks).chain(config.directory.clone()).collect()
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
    write_delivery(&endpoint.delivery, ini);
    write_credentials(&endpoint.delivery.credentials, ini);
}

fn write_delivery(delivery: &DeliveryConfig, ini: &mut Ini) {
    match delivery.order {
        Order::Bounded(aside) => ini.set("step_aside", time(aside)),
        order => ini.set("order", lower(order)),
    }
    ini.list("schedule", delivery.schedule.iter().copied().map(time));
    ini.set("popup_expiry", time(delivery.popup_expiry));
    ini.list("success", delivery.success.iter().map(ToString::to_string));
    ini.set("refusals", delivery.refusals);
    ini.set("timeout", time(delivery.timeout));
    ini.set("connect_timeout", time(delivery.connect_timeout));
    ini.set("connection_age", time(delivery.connection_age));
    ini.set("breaker_attempts", delivery.breaker.attempts);
    ini.set("breaker_window", time(delivery.breaker.window));
    ini.set("breaker_connects", delivery.breaker.connects);
    ini.set("probe_first", time(delivery.breaker.first_probe));
    ini.set("probe_last", time(delivery.breaker.last_probe));
    ini.set("concurrency", delivery.concurrency);
    ini.list("secret", delivery.signing_keys.iter().map(|key| key.expose().to_owned()));
    ini.list("allow_hosts", delivery.allow_hosts.iter().cloned());
    ini.list("allow_networks", delivery.allow_networks.iter().map(ToString::to_string));
    ini.list("ca_file", delivery.ca_file.iter().map(|path| path.display().to_string()));
    ini.set("insecure", u8::from(delivery.insecure));
    if let Some(own) = &delivery.client_certificate {
        ini.set("client_certificate", own.certificate.display());
        ini.set("client_key", own.key.display());
    }
    if let Some(proxy) = &delivery.proxy {
        let user =
            proxy.user.as_ref().map(|(user, _)| format!("{user}:a%40b@")).unwrap_or_default();
        ini.set("proxy", proxy.url.as_str().replace("://", &format!("://{user}")));
    }
}

fn write_credentials(credentials: &Credentials, ini: &mut Ini) {
    match credentials {
        Credentials::None => ini.set("auth", "none"),
        Credentials::Basic { user, password } => {
            ini.set("auth", "basic");
            ini.set("auth_user", user);
            ini.set("auth_password", password.expose());
        }
        Credentials::Bearer(token) => {
            ini.set("auth", "bearer");
            ini.set("auth_token", token.expose());
        }
        Credentials::Header { name, value } | Credentials::Query { name, value } => {
            let header = matches!(credentials, Credentials::Header { .. });
            ini.set("auth", if header { "header" } else { "query" });
            ini.set("auth_name", name);
            ini.set("auth_value", value.expose());
        }
        Credentials::OAuth2(oauth2) => {
            let renewed = oauth2.refresh_token.as_ref();
            ini.set("auth", if renewed.is_some() { "refresh-token" } else { "client-credentials" });
            ini.set("auth_token_url", &oauth2.token_url);
            ini.set("auth_client_id", &oauth2.client_id);
            let secret = oauth2.client_secret.iter();
            ini.list("auth_client_secret", secret.map(|text| text.expose().to_owned()));
            ini.list("auth_scope", oauth2.scope.iter().cloned());
            ini.list("auth_refresh_token", renewed.iter().map(|text| text.expose().to_owned()));
        }
    }
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
