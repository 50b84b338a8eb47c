//! Every fault is told with its line, what was expected and the name that was meant.

use std::path::Path;

use super::{ENDING_IN_PBX, ENDING_IN_WEBHOOK, Fake};
use crate::config::Config;

fn messages(text: &str) -> Vec<String> {
    let around = Fake::new()
        .var("PRIVATE", "sesame")
        .var("LINES", "sesame\nsesame")
        .var("EMPTY", "")
        .var("CREDENTIALS_DIRECTORY", "/run/creds")
        .file("plugins/crm.wasm", "");
    let errors = around.parse(text).expect_err(text);
    errors.iter().map(ToString::to_string).collect()
}

fn check(before: &str, table: &[(&str, &str)]) {
    for (faulty, message) in table {
        assert_eq!(messages(&format!("{before}{faulty}\n")), [*message], "{faulty}");
    }
}

const PBX: &[(&str, &str)] = &[
    (
        "timezone = Prague",
        "callhook.ini:7: [pbx] timezone: expected a time zone such as Europe/Prague or America/New_York, not \"Prague\"",
    ),
    (
        "timezone =",
        "callhook.ini:7: [pbx] timezone: expected a time zone such as Europe/Prague or America/New_York, not \"\"",
    ),
    (
        "snapshot_every = 45",
        "callhook.ini:7: [pbx] snapshot_every: expected a duration such as 500ms, 5s, 2m, 1h or 30d, not \"45\"",
    ),
    (
        "snapshot_every = 10ms",
        "callhook.ini:7: [pbx] snapshot_every: expected a duration from 1s to 1h, not \"10ms\"",
    ),
    (
        "snapshot_every = -5s",
        "callhook.ini:7: [pbx] snapshot_every: expected a duration such as 500ms, 5s, 2m, 1h or 30d, not \"-5s\"",
    ),
    (
        "settle = 5m",
        "callhook.ini:7: [pbx] settle: expected a duration from 100ms to 1m, not \"5m\"",
    ),
    ("ca_file = ca.pem", "callhook.ini:7: [pbx] ca_file: there is no file \"ca.pem\""),
    ("ca_file =", "callhook.ini:7: [pbx] ca_file: expected a text, not \"\""),
    ("insecure = maybe", "callhook.ini:7: [pbx] insecure: expected yes or no, not \"maybe\""),
    (
        "source = callcontol",
        "callhook.ini:7: [pbx] source: unknown source \"callcontol\"; did you mean \"callcontrol\"?",
    ),
    (
        "source = tapi",
        "callhook.ini:7: [pbx] source: unknown source \"tapi\"; known are callcontrol",
    ),
    (
        "ca_file = plugins",
        "callhook.ini:7: [pbx] ca_file: \"plugins\" is a folder; expected a file",
    ),
    ("timezone = ${env:EMPTY}", "callhook.ini:7: [pbx] timezone: ${env:EMPTY}: it is empty"),
    (
        "time\u{1b}[31mzone = UTC",
        "callhook.ini:7: [pbx] time\\u{1b}[31mzone: unknown key; known here are url, client_id, client_secret, timezone, snapshot_every, settle, callback_wait, ca_file, insecure, source",
    ),
    ("time_zone = UTC", "callhook.ini:7: [pbx] time_zone: unknown key; did you mean \"timezone\"?"),
    ("URL = https://a.example", "callhook.ini:7: [pbx] URL: unknown key; did you mean \"url\"?"),
    (
        "retention = 30d",
        "callhook.ini:7: [pbx] retention: unknown key; known here are url, client_id, client_secret, timezone, snapshot_every, settle, callback_wait, ca_file, insecure, source",
    ),
    ("url = https://b.example", "callhook.ini:7: [pbx] url: already set on line 4"),
    (
        "timezone = ${env:ZONE}",
        "callhook.ini:7: [pbx] timezone: ${env:ZONE}: this environment variable is not set, or not UTF-8",
    ),
    (
        "timezone = ${env:PRIVATE}",
        "callhook.ini:7: [pbx] timezone: expected a time zone such as Europe/Prague or America/New_York, not \"***\"",
    ),
    (
        "timezone = ${env:}",
        "callhook.ini:7: [pbx] timezone: ${env:}: this environment variable is not set, or not UTF-8",
    ),
    (
        "timezone = ${ENV:ZONE}",
        "callhook.ini:7: [pbx] timezone: ${ENV:ZONE}: expected env:NAME, file:PATH or cred:NAME; write $${ for a literal ${",
    ),
    (
        "timezone = ${zone}",
        "callhook.ini:7: [pbx] timezone: ${zone}: expected env:NAME, file:PATH or cred:NAME; write $${ for a literal ${",
    ),
    (
        "timezone = ${env:ZONE",
        "callhook.ini:7: [pbx] timezone: ${: the closing } is missing; write $${ for a literal ${",
    ),
    (
        "timezone = ${env:${env:A}}",
        "callhook.ini:7: [pbx] timezone: ${env:${env:A}: this environment variable is not set, or not UTF-8",
    ),
    (
        "timezone = ${file:zone.txt}",
        "callhook.ini:7: [pbx] timezone: ${file:zone.txt}: \"zone.txt\" cannot be read: entity not found",
    ),
    (
        "timezone = ${cred:zone}",
        "callhook.ini:7: [pbx] timezone: ${cred:zone}: \"/run/creds/zone\" cannot be read: entity not found",
    ),
    (
        "timezone = ${cred:../zone}",
        "callhook.ini:7: [pbx] timezone: ${cred:../zone}: a credential has a name, not a path",
    ),
];

