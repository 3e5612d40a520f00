//! The agent dies right after each step of putting something in force.
//!
//! Steps are spans of `tracing`. The agent here is the real one with one more layer, which kills the process when the
//! span that a file names is left; production code knows nothing of it.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use clap::Parser;
use nix::libc::SIGKILL;
use nix::sys::signal::{Signal, raise};
use sluice_agent::args::Cli;
use sluice_agent::{Config, run};
use sluice_e2e::fleet::Fleet;
use sluice_e2e::process::Process;
use tokio_util::sync::CancellationToken;
use tracing::Subscriber;
use tracing::span::Id;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::probes;
use crate::{PATIENCE, finish, flow, watch};

/// Names the file that names the step.
const CRASH_FILE: &str = "SLUICE_TEST_CRASH_FILE";
const OF_A_PLAN: [&str; 8] =
    ["place-sets", "load", "self-test", "read-back", "swap", "retire", "persist", "confirm"];
const OF_A_SET: [&str; 7] = ["make-set", "place-sets", "read-back", "swap", "retire", "persist", "confirm"];

struct CrashPoint(PathBuf);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for CrashPoint {
    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        let step = context.span(id).expect("who is left was there").name();
        if fs::read_to_string(&self.0).is_ok_and(|wanted| wanted == step) {
            fs::remove_file(&self.0).unwrap();
            raise(Signal::SIGKILL).unwrap();
        }
    }
}

/// The agent of the tests below. Its arguments stand behind those of the test runner.
#[test]
#[ignore = "started by another test, as a process of its own"]
fn agent_process() {
    let file = std::env::var_os(CRASH_FILE).expect("another test starts this one");
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let lines = lines.with_filter(tracing_subscriber::filter::LevelFilter::INFO);
    tracing_subscriber::registry().with(CrashPoint(file.into())).with(lines).init();
    let line = std::env::args_os().skip_while(|argument| argument != "--").skip(1);
    let config = Config::try_from(Cli::parse_from(line).run).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(run(config, CancellationToken::new())).unwrap();
}

#[test]
fn an_agent_that_dies_after_any_step_of_a_plan_reaches_it() {
    die_after_each("slfp", &OF_A_PLAN, "edge", |fleet, version| {
        fleet.write_policy("edge.yaml", &probes::policy(version)).unwrap();
    });
}

#[test]
fn an_agent_that_dies_after_any_step_of_a_set_reaches_it() {
    die_after_each("slfs", &OF_A_SET, "newest", |fleet, version| {
        fleet.write_policy("newest.txt", &probes::list(version)).unwrap();
    });
}

/// `edit` writes a version of the object; each drops what the source with its number sends.
fn die_after_each(prefix: &str, steps: &[&str], object: &str, edit: impl Fn(&Fleet, u8)) {
    let (mut fleet, directory) = crate::fleet(prefix, 1);
    probes::write_objects(&fleet);
    edit(&fleet, 0);
    fleet.start_operator().unwrap();
    let crash_file = directory.path().join("crash");
    start_agent(&mut fleet, &crash_file);
    let (mut hash, probes, traffic) = watch(&fleet, object);
    probes.assert_newest(0);
    for (step, version) in steps.iter().zip(1..) {
        fs::write(&crash_file, step).unwrap();
        edit(&fleet, version);
        let agent = fleet.edges[0].agent.as_mut().unwrap();
        let status = agent.wait(PATIENCE).unwrap_or_else(|error| panic!("{step} is no step: {error:#}"));
        assert_eq!(status.signal(), Some(SIGKILL), "{step}: {}", fleet.last_words());
        assert!(!crash_file.exists(), "it died of something else than {step}");
        flow(&traffic);
        // Nobody has told the operator of it.
        let statuses = fleet.statuses().unwrap();
        let status = statuses.iter().find(|status| status.name == object).unwrap();
        assert!(status.ready != "True" || status.hash == hash, "after {step}: {status:?}");

        start_agent(&mut fleet, &crash_file);
        hash = fleet.wait_ready(object, 1, &hash, PATIENCE).unwrap().hash;
        probes.assert_newest(version);
        flow(&traffic);
    }
    finish(traffic);
}

fn start_agent(fleet: &mut Fleet, crash_file: &Path) {
    let own = std::env::current_exe().unwrap().display().to_string();
    let through = [&own, "crash_points::agent_process", "--exact", "--ignored", "--nocapture", "--"];
    let mut command = fleet.agent_command(0, &through).unwrap();
    command.env(CRASH_FILE, crash_file);
    let agent = Process::start(&fleet.edges[0].name, &fleet.options.directory, command).unwrap();
    fleet.edges[0].agent = Some(agent);
}
