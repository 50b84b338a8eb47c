//! Orders over a real socket.

use std::sync::Mutex;

use super::*;

#[derive(Default)]
struct Clerk(Mutex<Vec<Order>>);

impl Operator for Clerk {
    fn carry_out(&self, order: Order) -> BoxFuture<'_, anyhow::Result<Tally>> {
        Box::pin(async move {
            let refused = matches!(&order, Order::Resume { endpoint } if endpoint == "nobody");
            self.0.lock().unwrap().push(order);
            anyhow::ensure!(!refused, "there is no endpoint nobody");
            Ok(Tally { done: 3, failed: 0, skipped: 1 })
        })
    }
}

/// Has a clerk serve while `visit` speaks with it.
async fn with_clerk<T: Send + 'static>(
    visit: impl FnOnce(&Path) -> T + Send + 'static,
) -> (T, Vec<Order>) {
    let folder = tempfile::tempdir().unwrap();
    let path = path(&folder.path().join("callhook.db"));
    let clerk = Arc::new(Clerk::default());
    let (stop, stopped) = watch::channel(false);
    let listener = listen(&path).unwrap();
    let serving = tokio::spawn(serve(listener, Arc::<Clerk>::clone(&clerk), stopped));
    let result = tokio::task::spawn_blocking(move || visit(&path)).await.unwrap();
    stop.send_replace(true);
    serving.await.unwrap();
    let orders = clerk.0.lock().unwrap().clone();
    (result, orders)
}

fn resume(endpoint: &str) -> Order {
    Order::Resume { endpoint: endpoint.to_owned() }
}

#[tokio::test]
async fn an_order_arrives_as_it_was_given_and_its_answer_comes_back() {
    let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let orders = vec![
        Order::Retry(Selection { ids: vec!["pbx-1:crm:0".to_owned()], ..Selection::default() }),
        Order::Bury {
            which: Selection::default(),
            reason: "a \"reason\"\nin two lines".to_owned(),
        },
        Order::Replay(Replay {
            from: time("2026-03-01T00:00:00Z"),
            until: time("2026-03-02T00:00:00Z"),
            endpoint: Some("crm".to_owned()),
            popups: true,
        }),
    ];
    let given = orders.clone();
    let (tallies, taken) = with_clerk(move |path| {
        given.iter().map(|order| give(path, order).unwrap().unwrap()).collect::<Vec<_>>()
    })
    .await;
    assert_eq!(tallies, [Tally { done: 3, failed: 0, skipped: 1 }; 3]);
    assert_eq!(taken, orders);
}

#[tokio::test]
async fn what_cannot_be_carried_out_says_why() {
    let (error, _) = with_clerk(|path| give(path, &resume("nobody")).unwrap_err()).await;
    assert_eq!(format!("{error:#}"), "the service says: there is no endpoint nobody");
}

#[tokio::test]
async fn nonsense_on_the_socket_is_answered_and_harms_nobody() {
    let ((answer, after), _) = with_clerk(|path| {
        let stream = BlockingStream::connect(path).unwrap();
        (&stream).write_all(b"{\"order\":\"explode\"}\n").unwrap();
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer).unwrap();
        (answer, give(path, &resume("crm")).unwrap())
    })
    .await;
    assert!(answer.contains("no order that this version knows"), "{answer}");
    assert_eq!(after.unwrap().done, 3);
}

#[tokio::test]
async fn the_socket_is_its_owners_alone_and_takes_the_place_of_a_dead_one() {
    let (mode, _) = with_clerk(|path| std::fs::metadata(path).unwrap().permissions().mode()).await;
    assert_eq!(mode & 0o777, 0o600);
    let folder = tempfile::tempdir().unwrap();
    let path = path(&folder.path().join("callhook.db"));
    assert_eq!(give(&path, &resume("crm")).unwrap(), None, "nobody is there");
    drop(listen(&path).unwrap());
    assert_eq!(give(&path, &resume("crm")).unwrap(), None, "nobody is there any more");
    assert!(listen(&path).is_ok());
}
