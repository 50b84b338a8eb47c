//! What is typed means what the manual says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ENDING_IN_PBX, ENDING_IN_WEBHOOK, Fake, sound};
use crate::config::{
    Config, Credentials, DeliveryConfig, Dialect, LogConfig, LogFormat, LogLevel, Order, PbxSource,
    Place, PluginConfig, PluginSource, Secret, ServedEvent, Setting, Titles,
};
use crate::event::PartyKind;

fn parse_at(path: &str, around: &Fake, text: &str) -> Config {
    Config::parse(text, Path::new(path), around).unwrap().config
}

#[test]
fn what_is_not_set_has_its_default() {
    let config = sound(ENDING_IN_WEBHOOK);
    let [pbx] = config.pbxs.as_slice() else { panic!("{:?}", config.pbxs) };
    assert_eq!((pbx.name.as_str(), pbx.url.as_str()), ("pbx", "https://pbx.example.com/"));
    assert_eq!((pbx.snapshot_every, pbx.settle), (Duration::from_secs(45), Duration::from_secs(2)));
    assert_eq!(pbx.callback_wait, Duration::ZERO);
    assert_eq!((&pbx.ca_file, pbx.insecure, pbx.source), (&None, false, PbxSource::CallControl));
    let [endpoint] = config.endpoints.as_slice() else { panic!("{:?}", config.endpoints) };
    assert_eq!(endpoint.name, "webhook");
    assert_eq!(endpoint.plugins, ["plain-get"]);
    assert_eq!(endpoint.dialect, Dialect::Classic);
    assert_eq!(endpoint.events, [ServedEvent::Ringing, ServedEvent::Start, ServedEvent::End]);
    assert_eq!((endpoint.delivery.timeout, endpoint.internal), (Duration::from_secs(15), false));
    assert_eq!(endpoint.delivery.schedule.len(), 12, "thirteen attempts");
    let plugin = config.plugin("plain-get").unwrap();
    assert_eq!(
        (&plugin.source, plugin.settings.len()),
        (&PluginSource::Embedded("plain-get".into()), 0)
    );
    assert_eq!((plugin.deadline, plugin.memory), (Duration::from_millis(250), 64 << 20));
    assert_eq!(config.storage, PathBuf::from("callhook.db"));
    assert_eq!(config.console, Some("127.0.0.1:8480".parse().unwrap()));
    assert_eq!(config.log, LogConfig { level: LogLevel::Info, format: LogFormat::Text });
    assert_eq!((config.directory, config.titles), (None, Titles::default()));
}

#[test]
fn an_endpoint_may_ask_for_every_kind_of_event_and_for_the_later_dialect() {
    let all = "ringing, ringing-stopped, dialing, start, hold, resume, end, recording";
    let text = format!("{ENDING_IN_WEBHOOK}events = {all}\ndialect = pickup\n");
    let config = sound(&text);
    let names: Vec<&str> = config.endpoints[0].events.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.join(", "), all);
    assert_eq!(config.endpoints[0].dialect, Dialect::Pickup);
}

#[test]
fn an_address_is_that_of_the_ini_with_its_query() {
    let text = ENDING_IN_WEBHOOK.replace("crm.example.com/", "webhook.site/a?key=%20x&b");
    assert_eq!(sound(&text).endpoints[0].url.as_str(), "https://webhook.site/a?key=%20x&b");
}

#[test]
fn several_exchanges_and_endpoints_have_names() {
    let text = "[pbx.brno]\nurl = https://b.example:5001\nclient_id = b\nclient_secret = s\n\
                [pbx]\nurl = https://p.example\nclient_id = p\nclient_secret = s\n\
                [webhook.crm]\nurl = https://c.example\n[webhook.log-2]\nurl = https://l.example\n";
    let config = sound(text);
    let names: Vec<&str> = config.pbxs.iter().map(|pbx| pbx.name.as_str()).collect();
    assert_eq!(names, ["brno", "pbx"]);
    let names: Vec<&str> = config.endpoints.iter().map(|hook| hook.name.as_str()).collect();
    assert_eq!(names, ["crm", "log-2"]);
}

#[test]
fn a_byte_order_mark_and_either_line_end_make_no_difference() {
    let text = format!("{ENDING_IN_WEBHOOK}timeout = 5s\n[log]\nlevel = debug\n");
    let expected = sound(&text);
    assert_eq!(sound(&text.replace('\n', "\r\n")), expected);
    assert_eq!(sound(&format!("\u{feff}{text}")), expected);
    assert_eq!(sound(&format!("\u{feff}{}", text.replace('\n', "\r\n"))), expected);
    assert_eq!(sound(text.trim_end()), expected, "no newline at the end");
    assert_eq!(sound(&text.replace(" = ", "=")), expected, "no blanks");
    assert_eq!(sound(&text.replace(" = ", "\t=   ").replace('\n', "  \n  ")), expected, "more");
}

