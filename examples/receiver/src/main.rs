//! Prints the webhooks that arrive.

use std::net::SocketAddr;

use anyhow::Context as _;
use callhook_receiver::Receiver;
use clap::Parser;

/// Prints the webhooks that arrive, and answers 200.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8490")]
    listen: SocketAddr,
    /// Stop after this many webhooks.
    #[arg(long)]
    count: Option<usize>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let receiver = Receiver::start_at(arguments.listen).await?;
    println!("listening on {}", receiver.url());
    let mut arrived = receiver.subscribe();
    let mut shown = 0;
    while arguments.count.is_none_or(|count| shown < count) {
        arrived.changed().await.context("waiting for webhooks")?;
        for webhook in arrived.borrow_and_update().iter().skip(shown) {
            println!("{} {}", webhook.method, webhook.target);
            if !webhook.body.is_empty() {
                println!("  {}", String::from_utf8_lossy(&webhook.body));
            }
            shown += 1;
        }
    }
    Ok(())
}
