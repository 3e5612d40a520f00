//! Feeds from a real server on loopback: what is taken, and what leaves the last good reading as it is.

mod server;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use sluice_feed::{Fetcher, Kept, Known, KnownFeeds, Targets, fetch_once, follow};
use sluice_plan::FeedTarget;
use sluice_policy::{Feed, ListFormat};
use tokio::sync::watch;
use tokio::time::timeout;

use server::{Server, ok, status};

const LIST: &str = "192.0.2.0/24\n198.51.100.0/24\n203.0.113.7\n2001:db8::/32\n";

fn feed(server: &Server, path: &str) -> Feed {
    Feed {
        url: format!("http://{}{path}", server.address),
        format: ListFormat::Plain,
        interval: Duration::from_millis(50),
        timeout: Duration::from_secs(10),
        max_bytes: 10_000,
        min_entries: 2,
        max_shrink: 50,
    }
}

/// As a fleet configuration that names the server, and nothing else that is inside.
fn only(address: SocketAddr) -> Targets {
    let target = FeedTarget { prefix: "127.0.0.1/32".to_owned(), ports: vec![address.port()] };
    Targets { allowed: vec![target], ..Targets::default() }
}

async fn fetched(server: &Server, feed: &Feed, known: &Known) -> Known {
    fetch_once(&Fetcher::default(), feed, known, &only(server.address), 1_000).await
}

fn entries(known: &Known) -> Option<u64> {
    known.state.good.as_ref().map(|good| good.entries)
}

fn fault(known: &Known) -> &str {
    known.state.fault.as_deref().unwrap_or("none")
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn a_feed_is_read_and_asked_for_again_only_if_it_changed() {
    let server = Server::http(|head| match head.to_lowercase().contains("if-none-match: \"v1\"") {
        true => status("304 Not Modified", &[]),
        false => ok(LIST, &["etag: \"v1\"", "last-modified: Tue, 24 Nov 2026 12:00:00 GMT"]),
    })
    .await;
    let feed = feed(&server, "/lists/a.txt?all=1");
    let first = fetched(&server, &feed, &Known::default()).await;
    assert_eq!((entries(&first), fault(&first), first.state.fetched), (Some(4), "none", Some(1_000)));
    let again = fetched(&server, &feed, &first).await;
    let good = |known: &Known| known.state.good.clone().expect("good");
    assert!(Arc::ptr_eq(&good(&first), &good(&again)), "nothing is made anew of it");
    let asked = server.asked.lock().expect("asked").clone();
    assert!(asked[0].starts_with("GET /lists/a.txt?all=1 HTTP/1.1\r\n"), "{asked:?}");
    let second = asked[1].to_lowercase();
    assert!(second.contains("if-modified-since: tue, 24 nov 2026 12:00:00 gmt"), "{second}");
}

#[tokio::test]
async fn what_is_inside_is_not_asked_unless_the_fleet_names_it() {
    let server = Server::http(|_| ok(LIST, &[])).await;
    let port = server.address.port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"] {
        let url = format!("http://{host}:{port}/");
        let feed = Feed { url, ..feed(&server, "/") };
        let known = fetch_once(&Fetcher::default(), &feed, &Known::default(), &Targets::default(), 0).await;
        assert!(
            fault(&known).contains("a loopback address, which no feed is fetched from"),
            "{}",
            fault(&known)
        );
        assert!(
            fault(&known).contains("name it in feedTargets of the fleet configuration"),
            "{}",
            fault(&known)
        );
    }
    assert_eq!(server.requests(), 0, "not even a connection was made");
}

