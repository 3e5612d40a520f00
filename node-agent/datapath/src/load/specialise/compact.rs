//! Takes out what nobody needs, so that what is left lies next to each other.

use super::instruction::{Code, Instruction};

pub struct Compacted {
    pub instructions: Vec<Instruction>,
    /// Where each instruction of before is now or, if it is gone, the next one that is not.
    pub places: Vec<u32>,
}

pub fn compact(mut code: Code, mut kept: Vec<bool>) -> Compacted {
    let targets = thread(&code, &mut kept);
    let mut places = places(&kept);
    loop {
        // A jump to what has become the next instruction is none; without it, there may be another such jump.
        let is_idle = |place: &usize| {
            kept[*place]
                && code.0[*place].is_jump()
                && targets[*place].is_some_and(|target| places[target] == places[*place] + 1)
        };
        let idle: Vec<_> = (0..kept.len()).filter(is_idle).collect();
        if idle.is_empty() {
            break;
        }
        idle.into_iter().for_each(|place| kept[place] = false);
        places = self::places(&kept);
    }
    for place in (0..kept.len()).filter(|place| kept[*place]) {
        if let Some(target) = targets[place] {
            code.retarget(place, i64::from(places[target]) - i64::from(places[place]) - 1);
        }
    }
    let instructions = code.0.into_iter().zip(&kept).filter_map(|(one, kept)| kept.then_some(one)).collect();
    Compacted { instructions, places }
}

/// Where instructions lead, jumps that only lead to jumps left out. These are then no longer kept.
fn thread(code: &Code, kept: &mut [bool]) -> Vec<Option<usize>> {
    let next = next_kept(kept);
    let mut targets: Vec<_> = (0..kept.len()).map(|place| code.target(place)).collect();
    for place in (0..kept.len()).filter(|place| kept[*place] && !code.calls(*place)) {
        let Some(mut target) = targets[place] else { continue };
        // A loop of jumps alone has no end.
        for _ in 0..code.0.len() {
            let found = next[target];
            match code.0.get(found).filter(|one| one.is_jump()).and_then(|_| code.target(found)) {
                Some(further) if further.abs_diff(place) < i16::MAX as usize => target = further,
                _ => break,
            }
        }
        targets[place] = Some(target);
    }
    let mut reached = vec![false; kept.len()];
    let mut open = vec![0];
    while let Some(place) = open.pop().map(|place| next[place]) {
        if place == kept.len() || std::mem::replace(&mut reached[place], true) {
            continue;
        }
        if code.slots(place) == 2 {
            reached[place + 1] = true;
        }
        open.extend(targets[place]);
        open.extend(code.falls_through(place).then_some(place + code.slots(place)));
    }
    kept.copy_from_slice(&reached);
    targets
}

/// The first instruction from each on that is kept.
fn next_kept(kept: &[bool]) -> Vec<usize> {
    let mut next = vec![kept.len(); kept.len() + 1];
    for place in (0..kept.len()).rev() {
        next[place] = if kept[place] { place } else { next[place + 1] };
    }
    next
}

fn places(kept: &[bool]) -> Vec<u32> {
    let before = kept.iter().scan(0, |before, kept| {
        let place = *before;
        *before += u32::from(*kept);
        Some(place)
    });
    before.collect()
}
