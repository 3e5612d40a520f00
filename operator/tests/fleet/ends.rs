//! Filters that end by themselves.

use std::time::{Duration, SystemTime};

use crate::agent::{NEW, has};
use crate::operator::Operator;

fn filter(name: &str, at: SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).expect("a time of ours");
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: {name}}}\nspec:\n  interfaces: {{names: [eth0]}}\n  \
         expiresAt: \"{at}\"\n  rules: [{{name: bad, action: Drop, match: {{protocols: [UDP]}}}}]\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_ends_by_the_operators_clock() {
    let operator = Operator::start();
    let soon = SystemTime::now() + Duration::from_secs(4);
    operator.save("brief.yaml", &filter("brief", soon));
    operator.save("edge.yaml", &filter("edge", soon + Duration::from_secs(86_400)));
    let mut agent = operator.agent("a", NEW);
    has(&mut agent, &[("brief", 1), ("edge", 1)]).await;
    has(&mut agent, &[("edge", 1)]).await;
    assert!(SystemTime::now() >= soon, "not before its moment");
    let said = operator.ready("xdpfilter-brief", "Expired").await;
    assert!(said.starts_with("True Expired it ended at ") && said.ends_with("no node enforces it"), "{said}");
    operator.ready("xdpfilter-edge", "True Programmed 1 of 1").await;

    // A later moment brings it back, and an operator that starts after it finds it ended.
    let soon = SystemTime::now() + Duration::from_secs(3);
    operator.save("brief.yaml", &filter("brief", soon));
    has(&mut agent, &[("brief", 2), ("edge", 1)]).await;
    drop(agent);
    let operator = operator.restart().await;
    operator.ready("xdpfilter-brief", "it ended at").await;
    let mut agent = operator.agent("a", NEW);
    has(&mut agent, &[("edge", 1)]).await;
    operator.ready("xdpfilter-brief", "True Expired").await;
    operator.end().await;
}
