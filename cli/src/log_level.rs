//! `kubectl sluice log-level`.

use std::process::ExitCode;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, AttachParams, ListParams};
use sluice_telemetry::{LevelArgs, give};
use tokio::io::AsyncReadExt;

use crate::args::{Connection, LogLevel, Target};
use crate::connect::{cluster_client, data_directory, is_cluster};
use crate::output::print_line;

/// What `status` says of a command that ended well.
const SUCCESS: &str = "Success";

pub async fn run(connection: &Connection, args: &LogLevel) -> anyhow::Result<ExitCode> {
    if is_cluster(connection) {
        return in_pods(connection, args).await;
    }
    match (&args.target, data_directory(connection)) {
        (Target::Node(name), _) => {
            bail!("without a cluster an agent is told on its own node: `sluice-agent log-level` on {name}")
        }
        (Target::Operator, None) => {
            bail!("the operator is told on its own machine: `sluice-operator log-level --data DIR` there")
        }
        (Target::Operator, Some(data)) => print_line(give(&args.level, &data).await?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Each pod of the target, by its own command: who may exec there may do anything with it already.
async fn in_pods(connection: &Connection, args: &LogLevel) -> anyhow::Result<ExitCode> {
    let pods: Api<Pod> = Api::namespaced(cluster_client(connection).await?, &connection.namespace);
    let (component, fields) = match &args.target {
        Target::Operator => ("operator", String::new()),
        Target::Node(name) => ("agent", format!("spec.nodeName={name}")),
    };
    let chosen =
        ListParams::default().labels(&format!("app.kubernetes.io/component={component}")).fields(&fields);
    let found = pods.list(&chosen).await?.items;
    if found.is_empty() {
        let of = if fields.is_empty() { String::new() } else { format!(" with {fields}") };
        bail!("no {component} pod in namespace {}{of}: is the chart installed there?", connection.namespace);
    }
    let mut code = ExitCode::SUCCESS;
    for pod in found {
        let name = pod.name_any();
        match exec(&pods, &connection.namespace, &name, component, &args.level).await {
            Ok(said) => print_line(format_args!("{name}: {said}"))?,
            // The others are told all the same.
            Err(error) => {
                eprintln!("{name}: {error:#}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

async fn exec(
    pods: &Api<Pod>,
    namespace: &str,
    pod: &str,
    component: &str,
    level: &LevelArgs,
) -> anyhow::Result<String> {
    let streams = AttachParams::default().container(component).stdout(true).stderr(true);
    let running = pods.exec(pod, words(component, level), &streams).await;
    let mut running = running.with_context(|| {
        format!("you need the right to exec in pods of {namespace}, or nothing runs in this one")
    })?;
    let (mut out, mut err) = (String::new(), String::new());
    let (mut stdout, mut stderr) =
        running.stdout().zip(running.stderr()).context("no output of the command")?;
    let ended = running.take_status().context("no end of the command")?;
    let read = async {
        tokio::try_join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut err)).map(|_| ())
    };
    let (read, status) = tokio::join!(read, ended);
    read?;
    match status.and_then(|status| status.status) {
        Some(status) if status == SUCCESS => Ok(out.trim().to_owned()),
        _ => bail!("{}", err.trim().trim_start_matches("Error: ")),
    }
}

fn words(component: &str, level: &LevelArgs) -> Vec<String> {
    let LevelArgs { directives, lasts, keep, reset } = level;
    let mut words = vec![format!("/sluice-{component}"), "log-level".to_owned()];
    words.extend(directives.clone());
    if *reset {
        words.push("--reset".to_owned());
    } else if *keep {
        words.push("--keep".to_owned());
    } else {
        words.push(format!("--for={}ms", lasts.as_millis()));
    }
    words
}