#[tokio::test]
async fn each_redirect_is_held_against_what_is_allowed() {
    let inside = Server::http(|_| ok(LIST, &[])).await;
    let port = inside.address.port();
    let server = Server::http(move |head| {
        let to = |location: &str| status("302 Found", &[&format!("location: {location}")]);
        match head.split(' ').nth(1).expect("a path") {
            "/relative" => to("list.txt"),
            "/list.txt" => ok(LIST, &[]),
            "/metadata" => to("http://169.254.169.254/latest/meta-data/"),
            "/inside" => to(&format!("http://127.0.0.1:{port}/")),
            "/round" => to("/round"),
            "/file" => to("file:///etc/passwd"),
            "/nowhere" => status("302 Found", &[]),
            other => panic!("{other}"),
        }
    })
    .await;
    for (path, says) in [
        ("/relative", "none"),
        ("/metadata", "169.254.169.254:80, a link-local address"),
        ("/inside", "a loopback address"),
        ("/round", "more than 5 redirects"),
        ("/file", "\"file:///etc/passwd\" is not where a feed can be"),
        ("/nowhere", "redirects to nowhere"),
    ] {
        let known = fetched(&server, &feed(&server, path), &Known::default()).await;
        assert!(fault(&known).contains(says), "{path}: {}", fault(&known));
    }
    assert_eq!(inside.requests(), 0);
}