#[test]
fn faults_of_a_pbx_are_told() {
    check(ENDING_IN_PBX, PBX);
}

const WEBHOOK: &[(&str, &str)] = &[
    ("timout = 5s", "callhook.ini:7: [webhook] timout: unknown key; did you mean \"timeout\"?"),
    (
        "timeout = fast",
        "callhook.ini:7: [webhook] timeout: expected a duration such as 500ms, 5s, 2m, 1h or 30d, not \"fast\"",
    ),
    (
        "timeout = 1h",
        "callhook.ini:7: [webhook] timeout: expected a duration from 100ms to 5m, not \"1h\"",
    ),
    (
        "plugins = plain-got",
        "callhook.ini:7: [webhook] plugins: there is no plugin \"plain-got\"; did you mean \"plain-get\"?",
    ),
    (
        "plugins = hubspot",
        "callhook.ini:7: [webhook] plugins: there is no plugin \"hubspot\"; add [plugin.hubspot] with its file",
    ),
    (
        "plugins = plain-get,",
        "callhook.ini:7: [webhook] plugins: expected one or more items with commas between them, not \"plain-get,\"",
    ),
    (
        "plugins =",
        "callhook.ini:7: [webhook] plugins: expected one or more items with commas between them, not \"\"",
    ),
    (
        "events = rining, end",
        "callhook.ini:7: [webhook] events: unknown event \"rining\"; did you mean \"ringing\"?",
    ),
    (
        "events = hangup",
        "callhook.ini:7: [webhook] events: unknown event \"hangup\"; known are ringing, start, end, ringing-stopped, dialing, hold, resume, recording",
    ),
    (
        "events = ringing, holding-on",
        "callhook.ini:7: [webhook] events: unknown event \"holding-on\"; known are ringing, start, end, ringing-stopped, dialing, hold, resume, recording",
    ),
    (
        "events = start,,end",
        "callhook.ini:7: [webhook] events: expected one or more items with commas between them, not \"start,,end\"",
    ),
    ("internal = ja", "callhook.ini:7: [webhook] internal: expected yes or no, not \"ja\""),
    (
        "dialect = clasic",
        "callhook.ini:7: [webhook] dialect: unknown dialect \"clasic\"; did you mean \"classic\"?",
    ),
    (
        "schedule = 1s, soon",
        "callhook.ini:7: [webhook] schedule: expected a duration such as 500ms, 5s, 2m, 1h or 30d, not \"soon\"",
    ),
    (
        "schedule = 1s, 30d",
        "callhook.ini:7: [webhook] schedule: expected a duration from 1ms to 7d, not \"30d\"",
    ),
    (
        "schedule = 0s",
        "callhook.ini:7: [webhook] schedule: expected a duration from 1ms to 7d, not \"0s\"",
    ),
    (
        "user = 199-100",
        "callhook.ini:7: [webhook] user: expected a range that runs upwards, such as 100-199, not \"199-100\"",
    ),
    (
        "did = ,",
        "callhook.ini:7: [webhook] did: expected one or more items with commas between them, not \",\"",
    ),
    (
        "queue =",
        "callhook.ini:7: [webhook] queue: expected one or more items with commas between them, not \"\"",
    ),
    (
        "direction = inbound",
        "callhook.ini:7: [webhook] direction: unknown direction \"inbound\"; known are incoming, outgoing, internal",
    ),
    (
        "direction = incomming",
        "callhook.ini:7: [webhook] direction: unknown direction \"incomming\"; did you mean \"incoming\"?",
    ),
    (
        "ca_file = nowhere.pem",
        "callhook.ini:7: [webhook] ca_file: there is no file \"nowhere.pem\"",
    ),
    (
        "method = POST",
        "callhook.ini:7: [webhook] method: unknown key; known here are url, plugins, events, internal, dialect, did, user, queue, direction, order, step_aside, schedule, popup_expiry, success, refusals, timeout, connect_timeout, connection_age, breaker_attempts, breaker_window, breaker_connects, probe_first, probe_last, concurrency, secret, auth, auth_user, auth_password, auth_token, auth_name, auth_value, auth_token_url, auth_client_id, auth_client_secret, auth_scope, auth_refresh_token, allow_hosts, allow_networks, ca_file, insecure, client_certificate, client_key, proxy",
    ),
];

