//! `cargo xtask bench`: the numbers of the service, measured on this machine and printed as a
//! table. Everything runs on the loopback, the simulated exchange and the receiver in this process
//! and so on the same processors as the service; what else the machine does shows in the numbers.

#![allow(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be set up cannot be measured"
)]

mod backlog;
mod bare;
mod cost;
mod flood;
mod library;
mod plugins;
mod service;
mod sink;
mod storm;

use std::path::PathBuf;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A line of the table.
struct Figure {
    what: String,
    value: String,
}

fn figure(what: impl Into<String>, value: impl Into<String>) -> Figure {
    let figure = Figure { what: what.into(), value: value.into() };
    eprintln!("{:<72} {}", figure.what, figure.value);
    figure
}

/// A folder on a real disk: the temporary one of the machine may be in memory.
fn folder() -> tempfile::TempDir {
    let exe = std::env::current_exe().expect("the program knows where it is");
    let target: PathBuf = exe.parent().expect("it is in a folder").to_owned();
    tempfile::Builder::new().prefix("bench-").tempdir_in(target).expect("a folder beside it")
}

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let mut table = Vec::new();
    let bare = bare::run().await;
    let what = "bare hyper client, 32 connections, requests/s";
    table.push(figure(what, format!("{:.0}", bare.rate)));
    table.push(figure("  processor time for each", format!("{:.0} µs", bare.cost)));
    if wants("library") {
        let folder = folder();
        table.extend(library::run(&folder.path().join("bench.db"), &bare, "").await);
    }
    if wants("service") {
        table.extend(service::run().await);
    }
    if wants("backlog") {
        table.extend(backlog::run(&bare).await);
    }
    if wants("plugins") {
        // Plugins are called on plain threads.
        table.extend(tokio::task::spawn_blocking(plugins::run).await.expect("it measures"));
    }
    if wants("storm") {
        table.extend(storm::run().await);
    }
    println!("\n| figure | measured |\n| --- | --- |");
    for Figure { what, value } in table {
        println!("| {what} | {value} |");
    }
}
