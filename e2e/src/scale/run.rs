//! One fleet after the other, each larger than the one before.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::time::sleep;

use super::agent::Seen;
use super::curve::Curve;
use super::fleet::Fleet;
use super::leader;
use super::operator::{Operator, Usage, policies};
use super::policies::{ALL, Policies, SET};
use super::report::{Full, Report, Stage};
use super::writes::Writes;
use crate::bench::median;

/// Status is written in its own time, at most fifty objects a second.
const STATUS: Duration = Duration::from_secs(300);
const SILENCE: Duration = Duration::from_secs(3);
/// After an edit, until all that is written because of it is.
const AFTERMATH: Duration = Duration::from_secs(4);

pub struct Options {
    /// Sizes of the fleets.
    pub agents: Vec<usize>,
    pub classes: usize,
    /// On the last fleet.
    pub policies: usize,
    pub set_prefixes: usize,
    pub edits: usize,
    /// How long nothing happens.
    pub steady: Duration,
    /// Agents of three replicas; 0 leaves them out.
    pub replicated: usize,
}

/// An operator in directory mode and its fleet.
struct Scene {
    policies: Policies,
    operator: Operator,
    writes: Writes,
    fleet: Fleet,
    edited: i64,
    _place: TempDir,
}

pub async fn measure(options: &Options) -> anyhow::Result<Report> {
    let mut report = Report::new()?;
    for (index, &agents) in options.agents.iter().enumerate() {
        eprintln!("{agents} agents");
        let mut scene = Scene::set(agents, options.classes)?;
        report.stages.push(scene.stage(options).await?);
        if index + 1 == options.agents.len() {
            report.full = Some(scene.full(options).await?);
        }
    }
    if options.replicated > 0 {
        eprintln!("three replicas");
        report.leader = Some(leader::killed(options).await?);
    }
    Ok(report)
}

impl Scene {
    fn set(agents: usize, classes: usize) -> anyhow::Result<Scene> {
        let place = tempfile::tempdir()?;
        let policies = Policies::new(&policies(place.path()), classes)?;
        let mut operator = Operator::new(place.path(), "operator")?;
        let fleet = Fleet::new(place.path(), agents, classes, operator.address.to_string())?;
        let writes = Writes::watch(&operator.status())?;
        operator.start()?;
        operator.wait_ready()?;
        Ok(Scene { policies, operator, writes, fleet, edited: 1, _place: place })
    }

    async fn stage(&mut self, options: &Options) -> anyhow::Result<Stage> {
        let join = self.programmed_from_nothing().await?;
        let joined = self.operator.usage()?;
        let cold = self.programmed_from_nothing().await?;
        let restart = self.restart().await?;
        let (reconnect, reconnect_bytes, replanned) = self.reconnect().await?;
        self.writes.quiet(SILENCE, STATUS).await?;
        let (cpu, steady_writes) = self.steady(options.steady).await?;
        let mut edits = Vec::new();
        for _ in 0..options.edits {
            edits.push(self.edit().await?);
        }
        let Usage { rss_mib, peak_mib, .. } = self.operator.usage()?;
        let middle = median(edits.iter().map(|(curve, _)| curve.until(0.99)));
        let edit = edits.iter().find(|(curve, _)| curve.until(0.99) == middle);
        Ok(Stage {
            agents: self.fleet.updates().len(),
            join,
            join_cpu: joined.cpu.as_secs_f64(),
            cold,
            restart,
            reconnect,
            reconnect_bytes,
            replanned,
            cpu_percent: cpu * 100.0,
            steady_writes,
            edit: edit.map(|(curve, _)| curve.clone()).unwrap_or_default(),
            edit_writes: edits.iter().map(|(_, writes)| *writes).max().unwrap_or_default(),
            rss_mib,
            peak_mib,
        })
    }

    async fn programmed_from_nothing(&mut self) -> anyhow::Result<Curve> {
        let (start, edited) = (Instant::now(), self.edited);
        self.fleet.start();
        self.fleet.until(start, |_, seen| seen.generation(ALL) == edited).await
    }

