//! How something spreads over a fleet.

use std::time::Duration;

use serde::Serialize;

/// When each agent had it, in seconds, the first first.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Curve(Vec<f64>);

impl Curve {
    pub fn new(times: impl IntoIterator<Item = Duration>) -> Curve {
        let mut seconds: Vec<f64> = times.into_iter().map(|time| time.as_secs_f64()).collect();
        seconds.sort_by(f64::total_cmp);
        Curve(seconds)
    }

    /// Until this part of the fleet had it.
    pub fn until(&self, part: f64) -> f64 {
        let number = (self.0.len() as f64 * part).ceil() as usize;
        self.0.get(number.max(1) - 1).copied().unwrap_or(f64::NAN)
    }

    pub fn last(&self) -> f64 {
        self.until(1.0)
    }

    pub fn agents(&self) -> usize {
        self.0.len()
    }

    /// So many points of it, evenly spread over the agents: seconds and part of the fleet.
    pub fn points(&self, number: usize) -> impl Iterator<Item = (f64, f64)> + '_ {
        (0..=number).map(move |index| {
            let part = index as f64 / number as f64;
            (self.until(part), part)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_fleet_is_counted_up() {
        let curve = Curve::new((1..=200).rev().map(Duration::from_secs));
        assert_eq!((curve.until(0.0), curve.until(0.5), curve.until(0.99)), (1.0, 100.0, 198.0));
        assert_eq!((curve.last(), curve.agents()), (200.0, 200));
        assert_eq!(curve.points(2).collect::<Vec<_>>(), [(1.0, 0.0), (100.0, 0.5), (200.0, 1.0)]);
        assert!(Curve::default().last().is_nan());
    }
}
