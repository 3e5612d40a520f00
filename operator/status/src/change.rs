//! Whether a status says something else than the one before.

use serde_json::Value;

/// In the order of their weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// But for the moment at which something was observed.
    Nothing,
    /// Numbers that count on, which may wait.
    Counters,
    Words,
}

impl Change {
    pub fn between(before: &Value, now: &Value) -> Change {
        let (before, now) = (without_moments(before), without_moments(now));
        if before == now {
            Change::Nothing
        } else if without_counters(before) == without_counters(now) {
            Change::Counters
        } else {
            Change::Words
        }
    }
}

fn without_moments(status: &Value) -> Value {
    let mut status = status.clone();
    if let Some(dropped) = status.get_mut("dropped").and_then(Value::as_object_mut) {
        dropped.remove("observedAt");
    }
    status
}

fn without_counters(mut status: Value) -> Value {
    let Some(fields) = status.as_object_mut() else { return status };
    for counter in ["dropped", "oversizePackets", "softnet", "lastFetch"] {
        fields.remove(counter);
    }
    let lists = [("nics", is_counter_of_nic as fn(&str) -> bool), ("feeds", |name| name == "lastFetch")];
    for (list, is_counter) in lists {
        let items = fields.get_mut(list).and_then(Value::as_array_mut);
        for item in items.into_iter().flatten().filter_map(Value::as_object_mut) {
            item.retain(|name, _| !is_counter(name));
        }
    }
    status
}

fn is_counter_of_nic(name: &str) -> bool {
    name.starts_with("rx")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_said_later_is_no_change() {
        let dropped =
            |packets: u64, at: &str| json!({"hash": "a", "dropped": {"packets": packets, "observedAt": at}});
        let before = dropped(7, "2026-01-01T00:00:00Z");
        assert_eq!(Change::between(&before, &dropped(7, "2026-01-01T00:00:09Z")), Change::Nothing);
        assert_eq!(Change::between(&before, &dropped(8, "2026-01-01T00:00:09Z")), Change::Counters);
        assert_eq!(Change::between(&before, &json!({"hash": "b"})), Change::Words);
    }

    #[test]
    fn losses_of_a_card_count_on_and_its_flaps_do_not() {
        let nic =
            |rx: u64, flaps: u64| json!({"nics": [{"name": "eth0", "rxDropped": rx, "linkFlaps": flaps}]});
        assert_eq!(Change::between(&nic(1, 1), &nic(2, 1)), Change::Counters);
        assert_eq!(Change::between(&nic(1, 1), &nic(1, 2)), Change::Words);
    }
}
