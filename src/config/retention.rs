//! Settings of retention.

use std::str::FromStr;
use std::time::Duration;

use chrono::TimeDelta;
use clap::Args;

use super::parse::positive_duration;
use crate::maintenance::cleanup::Retention;

/// How long data is kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Retention")]
pub struct RetentionArgs {
    /// How long texts, files, previews and custom emoji are kept after a message was received or sent, such as `30d`, `12h`
    /// or `90m`; `off` = for ever. The messages stay without this content.
    #[arg(long, env = "INKBOX_MESSAGE_RETENTION", default_value = "off", value_name = "TIME")]
    pub message_retention: Age,
    /// How long all data about an agent and a human is kept after their last connection was released; `off` = for ever. Then
    /// it is deleted.
    #[arg(long, env = "INKBOX_RELEASED_RETENTION", default_value = "off", value_name = "TIME")]
    pub released_retention: Age,
    /// How long the event log is kept, by which streams and pages resume; `off` = for ever.
    #[arg(long, env = "INKBOX_EVENT_RETENTION", default_value = "7d", value_name = "TIME")]
    pub event_retention: Age,
    /// How long the audit log is kept; `off` = for ever.
    #[arg(long, env = "INKBOX_AUDIT_RETENTION", default_value = "90d", value_name = "TIME")]
    pub audit_retention: Age,
    /// How far the machine's clock may be from the database's before cleanup stops deleting and redacting what is too old.
    #[arg(long, env = "INKBOX_MAX_CLOCK_SKEW", default_value = "30s", value_name = "TIME", value_parser = positive_duration)]
    pub max_clock_skew: Duration,
}

impl From<&RetentionArgs> for Retention {
    fn from(args: &RetentionArgs) -> Self {
        Self {
            bodies: args.message_retention.0,
            released: args.released_retention.0,
            events: args.event_retention.0,
            audit: args.audit_retention.0,
        }
    }
}

/// A maximum age; `None` = unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(pub Option<TimeDelta>);

/// Minimum. A shorter age is a typing error, and deleted data cannot be recovered.
const MIN_AGE: TimeDelta = TimeDelta::minutes(1);
/// Maximum. A longer age is a typing error as well.
const MAX_AGE: TimeDelta = TimeDelta::days(100 * 365);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let bad = || format!("{text:?} is neither \"off\" nor a duration such as 30d, 12h or 90m");
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number: i64 = digits.parse().map_err(|_| bad())?;
        let age = match &text[digits.len()..] {
            "d" => TimeDelta::try_days(number),
            "h" => TimeDelta::try_hours(number),
            "m" => TimeDelta::try_minutes(number),
            _ => None,
        };
        let age = age.ok_or_else(bad)?;
        if (MIN_AGE..=MAX_AGE).contains(&age) {
            Ok(Self(Some(age)))
        } else {
            Err(format!("{text:?} is not between 1 minute and 100 years"))
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::Age;

    #[test]
    fn an_age_has_a_unit_or_is_off() {
        assert_eq!("off".parse(), Ok(Age(None)));
        for (text, age) in
            [("30d", TimeDelta::days(30)), ("12h", TimeDelta::hours(12)), ("90m", TimeDelta::minutes(90))]
        {
            assert_eq!(text.parse(), Ok(Age(Some(age))), "{text}");
        }
        for bad in ["", "30", "d", "0d", "-1d", "1.5d", "30 d", "59s", "1y", "40000d", "9223372036854775807d"]
        {
            assert!(bad.parse::<Age>().is_err(), "{bad}");
        }
    }
}