#[test]
fn faults_of_a_webhook_are_told() {
    check(ENDING_IN_WEBHOOK, WEBHOOK);
}

const DELIVERY: &[(&str, &[&str])] = &[
    (
        "order = lifo",
        &[
            "callhook.ini:7: [webhook] order: unknown order \"lifo\"; known are bounded, strict, none",
        ],
    ),
    (
        "order = stict",
        &["callhook.ini:7: [webhook] order: unknown order \"stict\"; did you mean \"strict\"?"],
    ),
    (
        "step_aside = 0s",
        &["callhook.ini:7: [webhook] step_aside: expected a duration from 10ms to 1d, not \"0s\""],
    ),
    (
        "step_aside = 5s\norder = strict",
        &[
            "callhook.ini:7: [webhook] step_aside: does not go with order = strict, only with order = bounded",
        ],
    ),
    (
        "popup_expiry = 500ms",
        &[
            "callhook.ini:7: [webhook] popup_expiry: expected a duration from 1s to 1d, not \"500ms\"",
        ],
    ),
    (
        "success = 404, ok",
        &[
            "callhook.ini:7: [webhook] success: expected statuses from 300 to 599, such as 404, 409, not \"404, ok\"",
        ],
    ),
    (
        "success = 200",
        &[
            "callhook.ini:7: [webhook] success: expected statuses from 300 to 599, such as 404, 409, not \"200\"",
        ],
    ),
    (
        "refusals = 0",
        &["callhook.ini:7: [webhook] refusals: expected a number from 1 to 100, not \"0\""],
    ),
    (
        "refusals = three",
        &["callhook.ini:7: [webhook] refusals: expected a number from 1 to 100, not \"three\""],
    ),
    (
        "timeout = 2s\nconnect_timeout = 5s",
        &[
            "callhook.ini:8: [webhook] connect_timeout: expected a duration from 10ms to 2s, not \"5s\"",
        ],
    ),
    (
        "connection_age = 8d",
        &[
            "callhook.ini:7: [webhook] connection_age: expected a duration from 1s to 1d, not \"8d\"",
        ],
    ),
    (
        "breaker_attempts = -1",
        &[
            "callhook.ini:7: [webhook] breaker_attempts: expected a number from 1 to 10000, not \"-1\"",
        ],
    ),
    (
        "breaker_window = 0",
        &["callhook.ini:7: [webhook] breaker_window: expected a duration from 1s to 1h, not \"0\""],
    ),
    (
        "breaker_connects = 1001",
        &[
            "callhook.ini:7: [webhook] breaker_connects: expected a number from 1 to 1000, not \"1001\"",
        ],
    ),
    (
        "probe_first = 2h",
        &[
            "callhook.ini:7: [webhook] probe_first: expected a duration from 100ms to 1h, not \"2h\"",
        ],
    ),
    (
        "probe_first = 1m\nprobe_last = 30s",
        &["callhook.ini:8: [webhook] probe_last: expected a duration from 1m to 1d, not \"30s\""],
    ),
    (
        "concurrency = 5000",
        &["callhook.ini:7: [webhook] concurrency: expected a number from 1 to 1024, not \"5000\""],
    ),
    (
        "secret = whsec_sesame",
        &[
            "callhook.ini:7: [webhook] secret: expected keys in base64, with whsec_ in front or not, not \"***\"",
        ],
    ),
    (
        "secret = whsec_c2VzYW1l",
        &["callhook.ini:7: [webhook] secret: expected keys of 24 bytes or more, not \"***\""],
    ),
    (
        "secret = c2VzYW1lc2VzYW1lc2VzYW1lc2VzYW1l,",
        &["callhook.ini:7: [webhook] secret: expected keys with commas between them, not \"***\""],
    ),
    (
        "secert = c2VzYW1l",
        &["callhook.ini:7: [webhook] secert: unknown key; did you mean \"secret\"?"],
    ),
    (
        "allow_hosts = https://api.example.com",
        &[
            "callhook.ini:7: [webhook] allow_hosts: expected names of hosts, such as api.example.com or *.example.com, not \"https://api.example.com\"",
        ],
    ),
    (
        "allow_hosts = *",
        &[
            "callhook.ini:7: [webhook] allow_hosts: expected names of hosts, such as api.example.com or *.example.com, not \"*\"",
        ],
    ),
    (
        "allow_hosts = a.example, *.10.0.0.1",
        &[
            "callhook.ini:7: [webhook] allow_hosts: expected names of hosts, such as api.example.com or *.example.com, not \"*.10.0.0.1\"",
        ],
    ),
    (
        "allow_networks = 10.0.0.0/33",
        &[
            "callhook.ini:7: [webhook] allow_networks: expected networks such as 10.0.0.0/8, 192.168.1.7 or fd00::/8, not \"10.0.0.0/33\"",
        ],
    ),
    (
        "allow_networks = intranet",
        &[
            "callhook.ini:7: [webhook] allow_networks: expected networks such as 10.0.0.0/8, 192.168.1.7 or fd00::/8, not \"intranet\"",
        ],
    ),
    (
        "client_certificate = crm.pem",
        &[
            "callhook.ini:5: [webhook] client_key: missing; expected the PEM file with the certificate's key",
            "callhook.ini:7: [webhook] client_certificate: there is no file \"crm.pem\"",
        ],
    ),
    (
        "client_key = plugins/crm.wasm",
        &[
            "callhook.ini:5: [webhook] client_certificate: missing; expected the PEM file that client_key is for",
        ],
    ),
    (
        "proxy = proxy.example.com:3128",
        &[
            "callhook.ini:7: [webhook] proxy: expected a proxy's address that starts with http://, not \"proxy.example.com:3128\"",
        ],
    ),
    (
        "proxy = http://me%3A:sesame@proxy.example.com:3128",
        &[
            "callhook.ini:7: [webhook] proxy: expected user:password before the @, without a colon in the user, percent-encoded UTF-8, not \"...@proxy.example.com:3128\"",
        ],
    ),
    (
        "proxy = http://proxy.example.com/pac",
        &[
            "callhook.ini:7: [webhook] proxy: expected a proxy's address without a path, such as http://proxy.example.com:3128, not \"http://proxy.example.com/pac\"",
        ],
    ),
];

