//! What authors of plugins get: `callhook plugin check`, `try` and `samples`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use callhook_receiver::{Receiver, Webhook};
use promises::{Callhook, PATIENCE, component};
use serde_json::{Value, json};
use tempfile::TempDir;

static HOSTILE: LazyLock<PathBuf> = LazyLock::new(|| component("hostile"));
static EXAMPLE: LazyLock<PathBuf> = LazyLock::new(|| component("example-rust"));

/// How a command ended, and what it said.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

fn plugin(arguments: &[&str]) -> Ended {
    let mut all = vec!["plugin"];
    all.extend(arguments);
    let output = Callhook::command(&all).output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// What `try --json` says.
fn tried(arguments: &[&str]) -> (Option<i32>, Value) {
    let mut all = vec!["try"];
    all.extend(arguments);
    all.push("--json");
    let ended = plugin(&all);
    let value = serde_json::from_str(&ended.out);
    (ended.code, value.unwrap_or_else(|error| panic!("{error}: {}{}", ended.out, ended.err)))
}

fn hostile(what: &str, more: &[&str]) -> (Option<i32>, Value) {
    let (path, set) = (HOSTILE.display().to_string(), format!("do={what}"));
    let mut arguments = vec![path.as_str(), "--sample", "start", "--set", &set];
    arguments.extend(more);
    tried(&arguments)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn write(folder: &TempDir, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("it is written");
    path.display().to_string()
}

// === Events ===

#[test]
fn a_sample_event_becomes_the_request_that_the_service_would_send() {
    let (code, seen) =
        tried(&["plain-get", "--sample", "start", "--url", "https://crm.example/?a=1"]);
    assert_eq!(code, Some(0));
    let event = &seen["events"][0];
    assert_eq!(event["outcome"], "send");
    assert_eq!(
        event["requests"][0]["url"],
        "https://crm.example/?a=1&callerid=420774852629&event=hangupincoming&user=106\
         &did=PragueDID&trtype=NotDef&id=260305091502_665-1"
    );
    assert_eq!(
        (&event["requests"][0]["method"], &event["requests"][0]["body"]),
        (&json!("GET"), &json!(""))
    );
}

#[test]
fn without_events_it_gets_all_samples_in_the_order_of_their_calls() {
    let (code, seen) = tried(&["plain-get"]);
    assert_eq!(code, Some(0));
    let events = seen["events"].as_array().unwrap();
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/events")).unwrap();
    assert_eq!(events.len(), files.count());
    let names: Vec<_> = events.iter().map(|event| event["source"].as_str().unwrap()).collect();
    assert_eq!(names[..5], ["ringing", "start", "hold", "resume", "end"]);
}

#[test]
fn events_keep_the_order_in_which_they_were_typed() {
    let folder = folder();
    let start = plugin(&["samples", "start"]).out;
    let file = write(&folder, "start.json", start);
    let arguments = ["plain-get", "--sample", "end", "--event", &file, "--sample", "ringing"];
    let (_, seen) = tried(&arguments);
    let kinds: Vec<_> = seen["events"].as_array().unwrap().iter().map(|it| &it["event"]).collect();
    assert_eq!(kinds, ["end", "start", "ringing"]);
}

/// A list, lines, and deliveries as `callhook deliveries export` writes them.
#[test]
fn a_file_of_events_or_of_deliveries_will_do() {
    let folder = folder();
    let events: Vec<Value> = ["ringing", "end"]
        .iter()
        .map(|name| serde_json::from_str(&plugin(&["samples", name]).out).unwrap())
        .collect();
    let delivery = |event: &Value| json!({ "id": "x:0", "state": "dead", "event_data": event });
    for text in [
        json!(events).to_string(),
        format!("{}\n{}\n", events[0], events[1]),
        format!("{}\n{}\n", delivery(&events[0]), delivery(&events[1])),
    ] {
        let file = write(&folder, "events.json", &text);
        let (code, seen) = tried(&["plain-get", "--event", &file]);
        assert_eq!(code, Some(0), "{text}");
        let ids: Vec<_> = seen["events"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert_eq!(ids, ["260305091502_665-0", "260305091502_665-1"], "{text}");
    }
}

#[test]
fn a_faulty_event_is_named_by_file_and_field_with_what_was_expected() {
    let folder = folder();
    let end: Value = serde_json::from_str(&plugin(&["samples", "end"]).out).unwrap();
    let broken = |pointer: &str, value: Value| {
        let mut event = end.clone();
        *event.pointer_mut(pointer).unwrap() = value;
        event.to_string()
    };
    let mut without = end.clone();
    without.as_object_mut().unwrap().remove("sequence");
    let mut typo = end.clone();
    typo["user"]["emial"] = json!("alice@example.com");
    for (text, told) in [
        ("{".to_owned(), "this is not JSON: EOF while parsing"),
        (String::new(), "there is no event in it"),
        ("3".to_owned(), "expected an event, a JSON object such as"),
        (without.to_string(), "missing field `sequence`"),
        (
            broken("/sequence", json!("5")),
            "field sequence: invalid type: string \"5\", expected u32",
        ),
        (
            broken("/user/kind", json!("extention")),
            "field user.kind: unknown variant `extention`, expected one of `extension`, `queue`, `other`",
        ),
        (
            broken("/kind/talk_ms", json!("3:24")),
            "field kind.talk_ms: invalid type: string \"3:24\", expected u32",
        ),
        (
            broken("/kind/type", json!("end")),
            "field kind.type: unknown variant `end`, expected one of `ringing`, `started`, `ended`",
        ),
        (
            broken("/arrived_at", json!("yesterday")),
            "field arrived_at: \"yesterday\" is no time such as 2026-03-05T09:15:02.120+01:00",
        ),
        (typo.to_string(), "field user.emial: events have no such field"),
        (
            json!({ "event_data": null }).to_string(),
            "the event of this delivery is not kept any more",
        ),
        (json!([end, 1]).to_string(), "event.json, event 2: expected an event"),
    ] {
        let file = write(&folder, "event.json", &text);
        let ended = plugin(&["try", "plain-get", "--event", &file]);
        assert_eq!(ended.code, Some(2), "{text}");
        assert!(ended.err.starts_with(&format!("error: {file}")), "{}", ended.err);
        assert!(ended.err.contains(told), "{told:?} is not in {}", ended.err);
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    }
    let ended = plugin(&["try", "plain-get", "--event", "/nowhere/x.json"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.starts_with("error: /nowhere/x.json: cannot be opened"), "{}", ended.err);
}

#[test]
fn a_misspelt_sample_is_told_with_the_nearest_name() {
    let ended = plugin(&["try", "plain-get", "--sample", "rining"]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.err, "error: there is no sample event \"rining\"; did you mean ringing?\n");
}

#[test]
fn samples_are_listed_and_printed() {
    let listed = plugin(&["samples"]);
    assert_eq!(listed.code, Some(0));
    assert!(listed.out.contains("\n  end-missed "), "{}", listed.out);
    let one: Value = serde_json::from_str(&plugin(&["samples", "hold"]).out).unwrap();
    assert_eq!(one["kind"]["type"], "hold");
    let call = plugin(&["samples", "outgoing"]).out;
    assert_eq!(serde_json::Deserializer::from_str(&call).into_iter::<Value>().count(), 3);
    assert_eq!(plugin(&["samples", "nothing"]).code, Some(2));
}

// === What a plugin does ===

/// The hash of the standard library is seeded by the host's random numbers, and the plugin looks
/// at the clock.
#[test]
fn clock_and_random_numbers_are_the_same_in_every_run() {
    let without_times = |mut seen: Value| {
        seen["events"][0].as_object_mut().unwrap().remove("took_us").expect("it took some time");
        seen
    };
    let (code, first) = hostile("random", &[]);
    assert_eq!(code, Some(0), "{first}");
    assert_ne!(first["events"][0]["requests"][0]["body"], "");
    let (_, second) = hostile("random", &[]);
    assert_eq!(without_times(first), without_times(second));
}

#[test]
fn a_failure_has_its_kind_what_was_written_and_where_it_was() {
    let (code, seen) = hostile("panic", &[]);
    assert_eq!(code, Some(1));
    let failure = &seen["events"][0]["failure"];
    assert_eq!(
        (&seen["events"][0]["outcome"], &failure["kind"]),
        (&json!("failed"), &json!("trap"))
    );
    assert!(failure["message"].as_str().unwrap().starts_with("plugin \"hostile\" 6.6.6 trapped"));
    assert!(failure["stderr"].as_str().unwrap().contains("the CRM has no field \"phone\""));
    assert!(!failure["backtrace"].as_array().unwrap().is_empty());

    let path = HOSTILE.display().to_string();
    let told = plugin(&["try", &path, "--sample", "start", "--set", "do=panic"]);
    assert_eq!(told.code, Some(1));
    assert!(told.out.contains("failed (trap): plugin \"hostile\" 6.6.6"), "{}", told.out);
    assert!(told.out.contains("the CRM has no field \"phone\""), "{}", told.out);
    assert!(told.out.contains("it was in:\n"), "{}", told.out);
    assert_eq!(told.err, "callhook: the plugin failed once\n");
}

#[test]
fn limits_are_those_of_the_settings_and_are_shown_with_what_was_used() {
    let (code, seen) = hostile("grow", &["--set", "memory=8MiB", "--set", "deadline=60s"]);
    assert_eq!(code, Some(1));
    assert_eq!(seen["limits"], json!({ "deadline_ms": 60_000, "memory_bytes": 8 << 20 }));
    let event = &seen["events"][0];
    assert_eq!(event["failure"]["kind"], "memory");
    let used = event["memory_bytes"].as_u64().unwrap();
    assert!(used > 6 << 20 && used <= 8 << 20, "{used}");
    let (_, seen) = hostile("loop", &["--set", "deadline=20ms"]);
    assert_eq!(seen["events"][0]["failure"]["kind"], "deadline");
}

#[test]
fn logs_and_skips_are_shown_and_secrets_are_not() {
    let (_, seen) = hostile("tell-secret", &["--set", "token=hunter22"]);
    assert!(!seen.to_string().contains("hunter22"), "{seen}");
    let event = &seen["events"][0];
    assert_eq!(event["log"], json!([{ "level": "warn", "message": "the token is ***" }]));
    assert_eq!(event["stderr"], "the token is ***");
    let (code, seen) = hostile("skip", &[]);
    assert_eq!(code, Some(0));
    assert_eq!(seen["events"][0]["reason"], "not mine");
    let (_, seen) = hostile("log", &[]);
    let event = &seen["events"][0];
    assert_eq!((event["log"].as_array().unwrap().len(), &event["log_dropped"]), (100, &json!(100)));
}

#[test]
fn faults_of_settings_are_told_as_by_the_service() {
    let path = HOSTILE.display().to_string();
    for (arguments, told) in [
        (
            &["--set", "do=x", "--set", "tokn=x"][..],
            "it has no setting `tokn`; did you mean `token`?",
        ),
        (&[], "setting `do` is missing: the do"),
        (&["--set", "do=x", "--set", "deadline=soon"], "--set deadline: expected 1ms to 60s"),
        (&["--set", "do=x", "--set", "memory=0"], "--set memory: expected a size as 64MiB"),
        (&["--set", "do=x", "--set", "file=x"], "--set file: name the file as"),
        (&["--set", "do=what?", "--set", "token=hunter22"], "with *** nobody knows what to do"),
        (&["--set", "do=x", "--url", "ftp://crm.example/"], "--url: expected an address such as"),
        (&["--set", "do"], "expected KEY=VALUE"),
    ] {
        let mut all = vec!["try", path.as_str(), "--sample", "start"];
        all.extend(arguments);
        let ended = plugin(&all);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(told), "{told:?} is not in {}", ended.err);
    }
}

#[test]
fn a_request_that_would_be_refused_is_told_with_the_setting_that_would_allow_it() {
    let told = "evil.example, port 443, is not the endpoint's own; allow_hosts = evil.example";
    let (code, seen) = hostile("elsewhere", &[]);
    assert_eq!(code, Some(0), "{seen}");
    let refused = seen["events"][0]["requests"][0]["refused"].as_str().unwrap();
    assert!(refused.contains(told), "{refused}");

    let folder = folder();
    let ini = format!(
        "[webhook]\nurl = https://crm.example.com/\nplugins = nasty\nallow_hosts = *.example\n\
         [plugin.nasty]\nfile = {}\ndo = elsewhere\n",
        HOSTILE.display()
    );
    let ini = write(&folder, "callhook.ini", ini);
    let (_, seen) = tried(&["nasty", "--config", &ini, "--sample", "start"]);
    assert_eq!(seen["events"][0]["requests"][0]["refused"], Value::Null);
}

// === Which plugin ===

#[test]
fn a_name_of_the_ini_comes_with_its_settings_and_endpoint_and_needs_no_pbx() {
    let folder = folder();
    fs::copy(EXAMPLE.as_path(), folder.path().join("example.wasm")).unwrap();
    let ini = write(
        &folder,
        "callhook.ini",
        "[webhook.crm]\nurl = https://crm.example.com/in?key=1\nplugins = mine\n\
         [plugin.mine]\nfile = example.wasm\nsource = Prague office\ndeadline = 3s\n",
    );
    let file = folder.path().join("example.wasm").display().to_string();
    for what in ["mine", &file] {
        let (code, seen) = tried(&[what, "--config", &ini, "--sample", "ringing"]);
        assert_eq!(code, Some(0), "{seen}");
        assert_eq!(seen["plugin"]["name"], "mine");
        assert_eq!(seen["limits"]["deadline_ms"], 3_000);
        let request = &seen["events"][0]["requests"][0];
        assert_eq!(request["url"], "https://crm.example.com/in?key=1");
        let headers = request["headers"].as_array().unwrap();
        assert!(headers.contains(&json!(["x-source", "Prague office"])), "{headers:?}");
    }
    // What is typed goes before.
    let (_, seen) =
        tried(&["mine", "--config", &ini, "--sample", "ringing", "--set", "source=Brno"]);
    let headers = seen["events"][0]["requests"][0]["headers"].as_array().unwrap().clone();
    assert!(headers.contains(&json!(["x-source", "Brno"])), "{headers:?}");
}

#[test]
fn faults_of_the_ini_and_unknown_names_are_told() {
    let folder = folder();
    let ini =
        write(&folder, "callhook.ini", "[webhook]\nurl = https://crm.example.com/\ntimout = 1s\n");
    let ended = plugin(&["try", "plain-get", "--config", &ini]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains(":3: [webhook] timout: unknown key"), "{}", ended.err);
    let ini = write(&folder, "callhook.ini", "[webhook]\nurl = https://crm.example.com/\n");
    let ended = plugin(&["try", "plain-gte", "--config", &ini]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("there is no plugin \"plain-gte\""), "{}", ended.err);
    assert!(ended.err.contains("did you mean plain-get?"), "{}", ended.err);
    let ended = plugin(&["try", "nowhere/x.wasm"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("nowhere/x.wasm): the file cannot be read"), "{}", ended.err);
}

// === curl ===

/// The shell and curl send what callhook would have sent, whatever is in it.
#[tokio::test(flavor = "multi_thread")]
async fn the_curl_command_sends_the_same_request() {
    let receiver = Receiver::start().await.expect("the receiver starts");
    let folder = folder();
    let mut event: Value = serde_json::from_str(&plugin(&["samples", "ringing"]).out).unwrap();
    let nasty = "1'06\"$(touch x)`touch y`\\ & ; \u{10d} @x\n%{z}";
    event["user"]["number"] = json!(nasty);
    let file = write(&folder, "event.json", event.to_string());
    let path = EXAMPLE.display().to_string();
    let url = format!("{}a/../b[1]?q={{x}}&k='1'", receiver.url());
    let source = "source=it's \"$HOME\" `id` \\n";
    let arguments = [path.as_str(), "--event", &file, "--url", &url, "--set", source];

    let (_, seen) = tried(&arguments);
    let request = &seen["events"][0]["requests"][0];
    let mut all = vec!["try"];
    all.extend(arguments);
    all.push("--curl");
    let script = plugin(&all).out;
    let bounded = script.replace("curl ", "curl -sS --max-time 20 ");
    let ran = Command::new("sh").args(["-e", "-c", &bounded]).current_dir(folder.path()).output();
    let ran = ran.expect("sh and curl are there");
    assert!(ran.status.success(), "{script}\n{}", String::from_utf8_lossy(&ran.stderr));

    let one = |arrived: &Vec<Webhook>| !arrived.is_empty();
    let arrived = receiver.wait_until(PATIENCE, one).await.expect("it arrives");
    let webhook = &arrived[0];
    assert_eq!(webhook.method, request["method"].as_str().unwrap());
    let base = receiver.url();
    assert_eq!(
        format!("{}{}", base.trim_end_matches('/'), webhook.target),
        request["url"].as_str().unwrap()
    );
    assert_eq!(String::from_utf8_lossy(&webhook.body), request["body"].as_str().unwrap());
    for header in request["headers"].as_array().unwrap() {
        let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
        assert_eq!(webhook.header(name), value, "{name}");
    }
    assert!(!folder.path().join("x").exists() && !folder.path().join("y").exists());
}

#[test]
fn the_credentials_of_the_endpoint_are_variables_of_the_shell() {
    let folder = folder();
    for (auth, told) in [
        ("auth = bearer\nauth_token = hunter22", "-H 'authorization: Bearer '\"$AUTH_TOKEN\""),
        ("auth = basic\nauth_user = me\nauth_password = hunter22", "-u me:\"$AUTH_PASSWORD\""),
        ("auth = header\nauth_name = x-key\nauth_value = hunter22", "-H 'x-key: '\"$AUTH_VALUE\""),
        ("auth = query\nauth_name = key\nauth_value = hunter22", "-0&key='\"$AUTH_VALUE_ENCODED\""),
    ] {
        let ini = format!("[webhook]\nurl = https://crm.example.com/\n{auth}\n");
        let ini = write(&folder, "callhook.ini", ini);
        let ended =
            plugin(&["try", "plain-get", "--sample", "ringing", "--config", &ini, "--curl"]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(ended.out.contains(told), "{told} is not in {}", ended.out);
        assert!(!ended.out.contains("hunter22"), "{}", ended.out);
    }
}

// === check ===

#[test]
fn check_tells_all_about_a_plugin_and_its_section_can_be_pasted() {
    let path = EXAMPLE.display().to_string();
    let ended = plugin(&["check", &path]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    for told in [
        "world      callhook:plugin/plugin@1.0.0",
        "callhook:plugin/settings@1.0.0",
        "(default: callhook)",
    ] {
        assert!(ended.out.contains(told), "{told:?} is not in {}", ended.out);
    }
    let ended = plugin(&["check", &path, "--json"]);
    let seen: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&seen["usable"], &seen["reads_replies"]), (&json!(true), &json!(false)));
    assert_eq!(seen["settings"][0]["name"], "source");
    assert_eq!(seen["size"], fs::metadata(EXAMPLE.as_path()).unwrap().len());

    // The line that can be filled in works as it stands.
    let folder = folder();
    let section = seen["section"].as_str().unwrap().replace("; source", "source");
    let ini = write(
        &folder,
        "callhook.ini",
        format!("[webhook]\nurl = https://crm.example.com/\nplugins = example-rust\n{section}"),
    );
    let ended = plugin(&["check", "example-rust", "--config", &ini]);
    assert_eq!(ended.code, Some(0), "{section}{}", ended.err);
}

#[test]
fn check_names_the_settings_that_a_plugin_in_the_ini_lacks() {
    let folder = folder();
    let ini = format!("[plugin.nasty]\nfile = {}\ntokn = x\n", HOSTILE.display());
    let ini = write(&folder, "callhook.ini", ini);
    let ended = plugin(&["check", "nasty", "--config", &ini]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("did you mean `token`?"), "{}", ended.err);
    assert!(ended.err.contains("setting `do` is missing"), "{}", ended.err);
    assert!(ended.out.contains("replies    are"), "{}", ended.out);
}

#[test]
fn check_says_what_a_file_is_that_is_no_plugin() {
    let folder = folder();
    for (name, bytes, told) in [
        (
            "module.wasm",
            &b"\0asm\x01\0\0\0"[..],
            "this is a core WebAssembly module, not a component",
        ),
        ("text.wasm", b"hello", "this is not a WebAssembly component"),
        ("empty.wasm", b"", "the file is empty"),
        ("bare.wasm", b"\0asm\x0d\0\x01\0", "it does not export callhook:plugin/transform@1.0.0"),
        ("cut.wasm", b"\0asm\x0d\0\x01\0\x07", "the component is not valid"),
    ] {
        let path = write(&folder, name, bytes);
        let ended = plugin(&["check", &path]);
        assert_eq!(ended.code, Some(2), "{name}");
        assert!(ended.err.contains(told), "{told:?} is not in {}", ended.err);
        let seen: Value = serde_json::from_str(&plugin(&["check", &path, "--json"]).out).unwrap();
        assert_eq!(
            (&seen["usable"], &seen["size"]),
            (&json!(false), &json!(bytes.len())),
            "{name}"
        );
    }
    let ended = plugin(&["check", "nowhere.wasm"]);
    assert_eq!(ended.code, Some(2));
    assert!(Path::new("nowhere.wasm").extension().is_some());
    assert!(ended.err.contains("the file cannot be read"), "{}", ended.err);
}

#[test]
fn check_names_every_import_that_is_refused_and_why() {
    // Written by hand, because no toolchain imports both.
    let text = r#"(component
        (import "wasi:sockets/tcp@0.2.0" (instance))
        (import "wasi:http/types@0.2.0" (instance))
        (import "wasi:cli/environment@0.2.0" (instance)))"#;
    let folder = folder();
    let path = write(&folder, "greedy.wasm", wat::parse_str(text).unwrap());
    let ended = plugin(&["check", &path]);
    assert_eq!(ended.code, Some(2));
    let refused = ended.out.lines().filter(|line| line.ends_with("REFUSED")).count();
    assert_eq!(refused, 2, "{}", ended.out);
    assert!(ended.err.contains("it imports wasi:sockets/tcp@0.2.0, which plugins do not get"));
    assert!(ended.err.contains("build with `--disable all`"), "{}", ended.err);
    assert!(ended.out.contains("empty: there are no variables"), "{}", ended.out);
}

// === Cases ===

#[test]
fn a_case_whose_events_are_missing_is_named() {
    let folder = folder();
    let path = EXAMPLE.display().to_string();
    let cases = folder.path().join("cases");
    for name in ["ringing", "end"] {
        fs::create_dir_all(cases.join(name)).unwrap();
    }
    fs::write(cases.join("ringing/event.json"), plugin(&["samples", "ringing"]).out).unwrap();
    fs::write(cases.join("end/events.json"), plugin(&["samples", "end"]).out).unwrap();
    let ended = plugin(&["test", &path, "--cases", &cases.display().to_string()]);
    assert_eq!(ended.code, Some(2));
    let told = format!("there is no event.json in {}", cases.join("end").display());
    assert!(ended.err.contains(&told), "{}", ended.err);
}

#[test]
fn cases_hold_what_comes_against_what_must_come() {
    let folder = folder();
    let path = EXAMPLE.display().to_string();
    let cases = folder.path().join("cases");
    for name in ["ringing", "end"] {
        fs::create_dir_all(cases.join(name)).unwrap();
        fs::write(cases.join(name).join("event.json"), plugin(&["samples", name]).out).unwrap();
    }
    let cases = cases.display().to_string();
    let arguments = ["test", path.as_str(), "--cases", &cases];

    // Nobody has said yet what must come.
    let ended = plugin(&arguments);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("expect.json: cannot be read"), "{}", ended.err);
    let ended = plugin(&["test", path.as_str(), "--cases", &cases, "--write"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let ended = plugin(&arguments);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "ok      end\nok      ringing\n"));

    // From now on another outcome is a failure.
    let ended = plugin(&["test", path.as_str(), "--cases", &cases, "--set", "source=Brno"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.out.contains("FAILED  end\n"), "{}", ended.out);
    assert!(ended.out.contains("expected \"callhook\", got \"Brno\""), "{}", ended.out);
    assert_eq!(ended.err, "callhook: 2 of 2 cases failed\n");

    // Settings of its own.
    let ini = format!("[plugin.other]\nfile = {path}\nsource = Brno\n");
    fs::write(Path::new(&cases).join("end/config.ini"), ini).unwrap();
    let ended = plugin(&arguments);
    assert_eq!(ended.code, Some(1));
    assert!(ended.out.contains("FAILED  end\n") && ended.out.contains("ok      ringing\n"));

    let nowhere = plugin(&["test", path.as_str(), "--cases", "/nowhere"]);
    assert_eq!(nowhere.code, Some(2));
    assert!(nowhere.err.contains("/nowhere: the folder of cases cannot be read"));
}

// === The demo ===

fn demo(arguments: &[&str]) -> Ended {
    let mut all = vec!["demo", "--pace", "100ms"];
    all.extend(arguments);
    let output = Callhook::command(&all).output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn the_demo_plays_calls_to_a_plugin_and_shows_what_it_sends() {
    let ended = demo(&["--plugin", &EXAMPLE.display().to_string(), "--set", "source=Brno"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("  webhook    POST / (200)\n"), "{}", ended.out);
    assert!(ended.out.contains("\"event\":\"ringing\""), "{}", ended.out);
    let counts = ended.out.lines().last().unwrap();
    assert!(counts.starts_with("3 calls, ") && counts.ends_with(" webhooks delivered"), "{counts}");
    assert!(ended.out.lines().all(|line| line.chars().count() <= 80), "{}", ended.out);
}

#[test]
fn the_demo_says_why_a_plugin_failed() {
    let ended = demo(&["--plugin", &HOSTILE.display().to_string(), "--set", "do=panic"]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(ended.out.contains("given up     "), "{}", ended.out);
    assert!(ended.out.contains("the CRM has no field"), "{}", ended.out);
}

#[test]
fn the_demo_does_not_begin_with_a_plugin_that_cannot_be_used() {
    let folder = folder();
    let broken = write(&folder, "broken.wasm", "no component");
    let hostile = HOSTILE.display().to_string();
    for (arguments, told) in [
        (&["--plugin", "nowhere.wasm"][..], "nowhere.wasm"),
        (&["--plugin", &broken], "this is not a WebAssembly component"),
        (&["--plugin", &hostile], "setting `do` is missing"),
        (&["--plugin", &hostile, "--set", "do=skip", "--set", "tokn=x"], "did you mean `token`?"),
        (&["--plugin", "nothing"], "there is no plugin \"nothing\""),
    ] {
        let ended = demo(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.err);
        assert_eq!(ended.out, "", "{arguments:?}");
        assert!(ended.err.starts_with("error: ") && ended.err.contains(told), "{}", ended.err);
    }
}

// === Replies ===

static REPLYING: LazyLock<PathBuf> = LazyLock::new(|| component("replying"));

fn replying(arguments: &[&str]) -> (Option<i32>, Value) {
    let path = REPLYING.display().to_string();
    let mut all = vec![path.as_str()];
    all.extend(arguments);
    tried(&all)
}

#[test]
fn a_reply_shows_the_judgement_the_follow_ups_and_what_is_kept() {
    let folder = folder();
    let body = "keep call 77\nfollow more";
    let done = write(&folder, "done.json", json!({ "status": 200, "body": body }).to_string());
    let wait = json!({ "status": 200, "body": "retry 5000 too many" }).to_string();
    let wait = write(&folder, "wait.json", wait);
    let arguments =
        ["--sample", "ringing", "--reply", &wait, "--reply", &done, "--sample", "start"];
    let (code, seen) = replying(&arguments);
    assert_eq!(code, Some(0), "{seen}");
    let ringing = &seen["events"][0];
    let [first, second] = ringing["replies"].as_array().unwrap().as_slice() else {
        panic!("{ringing}")
    };
    assert_eq!((&first["outcome"], &first["after_ms"]), (&json!("retry"), &json!(5_000)));
    assert_eq!(first["reason"], "too many");
    // The same request comes again, as the second attempt.
    assert_eq!((&first["attempt"], &second["attempt"]), (&json!(1), &json!(2)));
    assert_eq!(first["to"]["url"], second["to"]["url"]);
    assert_eq!(second["outcome"], "done");
    assert_eq!(second["requests"][0]["url"], "https://crm.example.com/callsmore");
    assert_eq!(second["kept"]["call"], "77");
    // The next event of the call finds it.
    let url = seen["events"][1]["requests"][0]["url"].as_str().unwrap();
    assert!(url.ends_with("before=1&call=77"), "{url}");

    let path = REPLYING.display().to_string();
    let told = plugin(&["try", &path, "--sample", "ringing", "--reply", &wait, "--reply", &done]);
    for part in ["again after 5s: too many", "\ndone\n", "POST https://", "keeps call = 77"] {
        assert!(told.out.contains(part), "{part:?} is not in {}", told.out);
    }
}

/// What follows from a reply is answered before what waited already.
#[test]
fn replies_go_to_requests_in_the_order_in_which_they_are_sent() {
    let folder = folder();
    let steps = json!([
        serde_json::from_str::<Value>(&plugin(&["samples", "ringing"]).out).unwrap(),
        serde_json::from_str::<Value>(&plugin(&["samples", "start"]).out).unwrap(),
        { "status": 200, "body": "follow one\nfollow two" },
        { "status": 200 }, { "status": 500, "body": "give-up no" }, { "status": 200 },
    ]);
    let file = write(&folder, "steps.json", steps.to_string());
    let (code, seen) = replying(&["--event", &file]);
    assert_eq!(code, Some(0), "{seen}");
    let replies = seen["events"][1]["replies"].as_array().unwrap();
    let to: Vec<_> = replies.iter().map(|it| it["to"]["url"].as_str().unwrap()).collect();
    let path =
        |url: &str| url.split(['?']).next().unwrap().rsplit("calls").next().unwrap().to_owned();
    let to: Vec<_> = to.into_iter().map(path).collect();
    assert_eq!(to, ["ringing", "one", "two", "started"]);
    assert_eq!((&replies[2]["outcome"], &replies[2]["reason"]), (&json!("give-up"), &json!("no")));
}

#[test]
fn replies_that_cannot_be_are_refused() {
    let folder = folder();
    let ok = write(&folder, "ok.json", r#"{"status":200}"#);
    let shut = write(&folder, "shut.json", r#"{"status":401}"#);
    let path = REPLYING.display().to_string();
    for (arguments, told) in [
        (
            vec!["plain-get", "--sample", "start", "--reply", &ok],
            "this plugin does not read replies",
        ),
        (vec![&path, "--reply", &ok], "made no request that this could be a reply to"),
        (vec![&path, "--sample", "start", "--reply", &ok, "--reply", &ok], "made no request"),
        (
            vec![&path, "--sample", "start", "--reply", &shut],
            "does not ask plugins about the status 401",
        ),
    ] {
        let mut all = vec!["try"];
        all.extend(&arguments);
        let ended = plugin(&all);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(told), "{told:?} is not in {}", ended.err);
    }
}
