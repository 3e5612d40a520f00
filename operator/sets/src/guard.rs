//! Readings that are too small to be meant.

use sluice_policy::Feed;

use crate::AddressList;

/// # Errors
/// Why the reading is taken for broken, and what to write if it is not.
pub fn check_reading(new: &AddressList, last: Option<&AddressList>, feed: &Feed) -> Result<(), String> {
    if new.entries < feed.min_entries {
        return Err(format!(
            "has {} entries, fewer than minEntries {}: if that is right, write a smaller minEntries",
            new.entries, feed.min_entries
        ));
    }
    let Some(last) = last.map(|last| last.entries).filter(|last| *last > new.entries) else { return Ok(()) };
    // Rounded up, so that exactly maxShrink is allowed and no more.
    let shrunk = ((last - new.entries) * 100).div_ceil(last);
    if shrunk > u64::from(feed.max_shrink) {
        return Err(format!(
            "has {} entries where the last good reading has {last}, {shrunk}% less and more than maxShrink {}%: if \
             that is right, write a larger maxShrink",
            new.entries, feed.max_shrink
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sluice_policy::ListFormat;

    use super::*;

    #[test]
    fn a_reading_may_shrink_as_much_as_is_allowed_and_no_more() {
        let feed = Feed {
            url: String::new(),
            format: ListFormat::Plain,
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(1),
            max_bytes: 1,
            min_entries: 10,
            max_shrink: 50,
        };
        let list = |entries| AddressList { entries, ..AddressList::default() };
        let checked = |new, last: Option<u64>| check_reading(&list(new), last.map(list).as_ref(), &feed);
        assert!(checked(9, None).expect_err("few").contains("fewer than minEntries 10"));
        for (new, last) in [(10, None), (10, Some(20)), (50, Some(99)), (500, Some(20))] {
            assert_eq!(checked(new, last), Ok(()), "{new} after {last:?}");
        }
        let said = checked(49, Some(100)).expect_err("shrunk");
        assert!(said.contains("51% less and more than maxShrink 50%"), "{said}");
        assert!(checked(10, Some(21)).is_err());
    }
}
