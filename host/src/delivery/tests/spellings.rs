//! However an address is spelled, nobody gets where they must not.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper::Uri;
use tokio::net::TcpListener;

use super::super::connector::{Connector, peer};
use super::*;

/// Answers as it is told, one answer after the other; the last one again and again.
struct Told {
    answers: Vec<io::Result<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Told {
    fn new(answers: Vec<io::Result<Vec<IpAddr>>>) -> Arc<Self> {
        Arc::new(Self { answers, asked: AtomicUsize::new(0) })
    }
}

impl Resolver for Told {
    fn resolve(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = match self.answers.get(asked).or(self.answers.last()) {
            Some(Ok(found)) => Ok(found.clone()),
            Some(Err(error)) => Err(io::Error::from(error.kind())),
            None => return Box::pin(std::future::pending()),
        };
        Box::pin(std::future::ready(answer))
    }
}

/// Nobody must get to these, unless the operator says so; to the second half not even then.
const FORBIDDEN: [&str; 18] = [
    "127.0.0.1",
    "127.0.0.2",
    "10.0.0.5",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "203.0.113.7",
    "240.0.0.1",
    "192.88.99.1",
    "169.254.1.1",
    "169.254.169.254",
    "100.100.100.200",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "255.255.255.255",
];

/// Spellings of an IPv4 address as the host of a URL.
fn spellings(address: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = address.octets();
    let number = u32::from(address);
    let (high, low) = (number >> 16, number & 0xffff);
    let wide: String = address
        .to_string()
        .chars()
        .map(|c| c.to_digit(10).and_then(|at| char::from_u32(0xff10 + at)).unwrap_or(c))
        .collect();
    let mut all = vec![
        format!("{a}.{b}.{c}.{d}"),
        format!("{a}.{b}.{c}.{d}."),
        number.to_string(),
        format!("{number:#x}"),
        format!("0{number:o}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a}.{b}.{low}"),
        format!("{a}.{}", number & 0xff_ffff),
        format!("{a:#X}.{b}.0{c:o}.{d}"),
        format!("0000{a:o}.{b}.{c}.{d}"),
        wide,
        address.to_string().replace('.', "\u{3002}"),
        address.to_string().replace('.', "%2e"),
        format!("{number}."),
    ];
    let brackets = [
        format!("::ffff:{address}"),
        format!("::ffff:{high:x}:{low:x}"),
        format!("0:0:0:0:0:FFFF:{address}"),
        format!("::{address}"),
        format!("64:ff9b::{address}"),
        format!("64:ff9b:1::{address}"),
        format!("2002:{high:x}:{low:x}::1"),
        format!("2001:0:4136:e378:8000:63bf:{:x}:{:x}", !high & 0xffff, !low & 0xffff),
        format!("2a00:1450::5efe:{address}"),
        format!("2a00:1450::200:5efe:{address}"),
        format!("fe80::{address}%25eth0"),
        address.to_string(),
    ];
    all.extend(brackets.map(|inner| format!("[{inner}]")));
    all
}

/// URLs that lead to `port` of what nobody must get to.
fn table(port: u16) -> Vec<String> {
    let mut table = Vec::new();
    for address in FORBIDDEN {
        for host in spellings(address.parse().unwrap()) {
            table.push(format!("http://{host}:{port}/in"));
        }
        for start in ["user@", "user:word@", "crm.example@", "crm.example:80@"] {
            table.push(format!("http://{start}{address}:{port}/in"));
        }
        for trick in ["crm.example\\@", "crm.example#@", "crm.example%00.", "crm.example%40"] {
            table.push(format!("http://{trick}{address}:{port}/in"));
        }
    }
    for host in [
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::1%25lo]",
        "[::1%lo]",
        "[fe80::1]",
        "[fec0::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "[ff02::1]",
        "[100::1]",
        "[2001:db8::1]",
        "[3fff::1]",
        "[5f00::1]",
        "[2001::1]",
        "[2001:2::1]",
        "[4000::1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "ip6-localhost",
        "[[::1]]",
        "[::1",
        "::1",
    ] {
        table.push(format!("http://{host}:{port}/in"));
    }
    table
}

fn own(url: &str, change: impl FnOnce(&mut DeliveryConfig)) -> EndpointSettings {
    let mut settings = endpoint("crm");
    settings.url = Url::parse(url).unwrap();
    settings.delivery.allow_hosts.clear();
    settings.delivery.allow_networks.clear();
    change(&mut settings.delivery);
    settings
}

fn connector(settings: &EndpointSettings, resolver: &Arc<dyn Resolver>) -> Connector {
    Connector::to(&settings.url, &settings.allow_hosts, settings, resolver).unwrap()
}

async fn refusal(connector: &Connector, url: &str) -> String {
    let failure = connector.connect(&url.parse().unwrap()).await.unwrap_err();
    match failure {
        // A name may lead elsewhere later, so that is tried again.
        SendFailure::Resolve(refusal) => {
            assert!(refusal.starts_with("refused: ") && refusal.contains(" is at "), "{url}");
            let host = Url::parse(url).unwrap();
            assert!(host.domain().is_some(), "{url}: an address leads nowhere else");
            refusal
        }
        SendFailure::Refused(_) => failure.to_string(),
        _ => panic!("{url}: {failure:?}"),
    }
}

