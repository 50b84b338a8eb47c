//! Promises about time, which need a watcher that is less patient than the real one. The others
//! are in `host/tests/callcontrol.rs`.

use callhook_pbx::Pbx;
use futures_util::StreamExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::connection::MOST_DEAF;
use super::*;
use crate::metrics::Metrics;
use crate::source::notice::Snapshot;

const PATIENCE: Duration = Duration::from_secs(30);

fn settings(pbx: &Pbx, snapshot_every: Duration) -> Settings {
    Settings {
        url: pbx.url().parse().unwrap(),
        client_id: pbx.client_id().to_owned(),
        client_secret: Secret::new(pbx.client_secret()),
        recordings: false,
        callbacks: Duration::ZERO,
        snapshot_every,
        ca_file: None,
        insecure: false,
    }
}

fn impatient(settings: Settings) -> Watcher {
    let mut watcher =
        Watcher::new(settings, Clock::system(), Metrics::default().of_pbx("office")).unwrap();
    watcher.pace = Pace {
        ping_every: Duration::from_millis(100),
        first_wait: Duration::from_millis(20),
        longest_wait: Duration::from_millis(100),
    };
    watcher
}

async fn next(notices: &mut mpsc::Receiver<Notice>) -> Seen {
    timeout(PATIENCE, notices.recv()).await.expect("nothing was told").expect("it ended").what
}

async fn expect_snapshot(notices: &mut mpsc::Receiver<Notice>, after: bool) -> Snapshot {
    match next(notices).await {
        Seen::Snapshot(snapshot) if snapshot.after_gap == after => snapshot,
        other => panic!("told {other:?} instead of a snapshot"),
    }
}

#[tokio::test]
async fn a_peer_that_says_nothing_any_more_is_given_up() {
    let pbx = Pbx::small_office().start().await.unwrap();
    let (send, mut notices) = mpsc::channel(10);
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(impatient(settings(&pbx, PATIENCE * 10)).run(send, stopped));
    expect_snapshot(&mut notices, true).await;
    pbx.wait_until("pings", |counts| counts.pings > 5).await.unwrap();
    assert!(notices.try_recv().is_err(), "answered pings keep it alive");

    pbx.faults().go_silent();
    assert_eq!(next(&mut notices).await, Seen::Lost);
    pbx.faults().speak();
    expect_snapshot(&mut notices, true).await;
}

#[tokio::test]
async fn a_token_that_was_renewed_while_the_socket_was_open_opens_the_next_one() {
    let pbx = Pbx::small_office().start().await.unwrap();
    let (send, mut notices) = mpsc::channel(10);
    let (_stop, stopped) = watch::channel(false);
    let watcher = impatient(settings(&pbx, PATIENCE * 10));
    let rest = Arc::clone(&watcher.rest);
    tokio::spawn(watcher.run(send, stopped));
    expect_snapshot(&mut notices, true).await;

    let old = rest.tokens.current().await.unwrap();
    rest.tokens.after(&old).await.unwrap();
    assert_eq!(next(&mut notices).await, Seen::Lost, "the simulated 3CX closes the socket");
    expect_snapshot(&mut notices, true).await;
    assert_eq!(pbx.tokens_issued(), 2);
}

#[tokio::test]
async fn whoever_wants_a_new_token_at_the_same_time_gets_the_same() {
    let pbx = Pbx::small_office().start().await.unwrap();
    let rest = impatient(settings(&pbx, PATIENCE)).rest;
    let (one, two, three) =
        tokio::join!(rest.tokens.current(), rest.tokens.current(), rest.tokens.current());
    let headers = [one, two, three].map(|token| token.unwrap().header);
    assert!(headers.iter().all(|header| *header == headers[0]));
    assert_eq!(pbx.tokens_issued(), 1);
}

/// Lets requests through to the simulated 3CX, but answers the event socket itself: with pongs and
/// nothing else.
async fn deaf_in_front_of(pbx: &Pbx) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let behind = pbx.url().trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((mut outer, _)) = listener.accept().await {
            let mut inner = TcpStream::connect(&behind).await.unwrap();
            tokio::spawn(async move {
                let mut start = [0; 40];
                let length = outer.peek(&mut start).await.unwrap();
                if start[..length].starts_with(b"GET /callcontrol/ws") {
                    let mut socket = tokio_tungstenite::accept_async(outer).await.unwrap();
                    while let Some(Ok(_)) = socket.next().await {}
                } else {
                    let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn a_socket_that_is_open_but_announces_nothing_is_opened_again() {
    let pbx = Pbx::small_office().start().await.unwrap();
    let (send, mut notices) = mpsc::channel(10);
    let (_stop, stopped) = watch::channel(false);
    let mut settings = settings(&pbx, Duration::from_secs(1));
    settings.url = deaf_in_front_of(&pbx).await;
    tokio::spawn(impatient(settings).run(send, stopped));
    expect_snapshot(&mut notices, true).await;

    for _ in 0..MOST_DEAF {
        pbx.outside("420774852629").calls("420226201001").unwrap();
        expect_snapshot(&mut notices, false).await;
    }
    assert_eq!(next(&mut notices).await, Seen::Lost);
    let after = expect_snapshot(&mut notices, true).await;
    assert_eq!(after.legs.len(), 2, "what is missed meanwhile is seen all the same");
}

#[test]
fn a_secret_is_never_printed() {
    assert_eq!(format!("{:?}", Secret::new("hush")), "***");
}
