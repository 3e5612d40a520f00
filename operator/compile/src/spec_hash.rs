//! The hash of a policy's contents, as `status.hash` shows it. The object's identity is left out, and how it comes to the
//! nodes and when it leaves them: equal specs have equal hashes. Destructured without `..`, so that a new field does not compile until it is hashed.

use sluice_plan::{Hash, PolicyRef, encode};
use sluice_policy::{Balancer, Filter, ObjectRef};

pub fn filter_hash(filter: &Filter) -> Hash {
    let Filter {
        object: _,
        nodes,
        interfaces,
        attach,
        hook,
        mode,
        priority,
        default_action,
        malformed,
        allow_established,
        rules,
        expires: _,
        rollout: _,
    } = filter;
    let how = (nodes, interfaces, attach, hook, mode, priority);
    Hash::of(&encode(&(how, default_action, malformed, allow_established, rules)))
}

pub fn balancer_hash(balancer: &Balancer) -> Hash {
    let Balancer {
        object: _,
        created: _,
        nodes,
        interfaces,
        addresses,
        ports,
        backends,
        slots,
        health_check,
    } = balancer;
    Hash::of(&encode(&(nodes, interfaces, addresses, ports, backends, slots, health_check)))
}

/// How plans and status name a filter.
pub fn filter_ref(filter: &Filter) -> PolicyRef {
    policy_ref(&filter.object, filter_hash(filter))
}

/// How plans and status name a balancer.
pub fn balancer_ref(balancer: &Balancer) -> PolicyRef {
    policy_ref(&balancer.object, balancer_hash(balancer))
}

fn policy_ref(object: &ObjectRef, hash: Hash) -> PolicyRef {
    let ObjectRef { kind, namespace, name, uid, generation } = object.clone();
    PolicyRef { kind, namespace, name, uid, generation, hash }
}
