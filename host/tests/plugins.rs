//! What the host promises about plugins, proved with real components: the shipped `plain-get`, a
//! fixture that misbehaves on request, and components in text form for what a compiler would
//! not produce.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets something else than it expects has failed"
)]

mod support;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use callhook::event::{CallEvent, EventKind};
use callhook::plugins::{
    DEFAULT_DEADLINE, Exchange, FailureKind, LoadErrorKind, Memory, Outcome, Plugin, PluginFailure,
    PluginSpec, embedded_names,
};
use callhook::reply::Reply;
use callhook::request::Request;
use support::{
    RUNTIME, directory, evil, hostile, hostile_spec, hostile_within, plain_get, ringing, started,
    told,
};

fn draft() -> Request {
    Request::draft("https://webhook.site/")
}

fn sent(plugin: &Plugin, event: &CallEvent, draft: &Request) -> Vec<Request> {
    match plugin.transform(event, draft) {
        Ok(Outcome::Send(requests)) => requests,
        other => panic!("expected requests, got {other:?}"),
    }
}

/// Makes the plugin fail, and proves that the event after that passes.
fn failure(plugin: &Plugin) -> PluginFailure {
    let failure = plugin.transform(&evil(), &draft()).expect_err("the call fails");
    assert_eq!(sent(plugin, &ringing(), &draft()), [draft()], "after {failure}");
    assert!(!failure.to_string().contains('\n'), "{failure}");
    failure
}

// === plain-get ===

#[test]
fn plain_get_sends_what_the_original_sent_byte_for_byte() {
    let plugin = plain_get();
    let urls: Vec<_> = [ringing(), started()]
        .iter()
        .flat_map(|event| sent(&plugin, event, &draft()))
        .map(|request| (request.method, request.url))
        .collect();
    assert_eq!(
        urls,
        [
            (
                "GET".to_owned(),
                "https://webhook.site/?event=ringing&callerid=420774852629&user=106\
                 &usertype=other&did=PragueDID&id=211230100614_665-0"
                    .to_owned()
            ),
            (
                "GET".to_owned(),
                "https://webhook.site/?callerid=420774852629&event=hangupincoming&user=106\
                 &did=PragueDID&trtype=NotDef&id=220106205945_755-1"
                    .to_owned()
            ),
        ]
    );
}

#[test]
fn plain_get_speaks_the_dialect_of_the_endpoint_that_the_draft_is_for() {
    let plugin = plain_get();
    let transform = |hints: &[(&str, &str)]| {
        plugin.transform_with(hints, &started(), &draft(), &mut Memory::default())
    };
    let url = |hints: &[(&str, &str)]| match transform(hints) {
        Ok(Outcome::Send(requests)) => requests.first().unwrap().url.clone(),
        other => panic!("expected requests, got {other:?}"),
    };
    let classic = url(&[]);
    let pickup = classic.replace("hangupincoming", "pickupincoming")
        + "&chid=220106205945_755&inbound_did=420226201001";
    assert_eq!(url(&[("endpoint", "later"), ("dialect", "pickup")]), pickup);
    assert_eq!(url(&[("endpoint", "webhook"), ("dialect", "classic")]), classic);
}

#[test]
fn plain_get_keeps_the_rest_of_the_draft() {
    let draft = Request {
        method: "POST".into(),
        url: "https://crm.example/hook?key=a%20b#here".into(),
        headers: vec![("X-Shop".into(), "7".into())],
        body: vec![0, 255],
        tag: Some("tag".into()),
        state: vec![1],
        delay_ms: 9,
        lasting: Some(true),
    };
    let event = CallEvent { caller_id: "Žofie +420".into(), kind: EventKind::Hold, ..ringing() };
    let url = "https://crm.example/hook?key=a%20b&event=hold&callerid=%C5%BDofie%20%2B420\
               &user=106&id=211230100614_665-0";
    let expected = Request { url: url.into(), ..draft.clone() };
    assert_eq!(sent(&plain_get(), &event, &draft), [expected]);
}

#[test]
fn plain_get_needs_nothing_of_the_host_but_what_rusts_runtime_imports() {
    let plugin = plain_get();
    assert_eq!((plugin.name(), plugin.version()), ("plain-get", env!("CARGO_PKG_VERSION")));
    assert_eq!(plugin.summary(), "One GET per event, with the event's data as parameters");
    assert!(plugin.settings().is_empty() && embedded_names().any(|name| name == "plain-get"));
    let imports = &plugin.description().imports;
    let own: Vec<_> = imports.iter().filter(|name| name.starts_with("callhook:")).collect();
    assert_eq!(own, ["callhook:plugin/types@1.0.0"]);
}

