//! The response to a webhook. Carriers act on the status only; the body is for people who test by hand.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};

use crate::error::Error;

/// Advised delay before a redelivery, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WebhookResponse {
    pub(super) status: StatusCode,
    /// What happened. The body, and a field of the log: a literal, so that it contains no private data.
    pub(super) result: &'static str,
}

impl WebhookResponse {
    pub(super) const UNAUTHORIZED: Self = Self::new(StatusCode::UNAUTHORIZED, "unauthorized");
    pub(super) const MALFORMED: Self = Self::new(StatusCode::BAD_REQUEST, "malformed");
    pub(super) const TOO_LARGE: Self = Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large");
    pub(super) const TOO_SLOW: Self = Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow");
    pub(super) const OVERLOADED: Self = Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded");
    /// A delivery update that arrived before this service stored the carrier's id of the message, while too many are kept.
    /// The carrier should redeliver it.
    pub(super) const TOO_EARLY: Self = Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_early");

    const fn new(status: StatusCode, result: &'static str) -> Self {
        Self { status, result }
    }

    /// The webhook was processed. A redelivery would change nothing.
    pub(super) const fn done(result: &'static str) -> Self {
        Self::new(StatusCode::OK, result)
    }

    /// The path names something that does not exist.
    pub(super) const fn not_found(result: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, result)
    }

    /// Status 5xx only if a redelivery can succeed.
    pub(super) fn from_error(error: &Error) -> Self {
        match error {
            Error::InvalidArgument(violations) => {
                let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
                tracing::warn!(fields = fields.join(", "), "webhook rejected: invalid fields");
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "refused")
            }
            Error::StorageUnavailable | Error::Overloaded { .. } | Error::DeadlineExceeded => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl From<WebhookResponse> for Response {
    fn from(webhook: WebhookResponse) -> Self {
        let mut response = (webhook.status, webhook.result).into_response();
        if webhook.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}
