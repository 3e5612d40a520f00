//! Moments at which something ends.

use sluice_crds::PointInTime;

use crate::refusal::Checks;

/// In Unix milliseconds.
pub(crate) fn moment(found: Option<&PointInTime>, path: &str, checks: &mut Checks) -> Option<i64> {
    let at = found?;
    match at.as_str().parse::<jiff::Timestamp>() {
        Ok(at) => Some(at.as_millisecond()),
        Err(_) => {
            let message =
                format!("\"{at}\" is no moment: write one as RFC 3339 has it, 2027-01-31T00:00:00Z");
            checks.refuse(path, message);
            None
        }
    }
}
