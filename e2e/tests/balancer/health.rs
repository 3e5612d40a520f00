//! Backends that come and go.

use std::time::{Duration, Instant};

use sluice_e2e::clients::{Clients, ask};
use sluice_e2e::process::eventually;

use crate::shop::{FALL, INTERVAL, PATIENCE, RISE, Shop, VIP4, WEIGHTS};

/// From the last failed check to the last node's new ring: report, agreement, a program loaded and swapped. A tenth of it
/// is usual; the rest is for a machine that does other things too.
const MARGIN: Duration = Duration::from_millis(1500);

fn clients(shop: &Shop) -> Clients {
    Clients::start(&shop.fleet.hub, Shop::vip("IPv4"), 22_000..22_060, Duration::from_millis(1))
}

pub fn a_killed_backend_is_out_in_time_and_nobody_else_notices(shop: &mut Shop) {
    shop.wait_status("all healthy", |status| status["healthy"] == "6/6");
    let clients = clients(shop);
    eventually(PATIENCE, || Ok((clients.log().clients().values().sum::<usize>() == 60).then_some(())))
        .unwrap();
    let homes = clients.take();
    assert!(homes.failures.is_empty() && homes.clients().len() == 3, "{homes:?}");

    let killed = Instant::now();
    shop.kill_server("edge-2");
    // All of its clients have been served by another.
    eventually(PATIENCE, || Ok((!clients.log().clients().contains_key("edge-2")).then_some(())))
        .unwrap_or_else(|error| panic!("{error:#}: {:?}{}", clients.log().clients(), shop.words()));
    let log = clients.take();
    let last = log.failures.iter().map(|failure| failure.at).max().expect("its own clients notice");
    let (out, bound) = (last - killed, FALL * INTERVAL + MARGIN);
    println!(
        "out after {out:?} (fall × interval = {:?}); {} requests of its clients failed, {:?} answered by the others",
        FALL * INTERVAL,
        log.failures.len(),
        log.answers
    );
    assert!(out <= bound, "out after {out:?}, more than {bound:?}");
    let others = log.failures_of_others("edge-2");
    assert!(others.is_empty(), "clients of the others failed: {others:?}");
    assert!(log.answers["edge-3"] > 0 && log.answers["edge-4"] > 0, "{:?}", log.answers);

    let status = shop
        .wait_status("one down", |status| status["healthy"] == "4/6" && status["nodes"]["summary"] == "1/1");
    assert_eq!(status["ports"][0]["name"], "http");
    assert_eq!((&status["ports"][0]["healthy"], &status["ports"][0]["total"]), (&4.into(), &6.into()));
    assert_eq!(status["oversizePackets"], 50, "{status:#}");
    let down = |backend: &&serde_json::Value| backend["health"] == "Unhealthy";
    let backends = status["backends"].as_array().unwrap();
    assert_eq!(backends.iter().filter(down).count(), 2, "both addresses of the node: {status:#}");
    assert!(
        backends.iter().find(down).unwrap()["message"].as_str().unwrap().contains("refused"),
        "{status:#}"
    );
}

pub fn a_backend_that_is_back_takes_its_share_again(shop: &mut Shop) {
    let started = Instant::now();
    shop.start_server("edge-2");
    let clients = clients(shop);
    eventually(PATIENCE, || Ok((clients.log().answers.get("edge-2") >= Some(&10)).then_some(())))
        .unwrap_or_else(|error| panic!("{error:#}: {:?}{}", clients.log().answers, shop.words()));
    println!("back after {:?} (rise × interval = {:?})", started.elapsed(), RISE * INTERVAL);
    shop.wait_status("all healthy", |status| status["healthy"] == "6/6");
}

pub fn without_a_healthy_backend_packets_are_dropped_and_counted(shop: &mut Shop) {
    for (number, _) in WEIGHTS {
        shop.kill_server(&format!("edge-{number}"));
    }
    let status = shop.wait_status("none healthy", |status| {
        status["healthy"] == "0/6"
            && status["nodes"]["summary"] == "1/1"
            && condition(status, "Ready")["status"] == "False"
    });
    assert_eq!(condition(&status, "Ready")["reason"], "NoHealthyBackends", "{status:#}");
    assert_eq!(condition(&status, "Programmed")["status"], "True", "{status:#}");
    let dropped = |shop: &Shop| shop.counted("edge-1", &format!("{VIP4}:80/TCP"), "drop");
    let (before, no_backend) = (dropped(shop), shop.stat("edge-1", "no_backend"));
    let vip = Shop::vip("IPv4");
    // The status speaks of the generation; until the ring is in force too, dead backends refuse.
    eventually(PATIENCE, || {
        let answer = shop.fleet.hub.spawn(move || ask(vip, 23_000)).join().unwrap();
        assert!(answer.is_err(), "{answer:?}");
        let counted = dropped(shop) > before && shop.stat("edge-1", "no_backend") > no_backend;
        Ok(counted.then_some(()))
    })
    .unwrap_or_else(|error| {
        let (vip, node) = (dropped(shop) - before, shop.stat("edge-1", "no_backend") - no_backend);
        panic!("{error:#}: {vip} at the VIP, {node} at the node: {:#}{}", shop.status(), shop.words())
    });
}

fn condition<'a>(status: &'a serde_json::Value, kind: &str) -> &'a serde_json::Value {
    let found = status["conditions"].as_array().and_then(|all| all.iter().find(|one| one["type"] == kind));
    found.unwrap_or(&serde_json::Value::Null)
}
