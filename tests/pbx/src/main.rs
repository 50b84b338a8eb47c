//! `pbx-sim`: a simulated 3CX to try a client against.

use std::time::Duration;

use anyhow::Result;
use callhook_pbx::Pbx;
use callhook_pbx::plays::{Play, Stage};
use clap::Parser;

/// A simulated 3CX V20 with the Call Control API, on the loopback.
///
/// People inside: Alice Novak 106, Bob Marek 107, Carol Tesar 108, Dan Urban 109. Queue 800, ring
/// group 810, receptionist 850. Waits for a client's socket, then acts out the plays.
#[derive(Debug, Parser)]
#[command(name = "pbx-sim", version)]
struct Arguments {
    /// The port; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The client id, which is also the app's route point
    #[arg(long, default_value = "callhook")]
    client_id: String,
    /// The client secret
    #[arg(long, default_value = "fictitious-api-key")]
    client_secret: String,
    /// What to act out, in this order
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "incoming,missed-queue,outgoing"
    )]
    plays: Vec<Play>,
    /// How often to act out all of it
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// The pause between two steps, in milliseconds
    #[arg(long, default_value = "800ms", value_parser = pace)]
    pace: Duration,
    /// The number of the first call
    #[arg(long, default_value_t = 665)]
    first_call: i64,
    /// Seconds to wait for a client's socket
    #[arg(long, default_value_t = 600)]
    patience: u64,
    /// Start to play without a client, and stop when the plays are over
    #[arg(long)]
    alone: bool,
}

/// Reads a pause: `800ms`, `2s`, or a number of milliseconds.
fn pace(text: &str) -> Result<Duration, String> {
    let (number, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, 1000),
        (None, None) => (text, 1),
    };
    let number: u64 =
        number.parse().map_err(|_| format!("`{text}` is no pause; write 800ms or 2s"))?;
    Ok(Duration::from_millis(number.saturating_mul(unit)))
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let pbx = Pbx::small_office()
        .port(arguments.port)
        .client(&arguments.client_id, &arguments.client_secret)
        .counters(arguments.first_call, 1)
        .patience(Duration::from_secs(arguments.patience))
        .start()
        .await?;
    println!("url            {}", pbx.url());
    println!("client id      {}", pbx.client_id());
    println!("client secret  {}", pbx.client_secret());
    if !arguments.alone {
        println!("Waiting for a client's socket.");
        pbx.wait_for_socket().await?;
    }
    let stage = Stage { pace: arguments.pace, narrator: &|line| println!("{line}") };
    for round in 1..=arguments.rounds {
        println!("Round {round} of {}.", arguments.rounds);
        for play in &arguments.plays {
            play.act(&pbx, &stage).await?;
        }
    }
    println!("{:?}", pbx.counts());
    Ok(())
}
