//! From single results to a judgement that does not flap. Pure.

/// Of one backend.
#[derive(Debug)]
pub(crate) struct Judge {
    rise: u32,
    fall: u32,
    /// `None` until there is ground for either.
    healthy: Option<bool>,
    /// Results in a row that speak against `healthy`.
    against: u32,
}

impl Judge {
    pub fn new(rise: u32, fall: u32) -> Judge {
        Judge { rise: rise.max(1), fall: fall.max(1), healthy: None, against: 0 }
    }

    /// The new judgement, when this result changes it.
    ///
    /// A backend that was never judged is healthy from its first success on, since a ring starts out with all of its
    /// backends; to be unhealthy it must fail as often as any other.
    pub fn hear(&mut self, success: bool) -> Option<bool> {
        if self.healthy == Some(success) {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let needed = match (success, self.healthy) {
            (true, None) => 1,
            (true, Some(_)) => self.rise,
            (false, _) => self.fall,
        };
        if self.against < needed {
            return None;
        }
        self.healthy = Some(success);
        self.against = 0;
        self.healthy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judgements(rise: u32, fall: u32, results: &str) -> Vec<Option<bool>> {
        let mut judge = Judge::new(rise, fall);
        results.chars().map(|result| judge.hear(result == '+')).collect()
    }

    #[test]
    fn the_first_success_is_enough_at_the_start() {
        assert_eq!(judgements(3, 3, "++"), [Some(true), None]);
        assert_eq!(judgements(3, 3, "--+"), [None, None, Some(true)]);
        assert_eq!(judgements(3, 3, "---"), [None, None, Some(false)]);
    }

    #[test]
    fn only_failures_in_a_row_take_out() {
        let expected = [Some(true), None, None, None, None, None, Some(false)];
        assert_eq!(judgements(2, 3, "+--+---"), expected);
    }

    #[test]
    fn only_successes_in_a_row_bring_back() {
        assert_eq!(judgements(2, 1, "-+-++"), [Some(false), None, None, None, Some(true)]);
    }
}
