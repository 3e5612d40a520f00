//! An agent's process, without a kernel: it confirms what it is sent.

use std::collections::HashMap;
use std::time::Duration;

use futures::{StreamExt, stream};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sluice_client::Held;
use sluice_plan::{Epoch, Hash, NodePlan, Schema};
use sluice_proto::PLAN;
use sluice_proto::v1::agent_message::Kind as Word;
use sluice_proto::v1::server_message::Kind;
use sluice_proto::v1::{
    AgentMessage, Have, Hello, PolicyVerdict, ResourceVerdict, ServerMessage, Update, VerdictStage, Verdicts,
};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::REPLICAS;
use super::wires::{PORT, STREAM, dial, talk};
use super::world::{OnDisk, World, agent, replica};

pub async fn run(world: World, index: usize) -> turmoil::Result {
    let starts = {
        let mut disk = world.held[index].lock().expect("no panic under the lock");
        disk.starts += 1;
        disk.starts
    };
    let mut random = SmallRng::seed_from_u64(world.seed ^ (index as u64) << 32 ^ starts << 48);
    loop {
        let to = random.random_range(0..REPLICAS);
        session(&world, index, to).await;
        sleep(Duration::from_millis(random.random_range(200..600))).await;
    }
}

async fn session(world: &World, index: usize, to: usize) -> Option<()> {
    let purpose = [STREAM, agent(index).as_bytes()].concat();
    let wire = dial(&format!("{}:{PORT}", replica(to)), &purpose).await.ok()?;
    let (say, said) = mpsc::channel::<AgentMessage>(4);
    let said = stream::unfold(said, |mut said| async { said.recv().await.map(|word| (word, said)) });
    let mut heard = talk::<_, ServerMessage>(wire, said.boxed());
    let mut hello = hello(world, index);
    if is_previous(index) {
        hello.have = have(world, index);
    }
    say.send(message(Word::Hello(hello))).await.ok()?;
    let mut nonce = 0;
    say.send(message(Word::Verdicts(verdicts(world, index, nonce)))).await.ok()?;
    while let Some(Ok(message_)) = heard.next().await {
        match message_.kind? {
            Kind::Update(update) => {
                nonce = update.nonce;
                take(world, index, &update);
            }
            Kind::SayAgain(_) => {}
            Kind::AskHave(_) => {
                say.send(message(Word::Have(Have { resources: have(world, index) }))).await.ok()?;
                continue;
            }
            Kind::GoAway(_) => return None,
            _ => continue,
        }
        say.send(message(Word::Verdicts(verdicts(world, index, nonce)))).await.ok()?;
    }
    None
}

/// Every third is an agent of the version before, which says unasked what it has.
fn is_previous(index: usize) -> bool {
    index % 3 == 2
}

fn reads(index: usize) -> Vec<u32> {
    if is_previous(index) { vec![Schema::V2.number()] } else { Schema::numbers() }
}

fn hello(world: &World, index: usize) -> Hello {
    let disk = world.held[index].lock().expect("no panic under the lock");
    let held = &disk.held;
    let Held { epoch, cluster_id, resources, .. } = held;
    Hello {
        node: agent(index),
        boot_id: "boot".to_owned(),
        plan_schemas: reads(index),
        last_epoch: epoch.map(Into::into),
        cluster_id: cluster_id.clone(),
        fleet_hash: if resources.is_empty() { Vec::new() } else { held.fleet_hash().0.to_vec() },
        dialled: turmoil::sim_elapsed().map_or(0, |elapsed| elapsed.as_nanos() as u64 + 1),
        ..Hello::default()
    }
}

fn have(world: &World, index: usize) -> HashMap<String, Vec<u8>> {
    let disk = world.held[index].lock().expect("no panic under the lock");
    disk.held.resources.iter().map(|(key, hash)| (key.clone(), hash.0.to_vec())).collect()
}

fn take(world: &World, index: usize, update: &Update) {
    let mut disk = world.held[index].lock().expect("no panic under the lock");
    let OnDisk { held, plan, .. } = &mut *disk;
    let epoch = Epoch::from(update.epoch.expect("an update has an epoch"));
    update.removed.iter().for_each(|key| _ = held.resources.remove(key));
    for resource in &update.set {
        let hash = Hash::from_slice(&resource.hash).expect("a hash");
        if hash != Hash::of(&resource.bytes) {
            world.record.wrong(format!("{} got other bytes than it was told", agent(index)));
        }
        held.resources.insert(resource.key.clone(), hash);
        if resource.key == PLAN {
            if !reads(index).contains(&resource.schema) {
                world.record.wrong(format!("{} got an encoding that it does not read", agent(index)));
            }
            let schema = Schema::numbered(resource.schema).expect("one that somebody reads");
            let node = NodePlan::decode(schema, &resource.bytes).expect("a plan");
            *plan = node.filters.parts.into_iter().map(|part| part.policy).collect();
        }
    }
    let before = held.epoch.replace(epoch);
    held.cluster_id.clone_from(&update.cluster_id);
    if held.fleet_hash().0.as_slice() != update.fleet_hash {
        world.record.wrong(format!("{} has another whole than was meant", agent(index)));
    }
    world.record.taken(index, before, epoch, held.fleet_hash());
}

fn verdicts(world: &World, index: usize, nonce: u64) -> Verdicts {
    let disk = world.held[index].lock().expect("no panic under the lock");
    let stage = VerdictStage::Programmed.into();
    let policies = disk.plan.iter().map(|policy| PolicyVerdict {
        uid: policy.uid.clone(),
        generation: policy.generation,
        stage,
        ..PolicyVerdict::default()
    });
    let policies: Vec<_> = policies.collect();
    let resource = |(key, hash): (&String, &Hash)| ResourceVerdict {
        key: key.clone(),
        hash: hash.0.to_vec(),
        stage,
        policies: if key == PLAN { policies.clone() } else { Vec::new() },
        ..ResourceVerdict::default()
    };
    let resources = disk.held.resources.iter().map(resource).collect();
    Verdicts { nonce, epoch: disk.held.epoch.map(Into::into), resources }
}

fn message(kind: Word) -> AgentMessage {
    AgentMessage { kind: Some(kind) }
}