/// Listeners at one port of every address of this machine that can be bound.
async fn listeners() -> (u16, Vec<TcpListener>) {
    let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = first.local_addr().unwrap().port();
    let mut all = vec![first];
    for address in ["127.0.0.2", "::1"] {
        all.extend(TcpListener::bind((address, port)).await.ok());
    }
    (port, all)
}

fn arrived(listeners: &[TcpListener]) -> usize {
    listeners.iter().filter(|listener| listener.accept().now_or_never().is_some()).count()
}

#[tokio::test]
async fn no_spelling_of_a_forbidden_address_brings_a_connection() {
    let (port, listeners) = listeners().await;
    let table = table(port);
    assert!(table.len() >= 250, "{}", table.len());
    let system = resolver::system();
    let mut judged = 0;
    for url in &table {
        let Ok(parsed) = url.parse::<Uri>() else { continue };
        // As lenient as can be: the plugin may send to this very host.
        let host = parsed.host().unwrap().to_owned();
        let open = |config: &mut DeliveryConfig| config.allow_hosts = vec![host];
        let settings = own("http://crm.example/", open);
        if let Ok(connector) =
            Connector::to(&settings.url, &settings.allow_hosts, &settings, &system)
        {
            let failure = connector.connect(&parsed).await.unwrap_err();
            let refused = matches!(failure, SendFailure::Refused(_) | SendFailure::Resolve(_));
            assert!(refused, "{url}: {failure:?}");
            judged += 1;
        }
    }
    assert!(judged >= 250, "{judged}");
    assert_eq!(arrived(&listeners), 0);
}

