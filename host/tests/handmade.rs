//! Components in the text format that do what no compiler would: each is stopped by the limit that
//! is there for it, is told from the others, and leaves the next call as it was.

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

use callhook::plugins::{LoadError, Outcome, Plugin, PluginFailure, PluginSpec};
use callhook::request::Request;
use promises::Handmade;
use support::{RUNTIME, plain_get, ringing};

const FOREVER: &str = "(loop $again (br $again))";

fn load_within(plugin: &Handmade, deadline: Duration) -> Result<Plugin, LoadError> {
    let mut file = tempfile::Builder::new().suffix(".wasm").tempfile().unwrap();
    file.write_all(&plugin.component()).unwrap();
    let mut spec = PluginSpec::file("evil", file.path());
    spec.deadline = deadline;
    RUNTIME.load(&spec, &Arc::default())
}

/// With time enough for what is not about time, however busy the machine is.
fn load(plugin: &Handmade) -> Result<Plugin, LoadError> {
    load_within(plugin, Duration::from_mins(1))
}

fn transform(plugin: &Plugin) -> Result<Outcome, PluginFailure> {
    plugin.transform(&ringing(), &Request::draft("https://crm.example/"))
}

/// How the call for an event fails; another plugin works after it.
fn failure(plugin: &Handmade) -> (&'static str, String) {
    failure_within(plugin, Duration::from_mins(1))
}

fn failure_within(plugin: &Handmade, deadline: Duration) -> (&'static str, String) {
    let failure = transform(&load_within(plugin, deadline).expect("it loads")).unwrap_err();
    assert_eq!((&*failure.plugin, &*failure.version), ("evil", "1.2.3"));
    assert!(matches!(transform(&plain_get()), Ok(Outcome::Send(_))), "after {failure}");
    (failure.kind.name(), failure.message)
}

/// Why it does not load.
fn refusal(plugin: &Handmade) -> String {
    let error = load(plugin).expect_err("it does not load").to_string();
    let (_, why) = error.split_once(".wasm): ").expect("it names the file");
    assert!(matches!(transform(&plain_get()), Ok(Outcome::Send(_))), "after {why}");
    why.to_owned()
}

fn within(transform: &str) -> Handmade {
    Handmade { transform: transform.to_owned(), ..Handmade::default() }
}

#[test]
fn one_that_does_nothing_is_a_plugin() {
    let plugin = load(&Handmade::default()).unwrap();
    assert_eq!((plugin.version(), plugin.description().name.as_str()), ("1.2.3", "handmade"));
    assert_eq!(transform(&plugin), Ok(Outcome::Skip(String::new())));
}

// === Time ===

#[test]
fn a_loop_ends_at_the_deadline_wherever_it_is() {
    let told = "was stopped after its deadline of 50ms; if the work is worth more, raise \
                `deadline` in [plugin.evil]";
    let looping = |how: Handmade| failure_within(&how, Duration::from_millis(50));
    assert_eq!(looping(within(FOREVER)), ("deadline", told.to_owned()));
    let post_return = Handmade { post_return: FOREVER.to_owned(), ..Handmade::default() };
    assert_eq!(looping(post_return), ("deadline", told.to_owned()));
}

#[test]
fn a_loop_before_the_first_event_keeps_it_from_loading() {
    let told = "was stopped after its deadline of 2s";
    for plugin in [
        Handmade { start: FOREVER.to_owned(), ..Handmade::default() },
        Handmade { describe: FOREVER.to_owned(), ..Handmade::default() },
    ] {
        let mut file = tempfile::Builder::new().suffix(".wasm").tempfile().unwrap();
        file.write_all(&plugin.component()).unwrap();
        let spec = PluginSpec::file("evil", file.path());
        let error = RUNTIME.load(&spec, &Arc::default()).unwrap_err().to_string();
        assert!(error.contains("it failed while being loaded: plugin \"evil\" was"), "{error}");
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_loop_of_calls_to_the_host_ends_at_the_deadline() {
    let calls =
        within("(loop $again (call $log (i32.const 1) (i32.const 256) (i32.const 8)) (br $again))");
    assert_eq!(failure_within(&calls, Duration::from_millis(50)).0, "deadline");
}

// === Memory, tables, stack ===

#[test]
fn memory_grows_up_to_the_limit() {
    let grow = "(loop $again
        (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
    let told = "wanted 66560 KiB of memory, more than its 65536 KiB; if it needs them, raise \
                `memory` in [plugin.evil] (to at most 128 MiB)";
    assert_eq!(failure(&Handmade { memory: "16".to_owned(), ..within(grow) }).0, "memory");
    let (_, message) = failure(&Handmade { memory: "16".to_owned(), ..within(grow) });
    assert_eq!(message, told);
    // Who asks for too much and goes on without it has done nothing wrong.
    let polite = within("(drop (memory.grow (i32.const 60000)))");
    assert_eq!(transform(&load(&polite).unwrap()), Ok(Outcome::Skip(String::new())));
}

#[test]
fn a_component_that_begins_with_too_much_does_not_load() {
    let memory = Handmade { memory: "1500".to_owned(), ..Handmade::default() };
    let told = refusal(&memory);
    assert!(told.contains("wanted 96000 KiB of memory, more than its 65536 KiB"), "{told}");
    let memory = Handmade { memory: "40000".to_owned(), ..Handmade::default() };
    let told = refusal(&memory);
    let limits = "more than a plugin can have, which is 128 MiB of memory and tables of 100000 \
                  elements";
    assert!(told.contains(limits) || told.contains("wanted 2560000 KiB of memory"), "{told}");
    let table = Handmade { more: "(table 2000000 funcref)".to_owned(), ..Handmade::default() };
    let told = refusal(&table);
    assert!(told.contains(limits) || told.contains("wanted a table of 2000000"), "{told}");
}

#[test]
fn tables_grow_up_to_the_limit() {
    let grow = "(loop $again (br_if $again (i32.ne (table.grow $t (ref.null func)
        (i32.const 10000)) (i32.const -1)))) (unreachable)";
    let bomb = Handmade { more: "(table $t 1 funcref)".to_owned(), ..within(grow) };
    let told = "wanted a table of 100001 elements, more than the 100000 that there can be; look \
                for functions or references that are added without end";
    assert_eq!(failure(&bomb), ("table", told.to_owned()));
}