#[test]
fn comments_begin_at_the_start_of_a_line_or_behind_a_blank() {
    let text = format!(
        "; first\n# second\n{ENDING_IN_WEBHOOK}  ; third\ntimeout = 5s ; fourth\n\
         user = 106\t# fifth\n[did] ; sixth\n1 = a;b#c\n2 = d #e\n"
    );
    let config = sound(&text);
    assert_eq!(config.endpoints[0].delivery.timeout, Duration::from_secs(5));
    assert_eq!(config.endpoints[0].filter.user.len(), 1);
    let names: Vec<&str> = config.dids.values().map(String::as_str).collect();
    assert_eq!(names, ["a;b#c", "d"]);
}

#[test]
fn values_are_taken_as_written() {
    let text = format!(
        "{ENDING_IN_WEBHOOK}[did]\n1 = C:\\new\\table\\\n2 = \"quoted\" 'so'\n3 = a = b : c\n\
         4 = \\x41 \\\\ %20\n5 = Dvořák 日本\n"
    );
    let names: Vec<String> = sound(&text).dids.into_values().collect();
    assert_eq!(
        names,
        ["C:\\new\\table\\", "\"quoted\" 'so'", "a = b : c", "\\x41 \\\\ %20", "Dvořák 日本",]
    );
}

#[test]
fn references_are_filled_in_and_remembered_as_secret() {
    let around = Fake::new()
        .var("NAME", "env")
        .var("NESTED", "${env:NAME} ; #")
        .var("CREDENTIALS_DIRECTORY", "/run/credentials/callhook")
        .file("/run/credentials/callhook/token", "cred\n")
        .file("/etc/callhook/keys/key", "file\r\n")
        .file("/abs", "abs")
        .file("/etc/callhook/crm.wasm", "");
    let text = format!(
        "{ENDING_IN_WEBHOOK}plugins = crm\n[plugin.crm]\nmemory = 1MiB\ndeadline = 1s\n\
         file = crm.wasm\na = <${{env:NAME}}|${{file:keys/key}}|${{cred:token}}>\n\
         b = ${{env:NESTED}}\nc = $${{env:NAME}} $ {{}} $$\nd = ${{file:/abs}}$${{\ne =\n"
    );
    let config = parse_at("/etc/callhook/callhook.ini", &around, &text);
    let setting = |key: &str, value: &str, line, secret| Setting {
        key: key.to_owned(),
        value: Secret::new(value),
        line: Some(line),
        secret,
    };
    assert_eq!(
        config.plugins,
        [PluginConfig {
            name: "crm".to_owned(),
            place: Some(Place {
                file: "/etc/callhook/callhook.ini".into(),
                line: Some(8),
                section: Some("plugin.crm".to_owned()),
                key: None,
            }),
            file_line: Some(11),
            source: PluginSource::File("/etc/callhook/crm.wasm".into()),
            settings: vec![
                setting("a", "<env|file|cred>", 12, true),
                setting("b", "${env:NAME} ; #", 13, true),
                setting("c", "${env:NAME} $ {} $$", 14, false),
                setting("d", "abs${", 15, true),
                setting("e", "", 16, false),
            ],
            secrets: ["s3cret", "env", "file", "cred", "${env:NAME} ; #", "abs"]
                .map(Secret::new)
                .to_vec(),
            deadline: Duration::from_secs(1),
            memory: 1 << 20,
        }]
    );
}

#[test]
fn a_secret_is_not_printed() {
    let config = sound(ENDING_IN_PBX);
    assert_eq!(config.pbxs[0].client_secret.expose(), "s3cret");
    let printed = format!("{config:?} {config:#?}");
    assert!(printed.contains("client_secret: ***"), "{printed}");
    assert!(!printed.contains("s3cret"), "{printed}");
}

#[test]
fn paths_start_at_the_folder_of_the_ini() {
    let around = Fake::new().file("conf/users.csv", "").file("/ca.pem", "");
    let text = format!(
        "{ENDING_IN_WEBHOOK}ca_file = /ca.pem\n[storage]\npath = data/a.db\n\
         [directory]\nfile = users.csv\n"
    );
    let config = parse_at("conf/callhook.ini", &around, &text);
    assert_eq!(config.storage, PathBuf::from("conf/data/a.db"));
    assert_eq!(config.directory, Some("conf/users.csv".into()));
    assert_eq!(config.endpoints[0].delivery.ca_file, Some("/ca.pem".into()));
}

