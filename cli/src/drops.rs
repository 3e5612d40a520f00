//! `kubectl sluice drops`: dropped packets as they come.

mod file;
mod line;
mod packet;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, bail};
use sluice_proto::v1::{Drop, DropBatch, ListRequest, WatchDropsRequest};
use tokio::time::{Instant, sleep_until};

use crate::args::{Connection, Drops, DropsOutput};
use crate::connect::{Operator, answer, connect};
use crate::output::{print_json_line, print_line};
use file::File;

pub async fn run(connection: &Connection, args: &Drops) -> anyhow::Result<ExitCode> {
    let mut operator = connect(connection).await?;
    check_names(&mut operator, args).await?;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let request =
        WatchDropsRequest { policy: text(&args.policy), rule: text(&args.rule), node: text(&args.node) };
    let mut batches = answer(operator.watch_drops(request).await)?;
    let file = args.write.as_deref().map(File::create).transpose()?;
    let mut watch = Watch { args, file, seen: 0, suppressed: BTreeMap::new() };
    let until = Instant::now() + args.time;
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let ended = loop {
        tokio::select! {
            _ = &mut interrupted => break Ok(()),
            () = sleep_until(until), if !args.follow => break Ok(()),
            batch = batches.message() => match batch {
                Ok(Some(batch)) => match watch.take(&batch) {
                    Ok(false) => {}
                    Ok(true) => break Ok(()),
                    Err(error) => break Err(error),
                },
                Ok(None) => break Err(anyhow::anyhow!("the operator ended the stream")),
                Err(status) => break answer::<()>(Err(status)),
            },
        }
    };
    // Also after an error: what was seen so far holds.
    watch.finish()?;
    ended.map(|()| ExitCode::SUCCESS)
}

/// Nothing would ever come of a name that nobody has.
async fn check_names(operator: &mut Operator, args: &Drops) -> anyhow::Result<()> {
    if let Some(name) = &args.policy {
        let known = answer(operator.list_policies(ListRequest { name: name.clone() }).await)?.policies;
        if known.is_empty() {
            bail!("no policy is named \"{name}\": `kubectl sluice status` lists them");
        }
    }
    Ok(())
}

struct Watch<'a> {
    args: &'a Drops,
    file: Option<File>,
    seen: u64,
    /// By node.
    suppressed: BTreeMap<String, u64>,
}

impl Watch<'_> {
    /// Whether that is enough.
    fn take(&mut self, batch: &DropBatch) -> anyhow::Result<bool> {
        for drop in &batch.drops {
            self.show(&batch.node, drop)?;
            self.seen += 1;
            if self.args.count.is_some_and(|count| self.seen >= count.get()) {
                return Ok(true);
            }
        }
        if batch.lost > 0 {
            self.lost(&batch.node, batch.lost)?;
        }
        if batch.suppressed > 0 {
            *self.suppressed.entry(batch.node.clone()).or_default() += batch.suppressed;
        }
        if let Some(file) = &mut self.file {
            file.flush()?;
        }
        Ok(false)
    }

    fn show(&mut self, node: &str, drop: &Drop) -> anyhow::Result<()> {
        let sample = drop.sample.as_ref().context("the operator sent a drop without its packet")?;
        match self.args.output {
            DropsOutput::Text => print_line(line::text(node, drop, sample))?,
            DropsOutput::Json => print_json_line(&line::structured(node, drop, sample))?,
        }
        match &mut self.file {
            Some(file) => file.write(node, drop, sample),
            None => Ok(()),
        }
    }

    fn lost(&self, node: &str, lost: u64) -> anyhow::Result<()> {
        match self.args.output {
            DropsOutput::Text => print_line(format_args!("{node}: {lost} samples lost"))?,
            DropsOutput::Json => print_json_line(&serde_json::json!({"node": node, "lost": lost}))?,
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        if let Some(file) = self.file {
            file.finish()?;
        }
        for (node, number) in &self.suppressed {
            eprintln!(
                "{node}: {number} more packets were dropped by rules that had their 20 samples a second"
            );
        }
        if self.seen == 0 && self.args.output == DropsOutput::Text {
            eprintln!("no packet was dropped");
        }
        Ok(())
    }
}