const AUTH: &[(&str, &[&str])] = &[
    (
        "auth = digest",
        &[
            "callhook.ini:7: [webhook] auth: unknown kind of auth \"digest\"; known are none, basic, bearer, header, query, client-credentials, refresh-token",
        ],
    ),
    (
        "auth = berer\nauth_token = sesame",
        &[
            "callhook.ini:7: [webhook] auth: unknown kind of auth \"berer\"; did you mean \"bearer\"?",
        ],
    ),
    (
        "auth_token = sesame",
        &[
            "callhook.ini:7: [webhook] auth_token: does not go with auth = none, only with auth = bearer",
        ],
    ),
    (
        "auth = basic\nauth_token = sesame",
        &[
            "callhook.ini:5: [webhook] auth_user: missing; expected the user, for auth = basic",
            "callhook.ini:5: [webhook] auth_password: missing; expected the password, for auth = basic",
            "callhook.ini:8: [webhook] auth_token: does not go with auth = basic, only with auth = bearer",
        ],
    ),
    (
        "auth = basic\nauth_user = me:too\nauth_password = sesame",
        &[
            "callhook.ini:8: [webhook] auth_user: expected a user without a colon in it, not \"me:too\"",
        ],
    ),
    (
        "auth = basic\nauth_user = me\nauth_password = ${env:LINES}",
        &["callhook.ini:9: [webhook] auth_password: expected a password of one line, not \"***\""],
    ),
    (
        "auth = basic\nauth_user = me\nauth_pasword = sesame",
        &[
            "callhook.ini:5: [webhook] auth_password: missing; expected the password, for auth = basic",
            "callhook.ini:9: [webhook] auth_pasword: unknown key; did you mean \"auth_password\"?",
        ],
    ),
    (
        "auth = bearer",
        &["callhook.ini:5: [webhook] auth_token: missing; expected the token, for auth = bearer"],
    ),
    (
        "auth = bearer\nauth_token = ${env:EMPTY}",
        &["callhook.ini:8: [webhook] auth_token: ${env:EMPTY}: it is empty"],
    ),
    ("secret = ${env:EMPTY}", &["callhook.ini:7: [webhook] secret: ${env:EMPTY}: it is empty"]),
    (
        "auth = bearer\nauth_token = open sesame",
        &[
            "callhook.ini:8: [webhook] auth_token: expected a token of ASCII characters without blanks, not \"***\"",
        ],
    ),
    (
        "auth = bearer\nauth_token = ${sesame}",
        &[
            "callhook.ini:8: [webhook] auth_token: ${...}: expected env:NAME, file:PATH or cred:NAME; write $${ for a literal ${",
        ],
    ),
    (
        "auth = header\nauth_name = x api\nauth_value = sesame",
        &[
            "callhook.ini:8: [webhook] auth_name: expected the name of a header, such as x-api-key, not \"x api\"",
        ],
    ),
    (
        "auth = header\nauth_name = Host\nauth_value = sesame",
        &[
            "callhook.ini:8: [webhook] auth_name: expected a header that callhook does not write itself, not \"Host\"",
        ],
    ),
    (
        "auth = header\nauth_name = Webhook-Id\nauth_value = sesame",
        &[
            "callhook.ini:8: [webhook] auth_name: expected a header that callhook does not write itself, not \"Webhook-Id\"",
        ],
    ),
    (
        "auth = header\nauth_name = x-api-key\nauth_value = sésame",
        &[
            "callhook.ini:9: [webhook] auth_value: expected a text of ASCII characters on one line, not \"***\"",
        ],
    ),
    (
        "auth = header\nauth_user = me",
        &[
            "callhook.ini:5: [webhook] auth_name: missing; expected the header's name",
            "callhook.ini:5: [webhook] auth_value: missing; expected the header's value",
            "callhook.ini:8: [webhook] auth_user: does not go with auth = header, only with auth = basic",
        ],
    ),
    (
        "auth = query\nauth_name = key",
        &["callhook.ini:5: [webhook] auth_value: missing; expected the parameter's value"],
    ),
    (
        "auth = none\nauth_value = sesame",
        &[
            "callhook.ini:8: [webhook] auth_value: does not go with auth = none, only with auth = header or query",
        ],
    ),
    (
        "auth = client-credentials\nauth_token_url = id.example.com",
        &[
            "callhook.ini:5: [webhook] auth_client_id: missing; expected the id of this client there",
            "callhook.ini:5: [webhook] auth_client_secret: missing; expected the secret of this client",
            "callhook.ini:8: [webhook] auth_token_url: expected an address that starts with https:// or http://, not \"id.example.com\"",
        ],
    ),
    (
        "auth = client-credentials\nauth_token_url = https://id.example.com\nauth_client_id = a\nauth_client_secret = sesame\nauth_refresh_token = sesame",
        &[
            "callhook.ini:11: [webhook] auth_refresh_token: does not go with auth = client-credentials, only with auth = refresh-token",
        ],
    ),
    (
        "auth = refresh-token\nauth_token_url = https://id.example.com\nauth_client_id = a",
        &[
            "callhook.ini:5: [webhook] auth_refresh_token: missing; expected the token that renews the others",
        ],
    ),
];