#[test]
fn an_embedded_plugin_may_have_settings_or_be_replaced() {
    let text = format!("{ENDING_IN_WEBHOOK}[plugin.plain-get]\nx = 1\ndeadline = 1s\n");
    let plugin = sound(&text).plugins.remove(0);
    assert_eq!(
        (plugin.source, plugin.settings.len()),
        (PluginSource::Embedded("plain-get".into()), 1)
    );
    let around = Fake::new().file("mine.wasm", "");
    let text = format!("{ENDING_IN_WEBHOOK}[plugin.plain-get]\nfile = mine.wasm\n");
    let config = around.parse(&text).unwrap().config;
    assert_eq!(config.plugins.len(), 1);
    assert_eq!(config.plugins[0].source, PluginSource::File("mine.wasm".into()));
}

#[test]
fn two_plugins_may_use_the_same_embedded_one_each_with_its_own_settings() {
    let text = format!(
        "{ENDING_IN_WEBHOOK}plugins = crm, plain-post\n[plugin.crm]\nuse = plain-post\ncountry = a\n\
         [plugin.plain-post]\ncountry = b\n"
    );
    let plugins = sound(&text).plugins;
    let told = |plugin: &PluginConfig| {
        let country = plugin.settings[0].value.expose().to_owned();
        (plugin.name.clone(), plugin.source.clone(), country)
    };
    let embedded = PluginSource::Embedded("plain-post".into());
    assert_eq!(
        plugins.iter().map(told).collect::<Vec<_>>(),
        [("crm".into(), embedded.clone(), "a".into()), ("plain-post".into(), embedded, "b".into()),]
    );
}

#[test]
fn all_spellings_of_yes_and_no_are_understood() {
    for (typed, meant) in [
        ("yes", true),
        ("true", true),
        ("1", true),
        ("Yes", true),
        ("TRUE", true),
        ("no", false),
        ("false", false),
        ("0", false),
        ("No", false),
    ] {
        let config = sound(&format!("{ENDING_IN_WEBHOOK}internal = {typed}\n"));
        assert_eq!(config.endpoints[0].internal, meant, "{typed}");
    }
}

#[test]
fn durations_and_sizes_have_units() {
    for (typed, meant) in [("500ms", 500), ("5s", 5_000), ("2m", 120_000), ("1m 30s", 90_000)] {
        let config = sound(&format!("{ENDING_IN_WEBHOOK}timeout = {typed}\n"));
        assert_eq!(config.endpoints[0].delivery.timeout, Duration::from_millis(meant), "{typed}");
    }
    let config = sound(&format!("{ENDING_IN_WEBHOOK}schedule = 1h, 5d\n"));
    assert_eq!(config.endpoints[0].delivery.schedule, [3_600, 432_000].map(Duration::from_secs));
    for (typed, meant) in [("1024KiB", 1 << 20), ("64MiB", 64 << 20), ("2MB", 2_000_000)] {
        let config = sound(&format!("{ENDING_IN_WEBHOOK}[plugin.plain-get]\nmemory = {typed}\n"));
        assert_eq!(config.plugins[0].memory, meant, "{typed}");
    }
}

#[test]
fn numbers_are_named_as_the_ini_says() {
    let text = format!(
        "{ENDING_IN_WEBHOOK}[did]\n+420226201001 = Prague DID\n[dn]\n800 = queue\n801 = other\n\
         106 = ext\n"
    );
    let config = sound(&text);
    assert_eq!(config.dids.get("+420226201001").map(String::as_str), Some("Prague DID"));
    assert_eq!(config.dns.get("106"), Some(&PartyKind::Extension));
    assert_eq!(config.dns.get("800"), Some(&PartyKind::Queue));
    assert_eq!(config.dns.get("801").map(PartyKind::user_type), Some("other"));
}

#[test]
fn the_console_can_be_off() {
    assert_eq!(sound(&format!("{ENDING_IN_WEBHOOK}[console]\nlisten = off\n")).console, None);
    let elsewhere = sound(&format!("{ENDING_IN_WEBHOOK}[console]\nlisten = [::1]:0\n")).console;
    assert_eq!(elsewhere, Some("[::1]:0".parse().unwrap()));
}

/// How the endpoint is delivered to with these lines.
fn delivery(lines: &str) -> DeliveryConfig {
    let around = Fake::new().file("crm.pem", "").file("crm.key", "");
    let loaded = around.parse(&format!("{ENDING_IN_WEBHOOK}{lines}\n")).unwrap();
    loaded.config.endpoints.into_iter().next().unwrap().delivery
}

