//! A plan loads into the real kernel. Needs root.

use sluice_datapath::load::{LoadSpec, load};
use sluice_datapath::test_run::XdpAction;
use sluice_plan::NodePlan;

#[test]
fn an_empty_plan_passes_everything() {
    let plan = NodePlan::default();
    let loaded = load(&plan, &LoadSpec::everything(&plan)).expect("loads");
    let outcome = loaded.run(&[0; 60]).expect("runs");
    assert_eq!(outcome.verdict, XdpAction::Pass);
    assert_eq!(outcome.frame_out, [0; 60]);
}