#[tokio::test]
async fn a_reading_that_is_broken_leaves_the_last_good_one() {
    let bomb = gzip(&vec![b'\n'; 50 << 20]);
    assert!((bomb.len() as u64) < 100_000);
    let cut = gzip(LIST.as_bytes());
    let server = Server::http(move |head| match head.split(' ').nth(1).expect("a path") {
        "/good" => ok(LIST, &[]),
        "/gzip" => ok(gzip(LIST.as_bytes()), &["content-encoding: gzip"]),
        "/cut" => {
            let whole = ok(LIST, &[]).expect("an answer");
            Some(whole[..whole.len() - 20].to_vec())
        }
        "/chunk" => {
            Some(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nd\r\n192.0.2.0/24\n\r\n".to_vec())
        }
        "/cut-gzip" => ok(&cut[..cut.len() - 9], &[]),
        "/bomb" => ok(&bomb, &["content-encoding: gzip"]),
        "/large" => ok("#".repeat(10_001), &[]),
        "/endless" => Some([b"HTTP/1.0 200 OK\r\n\r\n".to_vec(), vec![b'#'; 20_000]].concat()),
        "/empty" => ok("", &[]),
        "/comments" => ok("# nothing today\n", &[]),
        "/few" => ok("192.0.2.1\n", &[]),
        "/line" => ok("192.0.2.0/24\n198.51.100.0/24\n<html>\n", &[]),
        "/error" => status("503 Service Unavailable", &[]),
        "/unasked" => status("304 Not Modified", &[]),
        _ => None,
    })
    .await;
    let large = |feed: Feed| Feed { max_bytes: 1 << 20, ..feed };
    let known = fetched(&server, &feed(&server, "/good"), &Known::default()).await;
    assert_eq!(entries(&fetched(&server, &feed(&server, "/gzip"), &Known::default()).await), Some(4));
    for (path, says) in [
        ("/cut", "the answer is not whole"),
        ("/chunk", "the answer is not whole"),
        ("/cut-gzip", "cannot be unpacked, or is cut short"),
        ("/bomb", "has more than 1048576 bytes: raise maxBytes"),
        ("/large", "has more than 10000 bytes"),
        ("/endless", "has more than 10000 bytes"),
        ("/empty", "has 0 entries, fewer than minEntries 2"),
        ("/comments", "has 0 entries, fewer than minEntries 2"),
        ("/few", "has 1 entries, fewer than minEntries 2"),
        ("/line", "line 3: \"<html>\" is no prefix"),
        ("/error", "the server answers 503"),
        ("/unasked", "the server answers 304"),
        ("/slow", "did not come within 200ms"),
    ] {
        let mut asked = feed(&server, path);
        if path == "/bomb" {
            asked = large(asked);
        }
        if path == "/slow" {
            asked.timeout = Duration::from_millis(200);
        }
        let after = fetched(&server, &asked, &known).await;
        assert!(fault(&after).contains(says), "{path}: {}", fault(&after));
        assert_eq!((entries(&after), after.state.fetched), (Some(4), Some(1_000)), "{path}");
    }
    let shrunk = Feed { min_entries: 0, max_shrink: 74, ..feed(&server, "/few") };
    assert!(fault(&fetched(&server, &shrunk, &known).await).contains("75% less and more than maxShrink 74%"));
    let allowed = Feed { max_shrink: 75, ..shrunk };
    assert_eq!(entries(&fetched(&server, &allowed, &known).await), Some(1));
    // The memory that a few packed bytes can take is bounded, and so is the time.
    let begun = Instant::now();
    fetched(&server, &large(feed(&server, "/bomb")), &known).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_server_is_who_its_certificate_says_and_never_leads_to_plain_http() {
    let server = Server::https(|head| match head.split(' ').nth(1).expect("a path") {
        "/list" => ok(LIST, &[]),
        _ => status("301 Moved", &["location: http://localhost/list"]),
    })
    .await;
    let at = |path: &str| Feed {
        url: format!("https://localhost:{}{path}", server.address.port()),
        ..feed(&server, "/")
    };
    let (targets, none) = (only(server.address), Known::default());
    let trusting = Fetcher::trusting(server.authority.clone());
    let known = fetch_once(&trusting, &at("/list"), &none, &targets, 0).await;
    assert_eq!((entries(&known), fault(&known)), (Some(4), "none"));
    let known = fetch_once(&trusting, &at("/down"), &none, &targets, 0).await;
    assert!(fault(&known).contains("redirects from https to http://localhost/list"), "{}", fault(&known));
    let known = fetch_once(&Fetcher::default(), &at("/list"), &none, &targets, 0).await;
    assert!(fault(&known).contains("localhost: no connection"), "{}", fault(&known));
    let by_address = Feed { url: at("/list").url.replace("localhost", "127.0.0.1"), ..at("/list") };
    let known = fetch_once(&trusting, &by_address, &none, &targets, 0).await;
    assert!(fault(&known).contains("127.0.0.1: no connection"), "another name: {}", fault(&known));
}

/// The first state of the one feed for which this holds.
async fn state(feeds: &mut watch::Receiver<Arc<KnownFeeds>>, holds: impl Fn(&Known) -> bool) -> Known {
    let wanted = feeds.wait_for(|all| all.values().next().is_some_and(&holds));
    let found = timeout(Duration::from_secs(10), wanted).await.expect("in time").expect("followed");
    found.values().next().expect("waited for").clone()
}

#[tokio::test]
async fn a_feed_is_followed_through_faults_new_guards_and_restarts() {
    let turn = Arc::new(AtomicUsize::new(0));
    let turns = turn.clone();
    let server = Server::http(move |_| match turns.load(Ordering::SeqCst) {
        0 => ok(LIST, &["etag: \"a\""]),
        1 => ok("192.0.2.1\n", &[]),
        _ => None,
    })
    .await;
    let first = feed(&server, "/");
    let wanted = watch::Sender::new([first.clone()].into());
    let targets = watch::Sender::new(Targets::default());
    let mut feeds = follow(wanted.subscribe(), targets.subscribe(), Kept::default());
    state(&mut feeds, |known| fault(known).contains("loopback")).await;
    targets.send_replace(only(server.address));
    let good = state(&mut feeds, |known| entries(known) == Some(4)).await;

    turn.store(1, Ordering::SeqCst);
    let broken = state(&mut feeds, |known| known.state.fault.is_some()).await;
    assert_eq!((entries(&broken), broken.validators.etag.as_deref()), (Some(4), Some("\"a\"")));
    // Its author allows it.
    wanted.send_replace([Feed { min_entries: 0, max_shrink: 100, ..first.clone() }].into());
    state(&mut feeds, |known| entries(known) == Some(1)).await;
    drop(feeds);

    // A restart while the server does not answer: what was kept is there at once.
    turn.store(2, Ordering::SeqCst);
    let kept: Kept = [(sluice_feed::KeptFeed::key(&first), good)].into_iter().collect();
    let wanted = watch::Sender::new([first].into());
    let mut feeds = follow(wanted.subscribe(), targets.subscribe(), kept);
    let known = state(&mut feeds, |_| true).await;
    assert_eq!((entries(&known), fault(&known)), (Some(4), "none"));
    wanted.send_replace(Default::default());
    timeout(Duration::from_secs(10), feeds.wait_for(|all| all.is_empty()))
        .await
        .expect("in time")
        .expect("followed");
}
