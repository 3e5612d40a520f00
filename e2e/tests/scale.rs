//! The bench of large fleets measures what it says, here on a small one: no test waits for a number.

use std::time::Duration;

use sluice_e2e::scale::{Options, measure};

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_of_a_fleet_is_found() {
    let options = Options {
        agents: vec![4, 8],
        classes: 3,
        policies: 6,
        set_prefixes: 10_000,
        edits: 1,
        steady: Duration::from_millis(100),
        replicated: 4,
    };
    let report = measure(&options).await.unwrap();
    let sizes: Vec<usize> = report.stages.iter().map(|stage| stage.edit.agents()).collect();
    assert_eq!(sizes, [4, 8]);
    for stage in &report.stages {
        assert_eq!(stage.replanned, 0, "who comes back changes nothing");
        assert!(stage.reconnect_bytes.0 > 0 && stage.reconnect_bytes.1 > 0 && stage.rss_mib > 0.0);
        assert_eq!(stage.steady_writes, 0);
        assert!(stage.edit_writes > 0, "the status of the policy");
    }
    let full = report.full.as_ref().unwrap();
    assert!(full.set_bytes > 0 && full.set.last() > 0.0);
    assert!(report.leader.is_some_and(|(first, last)| first <= last));
    assert!(report.markdown().contains("| 8 agents with certificates"));
}