#[test]
fn the_order_of_a_lane_is_a_word_and_a_wait() {
    assert_eq!(delivery("order = strict").order, Order::Strict);
    assert_eq!(delivery("order = none").order, Order::None);
    let minute = Duration::from_mins(1);
    assert_eq!(delivery("order = bounded").order, Order::Bounded(minute));
    assert_eq!(delivery("step_aside = 2m").order, Order::Bounded(minute * 2));
}

#[test]
fn a_shorter_time_for_the_whole_shortens_that_for_its_parts() {
    let two = Duration::from_secs(2);
    assert_eq!(delivery("timeout = 2s").connect_timeout, two);
    let breaker = delivery("probe_first = 10m").breaker;
    assert_eq!(breaker.last_probe, breaker.first_probe);
}

#[test]
fn several_keys_sign_while_they_are_changed() {
    let (new, old) =
        ("whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcg", "b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQgbw");
    let keys = delivery(&format!("secret = {new}, {old}")).signing_keys;
    assert_eq!(keys, [Secret::new(new), Secret::new(old)]);
}

#[test]
fn each_kind_of_credentials_takes_its_own_keys() {
    let (user, name) = ("me".to_owned(), "X-Key".to_owned());
    let basic = Credentials::Basic { user, password: Secret::new("") };
    assert_eq!(delivery("auth = basic\nauth_user = me\nauth_password =").credentials, basic);
    let bearer = delivery("auth = bearer\nauth_token = ${env:SECRET}").credentials;
    assert_eq!(bearer, Credentials::Bearer(Secret::new("s3cret")));
    let header = delivery("auth = header\nauth_name = X-Key\nauth_value = a b").credentials;
    assert_eq!(header, Credentials::Header { name, value: Secret::new("a b") });
    let public = "auth = refresh-token\nauth_token_url = https://id.example.com/token\n\
                  auth_client_id = app\nauth_refresh_token = r";
    let Credentials::OAuth2(public) = delivery(public).credentials else { panic!() };
    assert_eq!(public.token_url.as_str(), "https://id.example.com/token");
    assert_eq!(public.refresh_token, Some(Secret::new("r")));
    assert_eq!((public.client_secret, public.scope), (None, None));
}

#[test]
fn hosts_and_networks_are_kept_in_their_usual_form() {
    let config = delivery(
        "allow_hosts = API.Example.com, *.bücher.example, 10.1\n\
         allow_networks = 10.1.2.3/8, 192.168.1.7, fd00::1",
    );
    assert_eq!(config.allow_hosts, ["api.example.com", "*.xn--bcher-kva.example", "10.0.0.1"]);
    let networks: Vec<String> = config.allow_networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.168.1.7/32", "fd00::1/128"]);
}

#[test]
fn a_certificate_of_our_own_is_two_files() {
    let files = delivery("client_certificate = crm.pem\nclient_key = crm.key").client_certificate;
    let files = files.unwrap();
    assert_eq!((files.certificate, files.key), ("crm.pem".into(), "crm.key".into()));
}

#[test]
fn no_secret_is_shown_by_debugging_or_in_warnings() {
    let key = "c2VzYW1lc2VzYW1lc2VzYW1lc2VzYW1l";
    let oauth = "auth_token_url = http://id.example.com\nauth_client_id = app\n";
    let text = format!(
        "{}secret = {key}\n\
         [webhook.a]\nurl = http://a\nauth = basic\nauth_user = me\nauth_password = sesame\n\
         [webhook.b]\nurl = http://a\nauth = bearer\nauth_token = sesame\n\
         [webhook.c]\nurl = http://a\nauth = query\nauth_name = k\nauth_value = sesame\n\
         [webhook.d]\nurl = http://a\nauth = header\nauth_name = k\nauth_value = \"sesame\"\n\
         [webhook.e]\nurl = http://a\nauth = refresh-token\n{oauth}auth_client_secret = sesame\n\
         auth_refresh_token = sesame\n[plugin.plain-get]\nany = sesame\n",
        ENDING_IN_WEBHOOK.replace("${env:SECRET}", "sesame")
    );
    let around = Fake { public: ["callhook.ini".into()].into(), ..Fake::new() };
    let shown = format!("{:?}", around.parse(&text).unwrap());
    assert!(!shown.contains("sesame") && !shown.contains(key), "{shown}");
    assert!(shown.contains("exposure: true"), "the warnings are among it: {shown}");
}