#[tokio::test]
async fn an_allowed_network_opens_only_itself() {
    let (port, listeners) = listeners().await;
    let system = resolver::system();
    let mut opened = Vec::new();
    for url in table(port) {
        let Ok(parsed) = url.parse::<Uri>() else { continue };
        let host = parsed.host().unwrap().to_owned();
        let settings = own("http://crm.example/", |config| {
            config.allow_hosts = vec![host];
            config.allow_networks = vec!["127.0.0.1/32".parse().unwrap()];
        });
        let Ok(connector) = Connector::to(&settings.url, &settings.allow_hosts, &settings, &system)
        else {
            continue;
        };
        if let Ok(stream) = connector.connect(&parsed).await {
            assert_eq!(peer(&stream), SocketAddr::from(([127, 0, 0, 1], port)), "{url}");
            opened.push(url);
        }
    }
    assert!(opened.len() >= 12, "{opened:#?}");
    let (first, others) = listeners.split_first().unwrap();
    assert!(first.accept().now_or_never().is_some());
    assert_eq!(arrived(others), 0);
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_the_second_time_is_judged_again() {
    let (port, listeners) = listeners().await;
    let answers =
        vec![Ok(vec!["127.0.0.1".parse().unwrap()]), Ok(vec!["127.0.0.2".parse().unwrap()])];
    let told = Told::new(answers);
    let settings = own("http://crm.example/", |config| {
        config.allow_hosts = vec!["*.other.example".to_owned()];
        config.allow_networks = vec!["127.0.0.1/32".parse().unwrap()];
    });
    let dyn_told: Arc<dyn Resolver> = Arc::<Told>::clone(&told);
    let connector = connector(&settings, &dyn_told);
    let url = format!("http://a.other.example:{port}/");
    assert!(connector.connect(&url.parse().unwrap()).await.is_ok());
    // One lookup for a connection: what was judged is what is dialled.
    assert_eq!(told.asked.load(Ordering::SeqCst), 1);
    assert_eq!(
        refusal(&connector, &url).await,
        "refused: a.other.example is at 127.0.0.2, an address of this machine; \
         allow_networks = 127.0.0.2/32 would allow it"
    );
    assert_eq!(arrived(&listeners[1..]), 0);
}

#[tokio::test]
async fn of_mixed_addresses_only_those_allowed_are_dialled() {
    let (port, listeners) = listeners().await;
    let mixed = ["169.254.169.254", "127.0.0.2", "::1", "::ffff:127.0.0.1"];
    let answer = mixed.map(|address| address.parse().unwrap()).to_vec();
    let told: Arc<dyn Resolver> = Told::new(vec![Ok(answer)]);
    let settings = own("http://crm.example/", |config| {
        config.allow_hosts = vec!["other.example".to_owned()];
        config.allow_networks = vec!["127.0.0.1/32".parse().unwrap()];
    });
    let url = format!("http://other.example:{port}/").parse().unwrap();
    let stream = connector(&settings, &told).connect(&url).await.unwrap();
    assert_eq!(peer(&stream), SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!(arrived(&listeners[1..]), 0);
}

#[tokio::test]
async fn names_that_have_no_address_in_time_fail_as_names() {
    let settings = own("http://crm.example/", |_| {});
    let url: Uri = "http://crm.example/".parse().unwrap();
    let nothing: Arc<dyn Resolver> = Told::new(vec![Ok(Vec::new())]);
    let broken: Arc<dyn Resolver> = Told::new(vec![Err(io::ErrorKind::NotFound.into())]);
    for (resolver, said) in
        [(nothing, "crm.example has no address"), (broken, "crm.example: entity not found")]
    {
        let failure = connector(&settings, &resolver).connect(&url).await.unwrap_err();
        assert_eq!(failure, SendFailure::Resolve(said.to_owned()));
    }
    let silent = Told::new(Vec::new());
    let found = resolver::addresses(&*silent, "crm.example", Duration::from_millis(10)).await;
    let said = "crm.example: no answer within 10ms".to_owned();
    assert_eq!(found.unwrap_err(), SendFailure::Resolve(said));
}

#[tokio::test]
async fn the_endpoints_own_host_may_be_anywhere_but_where_nobody_is() {
    let (port, _listeners) = listeners().await;
    let system = resolver::system();
    for url in [format!("http://127.0.0.1:{port}/"), format!("http://localhost:{port}/")] {
        let settings = own(&url, |_| {});
        assert!(connector(&settings, &system).connect(&url.parse().unwrap()).await.is_ok());
    }
    for (url, class) in [
        ("http://169.254.1.1/", "a link-local address"),
        ("http://169.254.169.254/", "an address where a cloud hands out credentials"),
        ("http://0.0.0.0/", "an address of no machine"),
        ("http://[fe80::1]/", "a link-local address"),
        ("http://[64:ff9b::169.254.169.254]/", "an address where a cloud hands out credentials"),
        ("http://224.0.0.1/", "a multicast address"),
        ("http://255.255.255.255/", "a broadcast address"),
    ] {
        let connector = connector(&own(url, |_| {}), &system);
        let said = refusal(&connector, url).await;
        assert!(said.ends_with(&format!("{class}; nothing is sent there")), "{said}");
    }
}

#[tokio::test]
async fn the_console_is_never_connected_to() {
    let (port, listeners) = listeners().await;
    let system = resolver::system();
    let url = format!("http://127.0.0.1:{port}/");
    for listening in
        [format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}"), format!("[::]:{port}")]
    {
        let mut settings = own(&url, |_| {});
        settings.forbidden = vec![listening.parse().unwrap()];
        let said = refusal(&connector(&settings, &system), &url).await;
        assert!(said.ends_with("the service's own console"), "{said}");
    }
    assert_eq!(arrived(&listeners), 0);
}

#[tokio::test]
async fn refusals_name_the_setting_that_would_allow_them() {
    let told: Arc<dyn Resolver> = Told::new(vec![Ok(vec!["10.0.0.5".parse().unwrap()])]);
    let settings = own("https://crm.example/", |config| {
        config.allow_hosts = vec!["db.example".to_owned(), "*.api.example".to_owned()];
    });
    let connector = connector(&settings, &told);
    for (url, said) in [
        (
            "https://evil.example/?token=secret",
            "evil.example, port 443, is not the endpoint's own; \
             allow_hosts = evil.example would allow it",
        ),
        (
            "https://crm.example:8443/",
            "crm.example, port 8443, is not the endpoint's own; \
             allow_hosts = crm.example would allow it",
        ),
        (
            "https://api.example/",
            "api.example, port 443, is not the endpoint's own; \
             allow_hosts = api.example would allow it",
        ),
        (
            "https://evilapi.example/",
            "evilapi.example, port 443, is not the endpoint's own; \
             allow_hosts = evilapi.example would allow it",
        ),
        (
            "http://DB.example./?token=secret",
            "db.example is at 10.0.0.5, a private address; allow_networks = 10.0.0.5/32 would allow it",
        ),
        ("http://crm.example/", "crm.example gets https only, as in the endpoint's url"),
        ("http://crm.example:443/", "crm.example gets https only, as in the endpoint's url"),
        ("https://user@crm.example/", "the URL has a user name in it; use auth for credentials"),
        ("ftp://crm.example/", "the URL is neither http nor https"),
        ("https://crm.example:/", "the URL's port is no number up to 65535"),
        ("https://crm.example:99999/", "the URL's port is no number up to 65535"),
    ] {
        assert_eq!(refusal(&connector, url).await, format!("refused: {said}"), "{url}");
    }
}

#[test]
fn entries_of_allow_hosts_that_are_no_hosts_are_refused() {
    for entry in ["", "*.", "*.10.0.0.1", "a b", "*.*.example", "https://a.example"] {
        let settings =
            own("http://crm.example/", |config| config.allow_hosts = vec![entry.to_owned()]);
        let made =
            Connector::to(&settings.url, &settings.allow_hosts, &settings, &resolver::system());
        assert!(made.is_err(), "{entry}");
    }
}
