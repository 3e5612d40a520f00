//! How many slots each backend gets.

/// Counts that add up to `slots`, each the exact share `slots * weight / sum` rounded down or up, so that the error is
/// below one slot. Without a previous count the largest remainders round up; with one, each count stays as near to it
/// as its rounding allows, so that no slot moves for the sake of a remainder.
pub fn shares(weights: &[u64], previous: &[u64], slots: u64) -> Vec<u64> {
    let sum: u64 = weights.iter().sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let mut shares: Vec<Share> = weights
        .iter()
        .zip(previous)
        .map(|(weight, previous)| Share::new(slots * weight, sum, *previous))
        .collect();
    balance(&mut shares, slots);
    shares.into_iter().map(|share| share.count).collect()
}

struct Share {
    floor: u64,
    /// Of the exact share, in units of 1 / sum of weights.
    remainder: u64,
    count: u64,
}

impl Share {
    fn new(dividend: u64, sum: u64, previous: u64) -> Share {
        let (floor, remainder) = (dividend / sum, dividend % sum);
        Share { floor, remainder, count: previous.clamp(floor, floor + u64::from(remainder > 0)) }
    }

    fn may_grow(&self) -> bool {
        self.remainder > 0 && self.count == self.floor
    }

    fn may_shrink(&self) -> bool {
        self.count > self.floor
    }
}

/// The remainders add up to a whole number of slots, so there is always a share that may give or take one.
fn balance(shares: &mut [Share], slots: u64) {
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(shares[i].remainder), i));
    let mut count: u64 = shares.iter().map(|share| share.count).sum();
    for &i in &order {
        if count < slots && shares[i].may_grow() {
            shares[i].count += 1;
            count += 1;
        }
    }
    for &i in order.iter().rev() {
        if count > slots && shares[i].may_shrink() {
            shares[i].count -= 1;
            count -= 1;
        }
    }
    debug_assert_eq!(count, slots);
}