#[test]
fn the_settings_know_the_plugins_that_are_embedded() {
    let names: Vec<_> = embedded_names().collect();
    assert_eq!(names, callhook::config::EMBEDDED_PLUGINS);
    for name in names {
        let description = RUNTIME.inspect(&PluginSpec::embedded(name)).unwrap();
        assert_eq!(description.name, name);
    }
}

// === What stops a plugin ===

#[test]
fn a_loop_is_stopped_by_the_deadline() {
    let failure = failure(&hostile_within("loop", DEFAULT_DEADLINE));
    assert_eq!(failure.kind, FailureKind::Deadline { limit: Duration::from_millis(250) });
    assert_eq!(
        failure.to_string(),
        "plugin \"nasty\" 6.6.6 was stopped after its deadline of 250ms; if the work is worth \
         more, raise `deadline` in [plugin.nasty]"
    );
    assert!(!failure.backtrace.is_empty());
}

#[test]
fn a_plugin_that_sleeps_in_the_host_is_stopped_by_the_deadline() {
    assert_eq!(failure(&hostile_within("sleep", DEFAULT_DEADLINE)).kind.name(), "deadline");
}

#[test]
fn memory_beyond_the_limit_is_refused_and_told_as_such() {
    let failure = failure(&hostile("grow"));
    let FailureKind::Memory { limit, wanted } = failure.kind else { panic!("{failure}") };
    assert!(limit == 64 << 20 && wanted > limit, "{failure}");
    assert_eq!(
        failure.to_string(),
        format!(
            "plugin \"nasty\" 6.6.6 wanted {} KiB of memory, more than its 65536 KiB; if it needs \
             them, raise `memory` in [plugin.nasty] (to at most 128 MiB)",
            wanted >> 10
        )
    );
    let mut spec = hostile_spec("skip");
    spec.memory = 1 << 16;
    let error = RUNTIME.load(&spec, &directory()).unwrap_err();
    assert!(error.to_string().contains(" KiB of memory, more than its 64 KiB; if it"), "{error}");
}

#[test]
fn a_recursion_without_end_is_stopped() {
    let failure = failure(&hostile("recurse"));
    assert_eq!(failure.kind, FailureKind::Stack);
    assert_eq!(
        failure.to_string(),
        "plugin \"nasty\" 6.6.6 exhausted its call stack of 512 KiB; look for a recursion without end"
    );
    assert!(!failure.backtrace.is_empty());
}

#[test]
fn a_panic_is_a_trap_with_the_plugins_own_words() {
    let failure = failure(&hostile("panic"));
    assert_eq!(failure.kind, FailureKind::Trap);
    assert!(failure.stderr.contains("the CRM has no field \"phone\""), "{}", failure.stderr);
    let (_, message) = told(&failure);
    assert!(message.starts_with("trapped: wasm `unreachable` instruction executed; it wrote: "));
    assert!(message.contains("the CRM has no field \"phone\""), "{message}");
    assert!(failure.backtrace.len() > 1, "{:?}", failure.backtrace);
}

#[test]
fn an_exit_is_a_trap() {
    let failure = failure(&hostile("exit"));
    assert_eq!(told(&failure), ("trap", "called exit(1) instead of returning"));
}

#[test]
fn of_endless_output_the_beginning_is_kept() {
    let failure = failure(&hostile("stderr"));
    assert_eq!(failure.kind, FailureKind::Trap);
    assert!(failure.stderr.starts_with("line 0 of far too many\nline 1 "));
    assert!(failure.stderr.len() > 60_000 && failure.stderr.len() <= 64 << 10);
    assert!(failure.message.len() < 2_000);
}

#[test]
fn what_a_plugin_keeps_goes_from_one_call_to_the_next_unless_the_call_fails() {
    let call = |what: &str, memory: &mut Memory| {
        hostile(what).transform_with(&[], &evil(), &draft(), memory)
    };
    let mut memory = Memory::default();
    for expected in ["x", "xx"] {
        call("remember", &mut memory).unwrap();
        assert_eq!(memory.get("seen"), Some(expected.as_bytes()));
    }
    let before = memory.clone();
    call("remember-and-panic", &mut memory).unwrap_err();
    assert_eq!(memory, before);
    assert!(hostile("remember").remembers() && !plain_get().remembers());
}

