//! What a carrier hears. A word for people who try it by hand; carriers look at the status alone.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};

use crate::error::Error;

/// When to deliver again, where that helps.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// What became of it; names nothing and nobody.
    pub(super) result: &'static str,
}

impl Answer {
    pub(super) const UNAUTHORIZED: Self = Self::new(StatusCode::UNAUTHORIZED, "unauthorized");
    pub(super) const MALFORMED: Self = Self::new(StatusCode::BAD_REQUEST, "malformed");
    pub(super) const TOO_LARGE: Self = Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large");
    pub(super) const TOO_SLOW: Self = Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow");
    pub(super) const OVERLOADED: Self = Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded");
    /// News that may be ahead of our own commit: to be delivered again.
    pub(super) const TOO_EARLY: Self = Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_early");

    const fn new(status: StatusCode, result: &'static str) -> Self {
        Self { status, result }
    }

    /// It is dealt with, and delivering it again would change nothing.
    pub(super) const fn done(result: &'static str) -> Self {
        Self::new(StatusCode::OK, result)
    }

    /// The address names what is not there.
    pub(super) const fn not_found(result: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, result)
    }

    /// Something failed: 5xx only where delivering it again can help.
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::InvalidArgument(violations) => {
                let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
                tracing::warn!(fields = fields.join(", "), "a webhook was refused for these fields");
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "refused")
            }
            Error::StorageUnavailable | Error::Overloaded { .. } | Error::DeadlineExceeded => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl From<Answer> for Response {
    fn from(answer: Answer) -> Self {
        let mut response = (answer.status, answer.result).into_response();
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}
