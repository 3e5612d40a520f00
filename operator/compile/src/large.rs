//! More entries than a row has bits: trees beside the rows. What the tables mean is in `ebpf/abi/src/large.rs`.
//!
//! `split` (entries that rows look up as ever, columns of the others) → `regions` (entries as boxes of intervals) →
//! `forest` (boxes to trees, by `cut`) → `store` (each node, child list and leaf once) → `encode`.
//!
//! What the trees cannot tell apart goes to the rows while there are bits; then the forest is grown anew. A set that
//! needs more than the bounds allow is tried with other borders between narrow and broad addresses, and then refused.

mod cut;
mod encode;
mod forest;
mod regions;
mod space;
mod split;
mod store;

use sluice_plan::FilterTables;

use crate::error::CompileError;
use crate::filters::look_ups;
use crate::flatten::Flat;
use forest::Forest;
use regions::Lists;
use split::Split;

/// Prefix lengths (IPv4; IPv6 ones count half) from which on an address is narrow, in the order in which they are tried.
const BORDERS: [u32; 4] = [12, 20, 24, 8];
/// How often what the trees could not tell apart goes to the rows, before another border is tried.
const ROUNDS: usize = 4;

pub fn tables(flat: &Flat) -> Result<FilterTables, CompileError> {
    let lists = regions::lists(flat);
    let wide = split::wide(flat, &lists)?;
    let mut refusal = None;
    for border in BORDERS {
        match with_border(flat, &lists, wide.clone(), border) {
            Ok(tables) => return Ok(tables),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Err(refusal.expect("there are borders"))
}

fn with_border(
    flat: &Flat,
    lists: &[Option<Lists>],
    mut wide: Vec<bool>,
    border: u32,
) -> Result<FilterTables, CompileError> {
    for round in 1.. {
        let split = Split::new(flat, &wide)?;
        let regions = regions::regions(flat, lists, &split);
        let forest = Forest::grow(&regions, border);
        forest.check(flat, &regions)?;
        if forest.alike.is_empty() {
            let bits = split.flat(flat);
            let tables = look_ups(&bits);
            return Ok(tables.encode(
                &flat.entries,
                bits.entries.len(),
                encode::large(flat, &split, &regions, &forest),
            ));
        }
        if round == ROUNDS {
            return Err(forest.too_many_alike(flat));
        }
        forest.alike.iter().for_each(|entry| wide[usize::from(*entry)] = true);
    }
    unreachable!("the last round returns")
}