#[test]
fn a_plugin_that_wants_to_keep_too_much_is_told_the_limit() {
    for (what, message) in [
        ("keep-keys", "wanted more than the 64 keys that `memory` has; remove what is no longer"),
        ("keep-long", "used a key of 257 bytes in `memory`, where 256 are allowed"),
        ("keep-much", "wanted to keep 65539 bytes in `memory`, where 65536 are allowed"),
    ] {
        let failure = failure(&hostile(what));
        let (kind, told) = told(&failure);
        assert_eq!(kind, "kept-too-much");
        assert!(told.starts_with(message), "{told}");
    }
}

#[test]
fn a_plugin_that_traps_on_a_reply_fails_as_it_does_on_an_event() {
    let exchange = Exchange { request: draft(), attempt: 1, reply: Reply::default() };
    let plugin = hostile("skip");
    assert!(plugin.replies() && !plain_get().replies());
    let mut memory = Memory::default();
    let failure = plugin.on_reply(&[], &evil(), &exchange, &mut memory).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Trap);
    assert!(failure.to_string().contains("it does not want to know"), "{failure}");
    let failure = plain_get().on_reply(&[], &evil(), &exchange, &mut memory).unwrap_err();
    assert!(failure.to_string().ends_with("it does not export `reply`"), "{failure}");
}

// === What a plugin returns ===

#[test]
fn nonsense_is_refused_and_named() {
    for (what, kind, message) in [
        ("huge", "output-too-large", "handed over more than 4 MiB at once"),
        ("many", "too-many-requests", "returned 65 requests, more than the 64 allowed"),
        ("bad-method", "bad-method", "request 1: method \"GET /\" is not a token"),
        ("bad-url", "bad-url", "request 1: its URL cannot be used (relative URL without a base)"),
        ("bad-header", "bad-header", "request 1: header \"Host\" is the host's own"),
        ("split-header", "bad-header", "request 1: the value of header \"X-A\" has characters"),
        ("bad-mapping", "bad-mapping", "cannot map this event: no user 106 in the CRM"),
        ("other", "other", "failed: xxxx"),
    ] {
        let failure = failure(&hostile(what));
        assert_eq!(failure.kind.name(), kind, "{failure}");
        assert!(failure.message.starts_with(message), "{failure}");
        assert!(failure.message.len() < 1_200, "{}", failure.message.len());
    }
}

#[test]
fn what_is_large_but_allowed_passes_and_skipping_has_a_reason() {
    let requests = sent(&hostile("large"), &evil(), &draft());
    assert_eq!(requests.first().map(|request| request.body.len()), Some(3 << 20));
    let skip = |what| hostile(what).transform(&evil(), &draft());
    assert_eq!(skip("skip"), Ok(Outcome::Skip("not mine".into())));
    assert_eq!(skip("nothing"), Ok(Outcome::Skip("the plugin returned no requests".into())));
    assert_eq!(sent(&hostile("log"), &evil(), &draft()), [draft()]);
}

#[test]
fn secrets_do_not_appear_in_failures() {
    let mut spec = hostile_spec("tell-secret");
    spec.settings.push(("token".into(), "s3cr3t!".into()));
    let plugin = RUNTIME.load(&spec, &directory()).unwrap();
    let failure = plugin.transform(&ringing(), &draft()).unwrap_err();
    assert_eq!(
        told(&failure),
        ("bad-settings", "finds its settings wrong: the token *** is wrong really")
    );
    assert_eq!(failure.stderr, "the token is ***");
}

// === What a plugin gets ===

#[test]
fn what_the_ini_took_from_elsewhere_does_not_appear_in_failures() {
    let mut spec = PluginSpec::embedded("template");
    spec.settings.push(("body".into(), "{{ s3cr3t_of_mine }}".into()));
    spec.secrets.push("s3cr3t_of_mine".into());
    let error = RUNTIME.load(&spec, &directory()).expect_err("it is no variable").to_string();
    assert!(error.contains("there is no `***`") && !error.contains("s3cr3t"), "{error}");
}

#[test]
fn a_plugin_reads_its_settings_and_the_directory() {
    let mut spec = hostile_spec("imports");
    spec.settings.push(("token".into(), "abcd".into()));
    let plugin = RUNTIME.load(&spec, &directory()).unwrap();
    let requests = sent(&plugin, &ringing(), &draft());
    let body = requests.first().map(|request| String::from_utf8_lossy(&request.body).into_owned());
    assert_eq!(
        body.as_deref(),
        Some("do=imports,token=abcd,when=always | Jana crm_id=77 | Some(\"107\") true")
    );
}

