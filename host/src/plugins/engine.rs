//! The engine: how components are compiled, where their memory comes from, what stops them.
//!
//! One engine serves the whole process. Compiled code, the pool of memories and the clock that
//! stops a plugin which does not come back all belong to it.

use std::thread;
use std::time::Duration;

use anyhow::Context;
use wasmtime::component::Component;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

/// How fine deadlines are. Each tick costs one wake-up and one atomic addition.
const TICK: Duration = Duration::from_millis(10);

/// The largest memory that a plugin can be granted. The pool reserves this much address space
/// (not memory) per slot; an interpreter with a large script needs about 40 MiB.
pub(super) const MAX_MEMORY: u64 = 128 << 20;

/// Calls of plugins that can be under way at the same time. Calls come from one thread in the
/// service; the second serves loading and trying a plugin meanwhile.
pub(super) const MAX_CALLS: usize = 2;

/// Memories per call: a component composed of others has one for each of them.
const MEMORIES_PER_CALL: u32 = 4;

/// Elements of one table. Interpreters compiled to WebAssembly have function tables of more than
/// ten thousand.
pub(super) const MAX_TABLE_ELEMENTS: usize = 100_000;

/// Bytes of the stack on which a plugin's functions call each other. Larger than what interpreters
/// need for themselves; those count the depth of the scripts that they run.
pub(super) const MAX_STACK: usize = 512 << 10;

/// Reserved per memory where the pool is not available. The default of 4 GiB would fail under
/// the address-space limits that some containers have.
const UNPOOLED_RESERVATION: u64 = 64 << 20;

/// Makes the engine and starts the clock that ends overlong calls.
pub(super) fn start() -> anyhow::Result<Engine> {
    let engine = match Engine::new(&pooled()) {
        Ok(engine) => engine,
        Err(error) => {
            tracing::info!(
                reason = format!("{error:#}"),
                "Plugins run without the memory pool, somewhat slower."
            );
            Engine::new(&unpooled())
                .map_err(anyhow::Error::from)
                .context("while setting up the WebAssembly engine")?
        }
    };
    start_ticks(&engine)?;
    Ok(engine)
}

/// Compiles a component; see [`super::cache`] for what saves doing it again.
pub(super) fn compile(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
    // `from_binary` and not `new`: a plugin file is never WebAssembly in text form.
    Component::from_binary(engine, bytes)
}

/// By how much compiling beside running calls steps back: further than the thread that makes the
/// calls.
const ASIDE: i32 = 10;

/// Does `work`, such as loading plugins, and lets everything else that the process does go first.
pub fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    // The engine compiles on the pool that it is called in.
    let pool = rayon::ThreadPoolBuilder::new()
        .thread_name(|_| "plugin-compiler".to_owned())
        // This concerns the calling thread only. Where it is not allowed, the machine is slower.
        .start_handler(|_| {
            let _ = rustix::process::nice(ASIDE);
        })
        .build();
    match pool {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    }
}

/// The deadline in ticks. One more than fits, because the current tick has begun already.
pub(super) fn ticks(deadline: Duration) -> u64 {
    let ticks = deadline.as_millis().div_ceil(TICK.as_millis()) + 1;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// What both ways of allocating have in common.
fn common() -> Config {
    let mut config = Config::new();
    // Code that is compiled once and called for every event is worth optimising.
    config.cranelift_opt_level(OptLevel::Speed);
    // All cores compile: an interpreter takes a second of start-up instead of several.
    config.parallel_compilation(true);
    // Compiled code looks at the epoch on every loop and call; cheaper than counting fuel.
    config.epoch_interruption(true);
    config.max_wasm_stack(MAX_STACK);
    // Components that jco makes from JavaScript do not even parse without it, although plugins
    // are called synchronously.
    config.concurrency_support(true);
    // Function names are enough; line tables would be read for every trap.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

/// Memories come from a small pool and are cleaned by asking the kernel which pages were written
/// to (Linux 6.7 or later). Of all ways measured this is by far the quickest for a fresh instance
/// per event. Fails where the kernel or the address space does not permit it.
fn pooled() -> Config {
    let calls = u32::try_from(MAX_CALLS).unwrap_or(1);
    let memories = calls * MEMORIES_PER_CALL;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_memories(memories)
        .max_memories_per_component(MEMORIES_PER_CALL)
        .max_memory_size(usize::try_from(MAX_MEMORY).unwrap_or(usize::MAX))
        // Python's components have more than 20 core instances, each with tables.
        .total_core_instances(calls * 200)
        .max_core_instances_per_component(200)
        .total_tables(calls * 20)
        .max_tables_per_component(20)
        .max_tables_per_module(20)
        .table_elements(MAX_TABLE_ELEMENTS)
        // What the host allocates per instance, in bytes; a large component needs about 1 MiB.
        .max_component_instance_size(10 << 20)
        .max_core_instance_size(10 << 20)
        // Calls are synchronous, so stacks are rare; a heap is used for exceptions only.
        .total_stacks(calls)
        .total_gc_heaps(calls)
        // Pages that stay mapped and are cleaned in place rather than given back and faulted in.
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(64 << 10)
        // `Auto` would silently fall back to something slower than no pool at all.
        .pagemap_scan(Enabled::Yes);
    let mut config = common();
    config.memory_reservation(MAX_MEMORY);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Every instance maps its own memory.
fn unpooled() -> Config {
    let mut config = common();
    config.memory_reservation(UNPOOLED_RESERVATION);
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    config
}

/// The thread ends by itself when the engine is gone.
fn start_ticks(engine: &Engine) -> anyhow::Result<()> {
    let engine = engine.weak();
    let ticker = move || {
        loop {
            thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => break,
            }
        }
    };
    thread::Builder::new()
        .name("plugin-ticks".to_owned())
        .spawn(ticker)
        .context("while starting the thread that ends overlong calls of plugins")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_cut_short() {
        assert_eq!(ticks(Duration::from_millis(250)), 26);
        assert_eq!(ticks(Duration::from_millis(1)), 2);
        assert_eq!(ticks(Duration::from_micros(10_001)), 2);
    }

    #[test]
    fn both_ways_of_allocating_accept_their_settings() {
        Engine::new(&unpooled()).unwrap();
        // The pool is allowed to be unavailable, but not because its numbers contradict.
        if let Err(error) = Engine::new(&pooled()) {
            let text = format!("{error:#}");
            assert!(text.contains("PAGEMAP_SCAN") || text.contains("mmap"), "{text}");
        }
    }

    /// Components made of JavaScript by jco use `task.cancel`, those of Lua exceptions.
    #[test]
    fn what_other_languages_compile_to_is_accepted() {
        let engine = Engine::new(&unpooled()).unwrap();
        for text in [
            r"(component (core func (canon task.cancel)))",
            r"(component (core module (tag $t (param i32)) (func (throw $t (i32.const 1)))))",
            r"(component (core module (memory 1) (func (param v128) (memory.fill
                (i32.const 0) (i32.const 0) (i32.const 1)))))",
        ] {
            let bytes = wat::parse_str(text).unwrap();
            compile(&engine, &bytes).unwrap_or_else(|error| panic!("{text}: {error:#}"));
        }
    }
}