#[test]
fn faults_of_delivery_are_told_without_secrets() {
    for (faulty, expected) in DELIVERY.iter().chain(AUTH) {
        let told = messages(&format!("{ENDING_IN_WEBHOOK}{faulty}\n"));
        assert_eq!(told, *expected, "{faulty}");
        assert!(!told.concat().contains("sesame"), "{told:?}");
    }
}

#[test]
fn faults_of_addresses_are_told_without_their_secrets() {
    let table = [
        (
            "crm.example.com",
            "expected an address that starts with https:// or http://, not \"crm.example.com\"",
        ),
        (
            "ftp://crm.example.com/",
            "expected an address that starts with https:// or http://, not \"ftp://crm.example.com/\"",
        ),
        ("https://", "expected an address that starts with https:// or http://, not \"https://\""),
        (
            "http://crm.example.com:99999/?token=sesame",
            "expected an address with a port up to 65535, not \"http://crm.example.com:99999/?...\"",
        ),
        (
            "htps://crm.example.com/?token=sesame",
            "expected an address that starts with https:// or http://, not \"htps://crm.example.com/?...\"",
        ),
        (
            "https://me:sesame@crm.example.com/",
            "expected an address without user and password in it, not \"...@crm.example.com/\"",
        ),
        (
            "https://crm.example.com/#top",
            "expected an address without a # part, not \"https://crm.example.com/#top\"",
        ),
        (
            "\"https://crm.example.com/\"",
            "expected an address that starts with https:// or http://, not \"\"https://crm.example.com/\"\"",
        ),
        ("${env:PRIVATE}", "expected an address that starts with https:// or http://, not \"***\""),
        ("", "expected an address that starts with https:// or http://, not \"\""),
    ];
    for (address, fault) in table {
        let text = format!("{ENDING_IN_WEBHOOK}[webhook.crm]\nurl = {address}\n");
        assert_eq!(messages(&text), [format!("callhook.ini:8: [webhook.crm] url: {fault}")]);
    }
    let text = ENDING_IN_PBX.replace("pbx.example.com", "pbx.example.com/?tenant=1");
    assert_eq!(
        messages(&text),
        ["callhook.ini:4: [pbx] url: expected an address without a ? part, such as \
         https://pbx.example.com:5001, not \"https://pbx.example.com/?...\"",]
    );
}

