//! Hosting of WebAssembly components: the only place that names wasmtime.
