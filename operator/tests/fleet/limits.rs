//! Agents that cannot take everything: what they are sent, and what the status says.

use sluice_proto::v1::Capabilities;

use crate::agent::{NEW, has};
use crate::operator::Operator;

fn filter(name: &str, hook: &str, matches: &str) -> String {
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpFilter\nmetadata: {{name: {name}}}\nspec:\n  interfaces: {{names: [eth0]}}\n  \
         attach: {{hook: {hook}}}\n  rules: [{{name: bad, action: Drop, match: {matches}}}]\n"
    )
}

fn set(cidrs: &str) -> String {
    let cidrs: Vec<_> = cidrs.split(' ').map(|cidr| format!("{{cidr: \"{cidr}\"}}")).collect();
    format!(
        "apiVersion: sluice.dev/v1alpha1\nkind: XdpAddressSet\nmetadata: {{name: bad}}\nspec: {{entries: [{}]}}\n",
        cidrs.join(", ")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kernel_without_tcx_is_not_sent_what_needs_it() {
    let operator = Operator::start();
    operator.save("edge.yaml", &filter("edge", "Xdp", "{protocols: [UDP]}"));
    let mut new = operator.agent("new", NEW);
    let old = operator.agent("old", Capabilities { tcx: false, ..NEW });
    operator.ready("xdpfilter-edge", "2 of 2 nodes enforce generation 1").await;

    operator.save("edge.yaml", &filter("edge", "TcEgress", "{protocols: [UDP]}"));
    let said = operator.ready("xdpfilter-edge", "refuse").await;
    assert_eq!(
        said,
        "False Rejected 1 of 2 nodes enforce generation 2, 1 refuse it; old: HookRefused: XdpFilter/edge: attach.hook \
         TcEgress needs tcx, which Linux has from 6.6 on and this node's kernel has not: use hook Xdp, or select other nodes"
    );
    has(&mut new, &[("edge", 2)]).await;
    // Neither the new version nor anything beside it.
    operator.save("more.yaml", &filter("more", "Xdp", "{protocols: [TCP]}"));
    has(&mut new, &[("edge", 2), ("more", 1)]).await;
    operator.ready("xdpfilter-more", "old: HookRefused: XdpFilter/edge").await;
    assert_eq!(*old.filters.borrow(), [("edge".to_owned(), 1)], "the last good plan");

    // A newer kernel is all that it takes.
    drop(old);
    let mut old = operator.agent("old", NEW);
    has(&mut old, &[("edge", 2), ("more", 1)]).await;
    operator.ready("xdpfilter-edge", "True Programmed 2 of 2 nodes").await;
    operator.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_outgrows_a_node_is_not_sent_there() {
    let operator = Operator::start();
    operator.save("edge.yaml", &filter("edge", "Xdp", "{sources: {sets: [bad]}}"));
    operator.save("bad.yaml", &set("192.0.2.0/24 2001:db8::/32"));
    let _large = operator.agent("large", NEW);
    let _small = operator.agent("small", Capabilities { set_prefixes: 7, ..NEW });
    operator.ready("xdpaddressset-bad", "2 of 2 nodes hold its present addresses").await;

    operator.save("bad.yaml", &set("192.0.2.0/24 198.51.100.0/24 2001:db8::/32"));
    let said = operator.ready("xdpaddressset-bad", "refuse").await;
    assert!(
        said.contains("1 of 2 nodes hold its present addresses, 1 refuse it; small: TooManyPrefixes"),
        "{said}"
    );
    assert!(said.contains("brings the node to 8 prefixes") && said.contains("it takes 7: shorten"), "{said}");
    operator.ready("xdpfilter-edge", "True Programmed 2 of 2 nodes").await;
    operator.save("bad.yaml", &set("192.0.2.0/24 198.51.100.0/24"));
    operator.ready("xdpaddressset-bad", "True Programmed 2 of 2 nodes").await;
    operator.end().await;
}