const OTHERS: &[(&str, &str)] = &[
    (
        "[plugin.crm]\ndeadline = 1s",
        "callhook.ini:7: [plugin.crm] file: missing; expected the component's .wasm, or use = plain-get, plain-post, template, bitrix24",
    ),
    (
        "[plugin.plain-pots]\nx = y",
        "callhook.ini:7: [plugin.plain-pots] file: missing; expected the component's .wasm, or use = plain-post",
    ),
    (
        "[plugin.crm]\nuse = plain-pst",
        "callhook.ini:8: [plugin.crm] use: unknown embedded plugin \"plain-pst\"; did you mean \"plain-post\"?",
    ),
    (
        "[plugin.crm]\nuse = crm.wasm",
        "callhook.ini:8: [plugin.crm] use: unknown embedded plugin \"crm.wasm\"; known are plain-get, plain-post, template, bitrix24",
    ),
    (
        "[plugin.crm]\nuse = plain-post\nfile = plugins/crm.wasm",
        "callhook.ini:9: [plugin.crm] file: does not go with use = plain-post, only with a component of your own",
    ),
    (
        "[plugin.crm]\nfile = crm.wasm",
        "callhook.ini:8: [plugin.crm] file: there is no file \"crm.wasm\"",
    ),
    (
        "[plugin.crm]\nfile = plugins/crm.wasm\ndeadline = 2h",
        "callhook.ini:9: [plugin.crm] deadline: expected a duration from 1ms to 1m, not \"2h\"",
    ),
    (
        "[plugin.crm]\nfile = plugins/crm.wasm\nmemory = lots",
        "callhook.ini:9: [plugin.crm] memory: expected a size such as 512KiB or 64MiB, not \"lots\"",
    ),
    (
        "[plugin.crm]\nfile = plugins/crm.wasm\nmemory = 64",
        "callhook.ini:9: [plugin.crm] memory: expected a size from 1MiB to 128MiB, not \"64\"",
    ),
    (
        "[plugin.crm]\nfile = plugins/crm.wasm\nmemory = 200MiB",
        "callhook.ini:9: [plugin.crm] memory: expected a size from 1MiB to 128MiB, not \"200MiB\"",
    ),
    (
        "[plugin.crm]\nfile = plugins",
        "callhook.ini:8: [plugin.crm] file: \"plugins\" is a folder; expected a file",
    ),
    (
        "[plugin.crm]\nfile = plugins/crm.wasm\ntoken = ${env:TOKEN}",
        "callhook.ini:9: [plugin.crm] token: ${env:TOKEN}: this environment variable is not set, or not UTF-8",
    ),
    (
        "[titles]\nincoming = From {calller}",
        "callhook.ini:8: [titles] incoming: unknown placeholder \"calller\"; did you mean \"caller\"?",
    ),
    (
        "[titles]\nincoming = {who}",
        "callhook.ini:8: [titles] incoming: unknown placeholder \"who\"; known are caller, user, did, queue, duration, wait, callback, transfer",
    ),
    (
        "[titles]\nincoming = {}",
        "callhook.ini:8: [titles] incoming: unknown placeholder \"\"; known are caller, user, did, queue, duration, wait, callback, transfer",
    ),
    (
        "[titles]\nincoming = From {caller",
        "callhook.ini:8: [titles] incoming: expected every { to be closed by a }, not \"From {caller\"",
    ),
    (
        "[titles]\nincoming = From [via {did}",
        "callhook.ini:8: [titles] incoming: expected every [ to be closed by a ], not \"From [via {did}\"",
    ),
    (
        "[titles]\nincoming = From a]",
        "callhook.ini:8: [titles] incoming: expected every [ to be closed by a ], not \"From a]\"",
    ),
    (
        "[titles]\noutgoing-mised = No",
        "callhook.ini:8: [titles] outgoing-mised: unknown key; did you mean \"outgoing-missed\"?",
    ),
    ("[titles]\noutgoing =", "callhook.ini:8: [titles] outgoing: expected a text, not \"\""),
    (
        "[did]\n420226201001 =",
        "callhook.ini:8: [did] 420226201001: expected the name of the number's DID rule, not \"\"",
    ),
    ("[did]\n42 = A\n42 = B", "callhook.ini:9: [did] 42: already set on line 8"),
    (
        "[dn]\n800 = que",
        "callhook.ini:8: [dn] 800: unknown kind of number \"que\"; known are ext, queue, other",
    ),
    (
        "[dn]\n800 = queu",
        "callhook.ini:8: [dn] 800: unknown kind of number \"queu\"; did you mean \"queue\"?",
    ),
    (
        "[dn]\n10* = ext",
        "callhook.ini:8: [dn] 10*: expected a plain number such as 800, one on each line, not \"10*\"",
    ),
    (
        "[dn]\n100-199 = ext",
        "callhook.ini:8: [dn] 100-199: expected a plain number such as 800, one on each line, not \"100-199\"",
    ),
    (
        "[dn]\n800, 801 = queue",
        "callhook.ini:8: [dn] 800, 801: expected a plain number such as 800, one on each line, not \"800, 801\"",
    ),
    ("[directory]", "callhook.ini:7: [directory] file: missing; expected the CSV file of people"),
    (
        "[directory]\nfile = people.csv",
        "callhook.ini:8: [directory] file: there is no file \"people.csv\"",
    ),
    ("[storage]\npath =", "callhook.ini:8: [storage] path: expected a text, not \"\""),
    (
        "[storage]\nretention = 1m",
        "callhook.ini:8: [storage] retention: expected a duration from 1h to 3660d, not \"1m\"",
    ),
    (
        "[storage]\nretain = 30d",
        "callhook.ini:8: [storage] retain: unknown key; known here are path, retention",
    ),
    (
        "[console]\nlisten = 8480",
        "callhook.ini:8: [console] listen: expected off, or an IP address with a port such as 127.0.0.1:8480, not \"8480\"",
    ),
    (
        "[console]\nlisten = no",
        "callhook.ini:8: [console] listen: expected off, or an IP address with a port such as 127.0.0.1:8480, not \"no\"",
    ),
    (
        "[log]\nlevel = verbose",
        "callhook.ini:8: [log] level: unknown level \"verbose\"; known are error, warn, info, debug, trace",
    ),
    (
        "[log]\nlevel = Inof",
        "callhook.ini:8: [log] level: unknown level \"Inof\"; did you mean \"info\"?",
    ),
    (
        "[log]\nformat = xml",
        "callhook.ini:8: [log] format: unknown format \"xml\"; known are text, json",
    ),
    (
        "[log]\nfile = x.log",
        "callhook.ini:8: [log] file: unknown key; known here are level, format",
    ),
];