#[test]
fn a_plugin_has_a_clock_and_random_numbers_but_no_files_and_no_environment() {
    let plugin = hostile("random");
    let first = sent(&plugin, &evil(), &draft());
    assert_ne!(first, sent(&plugin, &evil(), &draft()));
}

#[test]
fn plugins_can_be_called_where_asynchronous_tasks_run_and_from_many_threads() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let plugin = hostile("panic");
    runtime.block_on(async {
        assert_eq!(failure(&plugin).kind, FailureKind::Trap);
    });
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(sent(&plugin, &ringing(), &draft()), [draft()]);
                }
            });
        }
    });
}

// === Loading ===

/// The error of loading these bytes as a file.
fn load_error(bytes: &[u8]) -> String {
    let mut file = tempfile::Builder::new().suffix(".wasm").tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let spec = PluginSpec::file("crm", file.path());
    let error = RUNTIME.load(&spec, &Arc::default()).unwrap_err().to_string();
    let prefix = format!("plugin \"crm\" ({}): ", file.path().display());
    error.strip_prefix(&prefix).unwrap_or_else(|| panic!("{error}")).to_owned()
}

fn load_error_of_text(text: &str) -> String {
    load_error(&wat::parse_str(text).unwrap())
}

#[test]
fn what_is_not_a_component_is_told_by_what_it_is() {
    assert_eq!(load_error(b""), "the file is empty");
    for text in ["(module)", ";; A plugin.\n\n  (component $x)"] {
        assert_eq!(
            load_error(text.as_bytes()),
            "this is WebAssembly in text form; run `wasm-tools parse` on it to make a component"
        );
    }
    assert_eq!(load_error(b"#!/bin/sh\n"), "this is not a WebAssembly component");
    assert!(load_error(b"\0asm\x0d\0\x01\0garbage").starts_with("the component is not valid: "));
    assert_eq!(
        load_error_of_text("(module)"),
        "this is a core WebAssembly module, not a component; build it for a component target \
         (Rust: --target wasm32-wasip2) or run `wasm-tools component new` on it"
    );
    // Even machine code of this very engine is refused.
    let component = wat::parse_str("(component)").unwrap();
    let engine = wasmtime::Engine::default();
    let code = engine.precompile_component(&component).unwrap();
    assert!(load_error(&code).starts_with("this is machine code made by an engine (.cwasm)"));
}

#[test]
fn missing_files_and_names_are_told() {
    let spec = PluginSpec::file("crm", "/nonexistent/crm.wasm");
    let error = RUNTIME.load(&spec, &Arc::default()).unwrap_err();
    assert!(
        error.to_string().starts_with(
            "plugin \"crm\" (/nonexistent/crm.wasm): the file cannot be read: No such file"
        ),
        "{error}"
    );
    let error = RUNTIME.load(&PluginSpec::embedded("plain-gte"), &Arc::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "plugin \"plain-gte\" (embedded): no plugin of this name is built in (there are: \
         plain-get, plain-post, template, bitrix24); to use a file, add a [plugin.NAME] section with `file`"
    );
}

