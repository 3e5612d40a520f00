//! Takes out what nobody needs, so that what is left lies next to each other.

use super::instruction::{Code, Instruction};

pub struct Compacted {
    pub instructions: Vec<Instruction>,
    /// Where each instruction of before is now or, if it is gone, the next one that is not.
    pub places: Vec<u32>,
}

pub fn compact(mut code: Code, mut kept: Vec<bool>) -> Compacted {
    let mut places = places(&kept);
    loop {
        // A jump to what has become the next instruction is none; without it, there may be another such jump.
        let idle: Vec<_> =
            (0..kept.len()).filter(|place| kept[*place] && is_idle(&code, *place, &places)).collect();
        if idle.is_empty() {
            break;
        }
        idle.into_iter().for_each(|place| kept[place] = false);
        places = self::places(&kept);
    }
    for place in (0..kept.len()).filter(|place| kept[*place]) {
        if let Some(target) = code.target(place) {
            code.retarget(place, i64::from(places[target]) - i64::from(places[place]) - 1);
        }
    }
    let instructions = code.0.into_iter().zip(&kept).filter_map(|(one, kept)| kept.then_some(one)).collect();
    Compacted { instructions, places }
}

fn places(kept: &[bool]) -> Vec<u32> {
    let before = kept.iter().scan(0, |before, kept| {
        let place = *before;
        *before += u32::from(*kept);
        Some(place)
    });
    before.collect()
}

fn is_idle(code: &Code, place: usize, places: &[u32]) -> bool {
    let target = code.target(place).filter(|_| code.0[place].is_jump());
    target.is_some_and(|target| places[target] == places[place] + 1)
}
