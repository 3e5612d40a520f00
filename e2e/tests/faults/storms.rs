//! Many edits of one object, and many objects at once.

use std::fmt::Write;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use sluice_e2e::fleet::Fleet;
use sluice_e2e::process::eventually;
use sluice_proto::v1::{ListRequest, PolicyStatus};

use crate::probes::{self, SOURCES};
use crate::{PATIENCE, enforcing, finish, flow};

const EDITS: u32 = 1_000;
const EVERY: Duration = Duration::from_millis(10);
/// More than a node holds, so most are refused.
const OBJECTS: usize = 1_000;
const HOLDS: usize = 64;
/// Beside the filters.
const SETS: usize = 1;
/// That the first of them drops.
const PORT: u16 = 20_000;
const UNANSWERED: Duration = Duration::from_millis(100);
/// Programs of a thousand rules take a debug build so long.
const LONG: Duration = Duration::from_secs(30);

/// When a file was replaced, by its own word.
struct Replaced {
    file: PathBuf,
    at: Vec<SystemTime>,
}

impl Replaced {
    fn look(&mut self) {
        let Ok(now) = std::fs::metadata(&self.file).and_then(|found| found.modified()) else { return };
        if self.at.last() != Some(&now) {
            self.at.push(now);
        }
    }
}

#[test]
fn an_object_that_is_edited_a_hundred_times_a_second_ends_as_it_was_edited_last() {
    let (fleet, _directory, first, probes, traffic) = enforcing("slfe");
    let file = fleet.data().join("status/xdpfilter-edge.yaml");
    let mut status = Replaced { file, at: Vec::new() };
    let begun = Instant::now();
    let mut newest = 0;
    for edit in 1..=EDITS {
        // So that the last is not the first again.
        newest = u8::try_from(edit % u32::from(SOURCES - 1)).unwrap();
        fleet.write_policy("edge.yaml", &probes::policy(newest)).unwrap();
        status.look();
        sleep((EVERY * edit).saturating_sub(begun.elapsed()));
    }
    let took = begun.elapsed();
    eventually(PATIENCE, || Ok(probes.is_newest(newest).then_some(())))
        .unwrap_or_else(|error| panic!("{error:#}: {:?}{}", fleet.statuses(), fleet.last_words()));
    fleet.wait_ready("edge", 1, &first, PATIENCE).unwrap();
    println!("{EDITS} edits in {took:?}, status written {} times", status.at.len() - 1);
    assert!(status.at.len() > 2, "the status was written");
    let gaps = status.at.windows(2).map(|pair| pair[1].duration_since(pair[0]).unwrap());
    let shortest = gaps.min().unwrap();
    assert!(shortest > Duration::from_millis(900), "{shortest:?}");
    flow(&traffic);
    finish(traffic);
}

#[test]
fn a_thousand_policies_come_at_once_and_go_at_once_when_it_is_confirmed() {
    let (fleet, _directory, _, probes, traffic) = enforcing("slfo");

    let begun = Instant::now();
    fleet.write_policy("many.yaml", &many()).unwrap();
    until(&fleet, "as many are in force as a node holds", |counts| {
        counts.ready == HOLDS + SETS && counts.invalid == counts.all - counts.ready && counts.all > OBJECTS
    });
    println!("{OBJECTS} policies: in force or refused after {:?}", begun.elapsed());
    let ready = fleet.statuses().unwrap().into_iter().filter(|status| status.ready == "True");
    let number = |status: PolicyStatus| status.name.strip_prefix("many-")?.parse().ok();
    let mut ready: Vec<usize> = ready.filter_map(number).collect();
    ready.sort_unstable();
    assert_eq!(dropped(&fleet), ready, "what is Ready is in force, and nothing else");
    flow(&traffic);

    // More than half of all at once is held, whoever it was.
    std::fs::remove_file(fleet.policies().join("many.yaml")).unwrap();
    until(&fleet, "all are held", |counts| counts.held == HOLDS + SETS && counts.all > OBJECTS);
    fleet.write_policy("edge.yaml", &probes::policy(1)).unwrap();
    eventually(LONG, || Ok(probes.is_newest(1).then_some(()))).expect("edits go on meanwhile");
    let confirmed =
        fleet.ask(async |mut operator| Ok(operator.confirm_deletion(ListRequest::default()).await?));
    confirmed.unwrap();
    let begun = Instant::now();
    until(&fleet, "they are gone", |counts| counts.ready == counts.all && counts.all == 1 + SETS);
    println!("gone after {:?}", begun.elapsed());
    probes.assert_newest(1);
    flow(&traffic);
    finish(traffic);
}

/// Objects by what their statuses say.
struct Counts {
    all: usize,
    ready: usize,
    invalid: usize,
    held: usize,
}

fn until(fleet: &Fleet, what: &str, holds: impl Fn(&Counts) -> bool) {
    let mut last = (0, 0, 0, 0);
    let waited = eventually(LONG, || {
        let all = fleet.statuses()?;
        let count = |is: fn(&PolicyStatus) -> bool| all.iter().filter(|status| is(status)).count();
        let counts = Counts {
            all: all.len(),
            ready: count(|status| status.ready == "True"),
            invalid: count(|status| status.ready == "False" && status.reason == "Invalid"),
            held: count(|status| status.reason == "MassDeletion"),
        };
        last = (counts.all, counts.ready, counts.invalid, counts.held);
        Ok(holds(&counts).then_some(()))
    });
    waited.unwrap_or_else(|error| panic!("{what}: {error:#} {last:?}{}", fleet.last_words()));
}

/// Of the ports from the first, those where a SYN is not answered, though nobody listens and nobody would.
fn dropped(fleet: &Fleet) -> Vec<usize> {
    let is_dropped = |number: &usize| {
        let port = PORT + u16::try_from(*number).unwrap();
        let to = SocketAddr::from(([10, 80, 1, 2], port));
        let error = TcpStream::connect_timeout(&to, UNANSWERED).expect_err("nobody listens");
        assert!(matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::TimedOut), "{to}: {error}");
        error.kind() == ErrorKind::TimedOut
    };
    fleet.hub.spawn(move || (0..OBJECTS).filter(is_dropped).collect()).join().unwrap()
}

/// None of which says anything of the traffic.
fn many() -> String {
    let mut text = String::new();
    for number in 0..OBJECTS {
        let port = usize::from(PORT) + number;
        write!(
            text,
            "---\napiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: many-{number}}}\nspec:\n  \
             interfaces: {{names: [eth0]}}\n  rules:\n  - name: port\n    action: Drop\n    \
             match: {{protocols: [TCP], destinationPorts: [\"{port}\"]}}\n"
        )
        .unwrap();
    }
    text
}