#[test]
fn imports_that_plugins_do_not_get_are_named() {
    let error =
        load_error_of_text(r#"(component (import "wasi:http/outgoing-handler@0.2.6" (instance)))"#);
    assert_eq!(
        error,
        "it imports wasi:http/outgoing-handler@0.2.6, which plugins do not get: plugins do no \
         I/O; they return requests and the host sends them (JavaScript on StarlingMonkey: build \
         with `--disable all`)"
    );
    for import in ["wasi:sockets/tcp@0.2.0", "wasi:cli/stdin@0.3.0", "acme:x/y", "env"] {
        let error = load_error_of_text(&format!(r#"(component (import "{import}" (instance)))"#));
        assert!(error.starts_with(&format!("it imports {import}, which")), "{error}");
    }
}

#[test]
fn a_component_for_another_version_is_told_from_one_that_is_no_plugin() {
    assert_eq!(
        load_error_of_text("(component)"),
        "it does not export callhook:plugin/about@1.0.0; a plugin implements the world `plugin` \
         or `plugin-with-replies` of callhook:plugin"
    );
    let about = r#"(instance $i) (export "callhook:plugin/about@1.0.0" (instance $i))"#;
    let error = load_error_of_text(&format!("(component {about})"));
    assert!(error.starts_with("it does not export callhook:plugin/transform@1.0.0"), "{error}");

    let error = load_error_of_text(
        r#"(component (instance $i) (export "callhook:plugin/about@2.0.0" (instance $i)))"#,
    );
    assert_eq!(
        error,
        "it was built for callhook:plugin/about@2.0.0, but this callhook serves callhook:plugin \
         1.0; build it with the WIT of this version, or update callhook"
    );
    let import = "callhook:plugin/settings@2.0.0";
    let error = load_error_of_text(&format!(r#"(component (import "{import}" (instance)))"#));
    assert!(error.starts_with(&format!("it was built for {import}, but")), "{error}");
    // The right names with the wrong contents.
    let transform = r#"(export "callhook:plugin/transform@1.0.0" (instance $i))"#;
    let error = load_error_of_text(&format!("(component {about} {transform})"));
    assert!(error.starts_with("it does not fit the WIT of this version: "), "{error}");
    let error = load_error_of_text(&format!(
        r#"(component (import "callhook:plugin/log@1.0.0" (instance (export "shout" (func))))
           {about} {transform})"#
    ));
    assert!(error.starts_with("it does not fit the WIT of this version: "), "{error}");
}

/// The export names that make a component look like a plugin.
const LIKE_A_PLUGIN: &str = r#"(instance $i)
    (export "callhook:plugin/about@1.0.0" (instance $i))
    (export "callhook:plugin/transform@1.0.0" (instance $i))"#;

#[test]
fn a_plugin_for_a_newer_callhook_says_so() {
    for (import, contents) in [
        ("callhook:plugin/crystal-ball@1.4.0", ""),
        // Known, with a function that came later.
        ("callhook:plugin/log@1.1.0", r#"(export "shout" (func))"#),
    ] {
        let error = load_error_of_text(&format!(
            r#"(component (import "{import}" (instance {contents})) {LIKE_A_PLUGIN})"#
        ));
        assert_eq!(
            error,
            format!(
                "it needs {import}, and this callhook serves callhook:plugin 1.0: it needs a newer \
                 callhook"
            )
        );
    }
}

#[test]
fn settings_are_checked_by_the_host_and_then_by_the_plugin() {
    let problems = |spec: &PluginSpec| match RUNTIME.load(spec, &directory()).unwrap_err().kind {
        LoadErrorKind::Settings(problems) => {
            problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
        }
        other => panic!("{other}"),
    };
    let mut spec = PluginSpec::file("nasty", support::HOSTILE.as_path());
    spec.settings.push(("tokn".into(), "x".into()));
    assert_eq!(
        problems(&spec),
        ["it has no setting `tokn`; did you mean `token`?", "setting `do` is missing: the do"]
    );
    let mut spec = hostile_spec("what?");
    spec.settings.push(("token".into(), "s3cr3t!".into()));
    assert_eq!(problems(&spec), ["setting `do`: with *** nobody knows what to do"]);
}

#[test]
fn a_plugin_that_fails_while_it_is_loaded_says_so() {
    for (what, message) in [
        ("panic-in-check", "checking is too much"),
        ("loop-in-check", "was stopped after its deadline of 2s"),
    ] {
        let error = RUNTIME.load(&hostile_spec(what), &directory()).unwrap_err().to_string();
        assert!(error.contains("it failed while being loaded: plugin \"nasty\" 6.6.6"), "{error}");
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_plugin_can_be_inspected_without_settings() {
    let description = RUNTIME.inspect(&PluginSpec::file("x", support::HOSTILE.as_path())).unwrap();
    assert_eq!((description.name.as_str(), description.version.as_str()), ("hostile", "6.6.6"));
    let names: Vec<_> = description.settings.iter().map(|doc| doc.name.as_str()).collect();
    assert_eq!(names, ["do", "when", "token"]);
    assert!(description.replies);
    assert!(description.imports.contains(&"callhook:plugin/memory@1.0.0".to_owned()));
}

#[test]
fn more_memory_than_can_be_granted_is_refused() {
    let mut spec = PluginSpec::embedded("plain-get");
    spec.memory = 200 << 20;
    let error = RUNTIME.load(&spec, &Arc::default()).unwrap_err().to_string();
    assert!(error.ends_with("`memory` is 200 MiB, but at most 128 MiB can be granted"), "{error}");
}
