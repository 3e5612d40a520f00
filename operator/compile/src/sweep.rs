//! Values that entries accept → elementary intervals, each with the row of the entries that accept it.

use crate::rows::{EntrySet, Rows};

/// Values from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span<T> {
    pub first: T,
    pub last: T,
}

/// From `start` up to the next interval's start, the entries of `row` match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval<T> {
    pub start: T,
    pub row: u32,
}

/// The values that one entry accepts in a dimension that it restricts; any order, overlaps allowed.
pub struct Accepts<T> {
    pub entry: usize,
    pub spans: Vec<Span<T>>,
}

pub trait Value: Copy + Ord {
    const MIN: Self;
    /// `None` at the end of the value space.
    fn successor(self) -> Option<Self>;
    fn predecessor(self) -> Option<Self>;
}

macro_rules! value {
    ($($type:ty),*) => { $(impl Value for $type {
        const MIN: Self = 0;
        fn successor(self) -> Option<Self> { self.checked_add(1) }
        fn predecessor(self) -> Option<Self> { self.checked_sub(1) }
    })* };
}
value!(u32, u64, u128);

/// Walks once over the sorted ends of all spans, switching one entry's bit at each: O(n log n) in their number.
/// `open` has the entries that accept every value; neighbours with equal rows are joined.
pub fn sweep<T: Value>(accepts: &[Accepts<T>], open: &EntrySet, rows: &mut Rows) -> Vec<Interval<T>> {
    let mut matching = *open;
    let mut switches = switches(accepts).into_iter().peekable();
    let mut intervals: Vec<Interval<T>> = Vec::new();
    let mut at = T::MIN;
    loop {
        while let Some((_, entry)) = switches.next_if(|(position, _)| *position == at) {
            matching.toggle(usize::from(entry));
        }
        let index = rows.intern(&matching);
        if intervals.last().is_none_or(|last| last.row != index) {
            intervals.push(Interval { start: at, row: index });
        }
        match switches.peek() {
            Some((position, _)) => at = *position,
            None => return intervals,
        }
    }
}

/// Where which entry's bit changes, in order.
fn switches<T: Value>(accepts: &[Accepts<T>]) -> Vec<(T, u16)> {
    let mut switches = Vec::new();
    for Accepts { entry, spans } in accepts {
        for span in union(spans.clone()) {
            switches.push((span.first, *entry as u16));
            switches.extend(span.last.successor().map(|after| (after, *entry as u16)));
        }
    }
    switches.sort_unstable();
    switches
}

/// Disjoint, sorted spans with a gap between any two, so that one entry never switches twice at one value.
pub fn union<T: Value>(mut spans: Vec<Span<T>>) -> Vec<Span<T>> {
    spans.sort_unstable();
    let mut joined: Vec<Span<T>> = Vec::with_capacity(spans.len());
    for span in spans {
        match joined.last_mut() {
            Some(last) if last.last.successor().is_none_or(|after| span.first <= after) => {
                last.last = last.last.max(span.last);
            }
            _ => joined.push(span),
        }
    }
    joined
}

/// The values of `spans` that are in none of `except`.
pub fn subtract<T: Value>(spans: Vec<Span<T>>, except: Vec<Span<T>>) -> Vec<Span<T>> {
    let except = union(except);
    let mut left = Vec::new();
    for span in union(spans) {
        let from = except.partition_point(|hole| hole.last < span.first);
        let mut first = Some(span.first);
        for hole in except[from..].iter().take_while(|hole| hole.first <= span.last) {
            let before = hole.first.predecessor();
            if let (Some(first), Some(last)) = (first, before)
                && first <= last
            {
                left.push(Span { first, last });
            }
            first = hole.last.successor();
        }
        if let Some(first) = first
            && first <= span.last
        {
            left.push(Span { first, last: span.last });
        }
    }
    left
}