#[test]
fn faults_of_other_sections_are_told() {
    check(ENDING_IN_WEBHOOK, OTHERS);
}

#[test]
fn faults_of_the_file_itself_are_told() {
    check(
        ENDING_IN_WEBHOOK,
        &[
            ("[webhok]", "callhook.ini:7: [webhok]: unknown section; did you mean [webhook]?"),
            (
                "[Webhook.crm]",
                "callhook.ini:7: [Webhook.crm]: unknown section; did you mean [webhook.crm]?",
            ),
            (
                "[plugin]\nfile = x",
                "callhook.ini:7: [plugin]: unknown section; did you mean [plugin.NAME]?",
            ),
            (
                "[plugins.crm]",
                "callhook.ini:7: [plugins.crm]: unknown section; did you mean [plugin.crm]?",
            ),
            (
                "[webhook.a b]",
                "callhook.ini:7: [webhook.a b]: unknown section; a name has letters, digits, - and _ only",
            ),
            (
                "[webhook.]",
                "callhook.ini:7: [webhook.]: unknown section; a name has letters, digits, - and _ only",
            ),
            (
                "[storage.other]",
                "callhook.ini:7: [storage.other]: unknown section; did you mean [storage]?",
            ),
            (
                "[retries]",
                "callhook.ini:7: [retries]: unknown section; known are [pbx], [did], [dn], [directory], [webhook], [plugin.NAME], [titles], [storage], [console], [log]",
            ),
            (
                "[]",
                "callhook.ini:7: []: unknown section; known are [pbx], [did], [dn], [directory], [webhook], [plugin.NAME], [titles], [storage], [console], [log]",
            ),
            (
                "[webhook]",
                "callhook.ini:7: [webhook]: this section already began on line 5; put its keys there",
            ),
            (
                "[webhook.webhook]\nurl = https://a.example",
                "callhook.ini:7: [webhook.webhook]: this section already began on line 5; put its keys there",
            ),
            ("[log", "callhook.ini:7: expected \"[section]\", \"key = value\" or a comment"),
            ("timeout", "callhook.ini:7: expected \"[section]\", \"key = value\" or a comment"),
            ("= 5s", "callhook.ini:7: expected \"[section]\", \"key = value\" or a comment"),
            (
                "timeout ; = 5s",
                "callhook.ini:7: expected \"[section]\", \"key = value\" or a comment",
            ),
        ],
    );
    assert_eq!(
        messages(&format!("level = info\n{ENDING_IN_WEBHOOK}")),
        ["callhook.ini:1: level: stands before the first [section]"]
    );
}