    /// The operator dies and starts again.
    async fn restart(&mut self) -> anyhow::Result<Curve> {
        // What is agreed on by now is all that there will be.
        sleep(AFTERMATH).await;
        let updates = self.fleet.updates();
        self.operator.kill()?;
        let start = Instant::now();
        self.operator.start()?;
        self.fleet.until(start, |index, seen| seen.updates > updates[index]).await
    }

    /// Every agent dies and starts again; the most bytes that one was sent and that one sent, and how often plans were encoded.
    async fn reconnect(&mut self) -> anyhow::Result<(Curve, (u64, u64), usize)> {
        sleep(AFTERMATH).await;
        let (planned, start) = (self.operator.planned(), Instant::now());
        self.fleet.restart();
        let back = self.fleet.until(start, |_, seen| seen.updates > 0).await?;
        let most = |bytes: Vec<u64>| bytes.into_iter().max().unwrap_or_default();
        let bytes = (most(self.fleet.received()), most(self.fleet.sent()));
        Ok((back, bytes, self.operator.planned() - planned))
    }

    /// Part of a core, and status files.
    async fn steady(&self, time: Duration) -> anyhow::Result<(f64, usize)> {
        let (before, writes, start) = (self.operator.usage()?, self.writes.count(), Instant::now());
        sleep(time).await;
        let used = self.operator.usage()?.cpu - before.cpu;
        Ok((used.as_secs_f64() / start.elapsed().as_secs_f64(), self.writes.count() - writes))
    }

    /// An edit of the policy for all, and the status files that were written because of it.
    async fn edit(&mut self) -> anyhow::Result<(Curve, usize)> {
        let (writes, start) = (self.writes.count(), Instant::now());
        self.policies.edit()?;
        self.edited += 1;
        let edited = self.edited;
        let curve = self.fleet.until(start, |_, seen| seen.generation(ALL) == edited).await?;
        sleep(AFTERMATH).await;
        Ok((curve, self.writes.count() - writes))
    }

    async fn full(&mut self, options: &Options) -> anyhow::Result<Full> {
        self.policies.of_classes(options.policies.div_ceil(options.classes))?;
        let filter = format!("class-0-{}", options.policies.div_ceil(options.classes) - 1);
        let (begun, classes) = (Instant::now(), options.classes);
        let has = |index: usize, seen: &Seen| !index.is_multiple_of(classes) || seen.generation(&filter) == 1;
        self.fleet.until(begun, has).await?;
        self.writes.quiet(SILENCE, STATUS).await?;
        let many = self.operator.usage()?;
        let (edit, _) = self.edit().await?;
        let (set, set_bytes) = self.one_prefix_more(options.set_prefixes).await?;
        let with_set = self.operator.usage()?;
        Ok(Full {
            policies: options.policies,
            rss_mib: many.rss_mib,
            peak_mib: many.peak_mib,
            edit,
            set_prefixes: options.set_prefixes,
            set,
            set_bytes,
            set_rss_mib: with_set.rss_mib,
        })
    }

    /// Until each agent has it, and the most bytes that one was sent for it.
    async fn one_prefix_more(&mut self, prefixes: usize) -> anyhow::Result<(Curve, u64)> {
        let key = sluice_proto::set_key(SET);
        self.fleet.common.stock(true);
        self.policies.use_set(prefixes)?;
        self.fleet.until(Instant::now(), |_, seen| seen.resources.contains_key(&key)).await?;
        self.fleet.common.stock(false);
        sleep(AFTERMATH).await;
        let before = self.fleet.held(&key);
        let received = self.fleet.received();
        let start = Instant::now();
        self.policies.extend_set(prefixes)?;
        let curve =
            self.fleet.until(start, |index, seen| seen.resources.get(&key) != before[index].as_ref()).await?;
        let most = self.fleet.received().iter().zip(&received).map(|(now, before)| now - before).max();
        Ok((curve, most.unwrap_or_default()))
    }
}
