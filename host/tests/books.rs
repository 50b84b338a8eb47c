//! What the PBX's Configuration API says is told once, whole, and in nobody's way.

use std::time::Duration;

use anyhow::{Context, Result};
use callhook::clock::Clock;
use callhook::config::Secret;
use callhook::metrics::Metrics;
use callhook::source::callcontrol::{Settings, Watcher};
use callhook::source::notice::{DnType, Known, Seen};
use callhook_pbx::{Builder, Pbx};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

fn settings(pbx: &Pbx) -> Result<Settings> {
    Ok(Settings {
        url: pbx.url().parse()?,
        client_id: pbx.client_id().to_owned(),
        client_secret: Secret::new(pbx.client_secret()),
        recordings: false,
        callbacks: Duration::ZERO,
        snapshot_every: Duration::from_hours(1),
        ca_file: None,
        insecure: false,
    })
}

/// Watches this exchange until it tells what its books say.
async fn known(builder: Builder) -> Result<(Known, Pbx)> {
    let pbx = builder.configuration_api(true).start().await?;
    let watcher =
        Watcher::new(settings(&pbx)?, Clock::system(), Metrics::default().of_pbx("office"))?;
    let (send, mut notices) = mpsc::channel(100);
    let (_stop, stopped) = watch::channel(false);
    let watching = tokio::spawn(watcher.run(send, stopped));
    let found = timeout(PATIENCE, async {
        while let Some(notice) = notices.recv().await {
            if let Seen::Known(known) = notice.what {
                return Some(*known);
            }
        }
        None
    });
    let found = found.await?.context("the watcher ended")?;
    watching.abort();
    Ok((found, pbx))
}

#[tokio::test]
async fn names_types_and_did_rules_are_told() -> Result<()> {
    let office = Pbx::small_office().named_did("420226201001", "PragueDID", "106");
    let (known, pbx) = known(office).await?;
    let find = |number: &str| known.numbers.iter().find(|it| it.number == number);
    let alice = find("106").context("Alice is there")?;
    assert_eq!(alice.name.as_deref(), Some("Alice Novak"));
    assert_eq!(alice.email.as_deref(), Some("alice.novak@example.com"));
    let sales = find("800").context("the queue is there")?;
    assert_eq!((&sales.kind, sales.name.as_deref()), (&DnType::Queue, Some("Sales")));
    assert_eq!(find("850").context("the menu is there")?.kind, DnType::Receptionist);
    assert_eq!(known.dids.len(), 1, "only rules with a name");
    assert_eq!(known.dids[0].name, "PragueDID");
    assert_eq!(pbx.tokens_issued(), 1, "the watcher's token does");
    Ok(())
}

#[tokio::test]
async fn large_books_are_read_page_by_page() -> Result<()> {
    let many = (1000..1250).fold(Pbx::builder(), |builder, number| {
        builder.extension(&number.to_string(), &format!("Person {number}"))
    });
    let (known, _) = known(many).await?;
    let people = known.numbers.iter().filter(|it| it.email.is_some()).count();
    assert_eq!(people, 250);
    Ok(())
}

#[tokio::test]
async fn a_client_without_the_right_is_watched_for_all_the_same() -> Result<()> {
    let pbx = Pbx::small_office().start().await?;
    let watcher =
        Watcher::new(settings(&pbx)?, Clock::system(), Metrics::default().of_pbx("office"))?;
    let (send, mut notices) = mpsc::channel(100);
    let (_stop, stopped) = watch::channel(false);
    let watching = tokio::spawn(watcher.run(send, stopped));
    let refused = |line: &String| line.starts_with("GET /xapi/v1/") && line.ends_with(" 403");
    timeout(PATIENCE, async {
        while pbx.requests().iter().filter(|line| refused(line)).count() < 5 {
            tokio::task::yield_now().await;
        }
    })
    .await?;

    pbx.outside("420774852629").calls("420226201001")?;
    let mut told = Vec::new();
    while told.len() < 2 {
        let notice = timeout(PATIENCE, notices.recv()).await?.context("the watcher ended")?;
        told.push(notice.what);
    }
    assert!(matches!(told.as_slice(), [Seen::Snapshot(_), Seen::Leg(_)]), "{told:?}");
    assert_eq!((pbx.tokens_issued(), pbx.counts().sockets_opened), (1, 1));
    watching.abort();
    Ok(())
}
