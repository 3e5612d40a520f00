//! Sets of numbers as ranges.

/// Ascending, neither overlapping nor touching; both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    pub fn of(ranges: impl IntoIterator<Item = (u128, u128)>) -> Ranges {
        let mut sorted: Vec<_> = ranges.into_iter().collect();
        sorted.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(sorted.len());
        for (first, last) in sorted {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Ranges(merged)
    }

    pub fn one(first: u128, last: u128) -> Ranges {
        Ranges(vec![(first, last)])
    }

    pub fn numbers(numbers: impl IntoIterator<Item = u128>) -> Ranges {
        Self::of(numbers.into_iter().map(|number| (number, number)))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the other is a part of this.
    pub fn covers(&self, other: &Ranges) -> bool {
        let mut mine = self.0.iter();
        let mut current = mine.next();
        other.0.iter().all(|&(first, last)| {
            while current.is_some_and(|range| range.1 < first) {
                current = mine.next();
            }
            current.is_some_and(|range| range.0 <= first && last <= range.1)
        })
    }

    pub fn meets(&self, other: &Ranges) -> bool {
        !self.and(other).is_empty()
    }

    pub fn and(&self, other: &Ranges) -> Ranges {
        let (mut mine, mut theirs) = (self.0.as_slice(), other.0.as_slice());
        let mut both = Vec::new();
        while let (Some(a), Some(b)) = (mine.first(), theirs.first()) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                both.push((first, last));
            }
            if a.1 < b.1 { mine = &mine[1..] } else { theirs = &theirs[1..] }
        }
        Ranges(both)
    }

    pub fn or(&self, other: &Ranges) -> Ranges {
        Ranges::of(self.0.iter().chain(&other.0).copied())
    }

    pub fn without(&self, other: &Ranges) -> Ranges {
        let mut left = Vec::new();
        let mut holes = other.0.as_slice();
        for &(mut first, last) in &self.0 {
            while holes.first().is_some_and(|hole| hole.1 < first) {
                holes = &holes[1..];
            }
            let mut rest = holes;
            let mut open = true;
            while let Some(&(hole, end)) = rest.first().filter(|hole| hole.0 <= last) {
                if hole > first {
                    left.push((first, hole - 1));
                }
                rest = &rest[1..];
                open = end < last;
                if !open {
                    break;
                }
                first = end + 1;
            }
            if open {
                left.push((first, last));
            }
        }
        Ranges(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair of sets of eight numbers, held against bit masks.
    #[test]
    fn sets_are_sets() {
        let set = |mask: u32| Ranges::numbers((0..8).filter(|bit| mask & 1 << bit != 0));
        for a in 0..256 {
            for b in 0..256 {
                let (left, right) = (set(a), set(b));
                assert_eq!(left.covers(&right), a & b == b, "{left:?} covers {right:?}");
                assert_eq!(left.meets(&right), a & b != 0, "{left:?} meets {right:?}");
                assert_eq!(left.and(&right), set(a & b), "{left:?} and {right:?}");
                assert_eq!(left.or(&right), set(a | b), "{left:?} or {right:?}");
                assert_eq!(left.without(&right), set(a & !b), "{left:?} without {right:?}");
            }
        }
    }

    #[test]
    fn the_last_number_has_no_successor() {
        let all = Ranges::one(0, u128::MAX);
        let last = Ranges::one(u128::MAX, u128::MAX);
        assert_eq!(all.without(&last), Ranges::one(0, u128::MAX - 1));
        assert_eq!(all.without(&last).or(&last), all);
        assert!(all.without(&all).is_empty());
    }
}