#[test]
fn what_must_be_there_is_missed() {
    assert_eq!(
        messages(""),
        [
            "callhook.ini: [pbx]: missing; expected an exchange to watch",
            "callhook.ini: [webhook]: missing; expected an address to send to",
        ]
    );
    assert_eq!(
        messages("[pbx]\n[webhook]\n"),
        [
            "callhook.ini:1: [pbx] url: missing; expected the address of the PBX's web client",
            "callhook.ini:1: [pbx] client_id: missing; expected the client id of the API client",
            "callhook.ini:1: [pbx] client_secret: missing; expected the API client's key",
            "callhook.ini:2: [webhook] url: missing; expected the address that events are sent to",
        ]
    );
}

#[test]
fn all_faults_of_a_file_are_told_at_once_in_its_order() {
    let text = "[pbx]\nurl = pbx\nclient_id = app\nclient_secret =\n\n[webhook]\ntimout = 1s\n\
                plugins = crm\n[plugin.crm]\n";
    assert_eq!(
        messages(text),
        [
            "callhook.ini:2: [pbx] url: expected an address that starts with https:// or http://, not \"pbx\"",
            "callhook.ini:4: [pbx] client_secret: expected a text, not \"\"",
            "callhook.ini:6: [webhook] url: missing; expected the address that events are sent to",
            "callhook.ini:7: [webhook] timout: unknown key; did you mean \"timeout\"?",
            "callhook.ini:9: [plugin.crm] file: missing; expected the component's .wasm, or use = plain-get, plain-post, template, bitrix24",
        ]
    );
}

#[test]
fn two_exchanges_with_the_same_client_are_refused() {
    let rival = |url: &str, client: &str| {
        format!(
            "{ENDING_IN_PBX}[pbx.second]\nurl = {url}\nclient_id = {client}\n\
             client_secret = ${{env:SECRET}}\n"
        )
    };
    // Written otherwise, the address is the same.
    assert_eq!(
        messages(&rival("https://PBX.example.com:443/", "app")),
        ["callhook.ini:9: [pbx.second] client_id: [pbx] on line 3 is the same client of the same \
         PBX; 3CX keeps one token per client, so each would throw the other out; give each a \
         client of its own",]
    );
    for (url, client) in [("https://pbx.example.com", "app2"), ("https://pbx2.example.com", "app")]
    {
        assert!(Fake::new().parse(&rival(url, client)).is_ok(), "{url} {client}");
    }
}

#[test]
fn credentials_without_systemd_are_explained() {
    let text = ENDING_IN_PBX.replace("env:SECRET", "cred:pbx_secret");
    let errors = Fake::new().parse(&text).unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        ["callhook.ini:6: [pbx] client_secret: ${cred:pbx_secret}: CREDENTIALS_DIRECTORY is not \
         set; let systemd load the credential, for a command with systemd-run --pipe --wait \
         -p LoadCredential=pbx_secret:FILE, or use ${file:...}",]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("callhook.ini");
    let told = |path: &Path| Config::load(path).unwrap_err().first().unwrap().to_string();
    assert_eq!(
        told(&path),
        format!("{}: cannot be read: No such file or directory (os error 2)", path.display())
    );
    std::fs::write(&path, b"[pbx]\nurl = https://pbx\n; \xff\n").unwrap();
    assert_eq!(told(&path), format!("{}:3: not UTF-8; save the file as UTF-8", path.display()));
    assert_eq!(
        told(Path::new("/dev/zero")),
        "/dev/zero: cannot be read: it is larger than 16 MiB, as no settings are"
    );
}
