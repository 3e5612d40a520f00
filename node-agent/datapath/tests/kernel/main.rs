//! The kernel program, by hand-made tables and frames. Needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.

mod balancer;
mod established;
mod failsafe;
mod filters;
mod frames;
mod robustness;
mod tables;
mod tunnel;
mod verifier;

use sluice_abi::{Stage, Trace};
use sluice_datapath::load::{LoadSpec, Loaded, load};
use sluice_datapath::test_run::{Outcome, XdpAction};
use sluice_plan::NodePlan;

fn loaded(plan: &NodePlan) -> Loaded {
    loaded_with(plan, LoadSpec::everything(plan))
}

fn loaded_with(plan: &NodePlan, spec: LoadSpec) -> Loaded {
    load(plan, &spec).unwrap_or_else(|error| panic!("{error}"))
}

fn run(loaded: &Loaded, frame: &[u8]) -> Outcome {
    loaded.run(frame).expect("a test run")
}

fn stage(trace: &Trace) -> Stage {
    [Stage::None, Stage::Failsafe, Stage::Filter, Stage::Balancer][trace.stage as usize]
}

#[test]
fn an_empty_plan_passes_everything() {
    let loaded = loaded(&NodePlan::default());
    let outcome = run(&loaded, &[0xff; 60]);
    assert_eq!((outcome.verdict, stage(&outcome.trace)), (XdpAction::Pass, Stage::None));
    assert_eq!(outcome.frame_out, [0xff; 60]);
}
