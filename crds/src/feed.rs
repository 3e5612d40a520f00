use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;
use crate::text::text_type;

/// As much as a feed may be allowed to have.
pub const MAX_FEED_BYTES: u64 = 256 << 20;

/// A list that is fetched over HTTP or HTTPS. What cannot be read, or fails a guard, leaves the last good reading in
/// force.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Feed {
    /// Where it is, of http or https. Loopback, private and link-local addresses and those of the cluster
    /// itself are refused, behind redirects too, unless feedTargets of the fleet configuration names them.
    pub url: FeedUrl,
    /// Plain: a prefix or an address on each line, # and ; begin comments. SpamhausJson: a JSON object on each line,
    /// with the prefix as cidr, as Spamhaus publishes its DROP lists. Default: Plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<FeedFormat>,
    /// How often it is fetched, 10s to 168h. Default: 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<FeedInterval>,
    /// How long a fetch may take in all. Default: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// As many bytes as it may have, unpacked too. Default: 33554432 (32 MiB).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = "MAX_FEED_BYTES"))]
    pub max_bytes: Option<u64>,
    /// With fewer entries than this a reading is taken for broken. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub min_entries: Option<u32>,
    /// With so many entries less than the last good reading, in percent of that, a reading is taken for broken.
    /// Default: 50%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_shrink: Option<Percent>,
}

/// How a feed is written.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[schemars(inline)]
pub enum FeedFormat {
    #[default]
    Plain,
    SpamhausJson,
}

impl Feed {
    pub const DEFAULT_MAX_BYTES: u64 = 32 << 20;
    pub const DEFAULT_MIN_ENTRIES: u32 = 1;
    pub const DEFAULT_MAX_SHRINK: &str = "50%";
    pub const DEFAULT_INTERVAL: &str = "1h";
    pub const DEFAULT_TIMEOUT: &str = "30s";
}

text_type! {
    /// Where a feed is.
    FeedUrl, {
        "type": "string",
        "maxLength": 1024,
        "x-kubernetes-validations": [{
            "rule": "isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ''",
            "messageExpression": "'\"' + self + '\" is not where a feed can be: write an address as \
                https://feeds.example/drop.txt'"
        }, {
            "rule": "!self.matches('^[A-Za-z]+://[^/?#]*@')",
            "message": "credentials do not belong into an object that many may read: remove what stands before the @"
        }]
    }
}

text_type! {
    /// How often, as `Duration`, from seconds to a week.
    FeedInterval, {
        "type": "string",
        "maxLength": 16,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^([0-9]{1,5}(s|m|h)){1,3}$')",
            "messageExpression": "'\"' + self + '\" is not a length of time: write \"30m\", \"1h\" or \"24h\"'"
        }, {
            "rule": "!self.matches('^([0-9]{1,5}(s|m|h)){1,3}$') \
                || (duration(self) >= duration('10s') && duration(self) <= duration('168h'))",
            "messageExpression": "'\"' + self + '\" is out of range: write a time from 10s to 168h'"
        }]
    }
}

text_type! {
    /// Hundredths, `50%`.
    Percent, {
        "type": "string",
        "maxLength": 4,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^(100|[1-9]?[0-9])%$')",
            "messageExpression": "'\"' + self + '\" is not a share: write 0% to 100%'"
        }]
    }
}

impl FeedInterval {
    /// None where the text is no length of time, which the schema refuses.
    pub fn to_std(&self) -> Option<std::time::Duration> {
        Duration(self.0.clone()).to_std()
    }
}
