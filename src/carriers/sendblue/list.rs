//! Sendblue's list of the messages that a line received.

use chrono::SecondsFormat;

use crate::carriers::carrier::ListRequest;
use crate::domain::PhoneNumber;

pub(super) fn query(line: &PhoneNumber, page: ListRequest) -> [(&'static str, String); 7] {
    [
        ("is_outbound", "false".to_owned()),
        ("sendblue_number", line.as_str().to_owned()),
        ("created_at_gte", page.since.to_rfc3339_opts(SecondsFormat::Millis, true)),
        ("order_by", "createdAt".to_owned()),
        ("order_direction", "asc".to_owned()),
        ("limit", page.limit.to_string()),
        ("offset", page.offset.to_string()),
    ]
}