#[test]
fn a_recursion_exhausts_its_own_stack_only() {
    let recursion = Handmade {
        more: "(func $down (param i64) (result i64)
            (i64.add (call $down (i64.add (local.get 0) (i64.const 1))) (local.get 0)))"
            .to_owned(),
        ..within("(drop (call $down (i64.const 0)))")
    };
    let told = "exhausted its call stack of 512 KiB; look for a recursion without end";
    assert_eq!(failure(&recursion), ("stack", told.to_owned()));
    let at_start = Handmade {
        start: "(drop (call $down (i64.const 0)))".to_owned(),
        transform: String::new(),
        ..recursion
    };
    assert!(refusal(&at_start).ends_with(&format!("plugin \"evil\" {told}")));
}

/// While the host hands something over, the plugin's code for getting memory runs. It may not call
/// the host from there, or both could call each other without end.
#[test]
fn a_recursion_through_the_host_is_stopped() {
    for call in [
        "(call $memory-get (i32.const 256) (i32.const 8) (i32.const 512))",
        "(call $memory-set (i32.const 256) (i32.const 8) (i32.const 256) (i32.const 8))",
        "(call $settings-all (i32.const 512))",
        "(call $directory-find (i32.const 256) (i32.const 8) (i32.const 512))",
    ] {
        let recursion = Handmade { realloc: call.to_owned(), ..Handmade::default() };
        let (kind, message) = failure(&recursion);
        assert_eq!(kind, "trap", "{message}");
        assert!(message.starts_with("trapped: cannot leave component instance"), "{message}");
    }
}

// === What it hands over ===

#[test]
fn giant_strings_are_refused_before_they_are_copied() {
    let told = "handed over more than 4 MiB at once, in a result or as arguments of an import; \
                send less data, or in several requests";
    // A reason of 50 MiB for skipping.
    let result = Handmade {
        memory: "1000".to_owned(),
        ..within(
            "(i32.store (i32.const 72) (i32.const 1024)) (i32.store (i32.const 76) (i32.const 52428800))",
        )
    };
    assert_eq!(failure(&result), ("output-too-large", told.to_owned()));
    // A line of 50 MiB for the log.
    let line = Handmade {
        memory: "1000".to_owned(),
        ..within("(call $log (i32.const 1) (i32.const 1024) (i32.const 52428800))")
    };
    assert_eq!(failure(&line), ("output-too-large", told.to_owned()));
    // A million requests that all lie at the same place.
    let list = Handmade {
        memory: "1000".to_owned(),
        ..within(
            "(i32.store (i32.const 68) (i32.const 0)) (i32.store (i32.const 72) (i32.const 1024))
            (i32.store (i32.const 76) (i32.const 500000))",
        )
    };
    assert_eq!(failure(&list), ("output-too-large", told.to_owned()));
}

#[test]
fn pointers_to_nowhere_are_the_plugins_own_trap() {
    for (at, what) in [
        // Far behind the end of the memory.
        (
            "(i32.store (i32.const 72) (i32.const -8)) (i32.store (i32.const 76) (i32.const 100))",
            "reason",
        ),
        (
            "(i32.store (i32.const 68) (i32.const 0)) (i32.store (i32.const 72) (i32.const -8))
          (i32.store (i32.const 76) (i32.const 1))",
            "requests",
        ),
        // A case that there is not.
        ("(i32.store8 (i32.const 68) (i32.const 9))", "case"),
    ] {
        let (kind, message) = failure(&within(at));
        assert_eq!(kind, "other", "{what}: {message}");
        assert!(message.starts_with("does not speak with the host as a component should: "));
    }
    // Text that is none.
    let no_text = "(i32.store8 (i32.const 256) (i32.const 255)) (i32.store (i32.const 72)
        (i32.const 256)) (i32.store (i32.const 76) (i32.const 1))";
    let (kind, message) = failure(&within(no_text));
    assert_eq!(kind, "other", "{message}");
    // Memory for the event at a place that is none.
    let (kind, message) =
        failure(&Handmade { realloc: "(return (i32.const -8))".to_owned(), ..Handmade::default() });
    assert_eq!(kind, "other", "{message}");
}

#[test]
fn whatever_a_plugin_does_wrong_traps() {
    for (wrong, told) in [
        ("(unreachable)", "trapped: wasm `unreachable` instruction executed"),
        ("(drop (i32.load (i32.const -4)))", "trapped: out of bounds memory access"),
        ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", "trapped: integer divide by zero"),
    ] {
        assert_eq!(failure(&within(wrong)), ("trap", told.to_owned()));
    }
    let start = Handmade { start: "(unreachable)".to_owned(), ..Handmade::default() };
    let told = "it failed while being loaded: plugin \"evil\" trapped: wasm `unreachable` \
                instruction executed";
    assert_eq!(refusal(&start), told);
}
