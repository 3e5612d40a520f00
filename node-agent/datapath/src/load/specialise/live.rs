//! Which instructions somebody needs.

use super::instruction::{Code, Registers};

/// Those that are reached, and have an effect or a result that is read by one that is needed.
pub fn needed(code: &Code, reached: &[bool]) -> Vec<bool> {
    let read = read_behind(code, reached);
    let mut needed: Vec<_> =
        (0..code.0.len()).map(|place| reached[place] && is_needed(code, place, read[place])).collect();
    for place in 0..code.0.len() {
        if needed[place] && code.slots(place) == 2 {
            needed[place + 1] = true;
        }
    }
    needed
}

fn is_needed(code: &Code, place: usize, read: Registers) -> bool {
    let one = code.0[place];
    one.has_effects() || one.is_jump() || one.writes() & read != 0
}

/// Registers whose values are read behind each instruction before they are written.
fn read_behind(code: &Code, reached: &[bool]) -> Vec<Registers> {
    let mut behind = vec![0; code.0.len()];
    let before = |next: usize, behind: &[Registers]| match code.0.get(next) {
        Some(one) if is_needed(code, next, behind[next]) => behind[next] & !one.writes() | one.reads(),
        Some(_) => behind[next],
        None => 0,
    };
    loop {
        let mut settled = true;
        // Backwards, so that a program without loops takes one turn.
        for place in (0..code.0.len()).rev().filter(|place| reached[*place]) {
            let next = code.falls_through(place).then_some(place + code.slots(place));
            // What a function reads, the call of it does.
            let target = code.target(place).filter(|_| !code.calls(place));
            let read = next.into_iter().chain(target).fold(0, |all, next| all | before(next, &behind));
            settled &= behind[place] == read;
            behind[place] = read;
        }
        if settled {
            return behind;
        }
    }
}
