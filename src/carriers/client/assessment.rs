//! What a response of a carrier means, as decided by the carrier's `responses` module.

use serde::Deserialize;
use serde_json::Value;

use super::http::HttpResponse;
use crate::carriers::carrier::ListedPage;
use crate::carriers::error::CarrierError;

/// The meaning of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::carriers) struct Assessment<T> {
    /// Result for the caller.
    pub(in crate::carriers) outcome: Result<T, CarrierError>,
    /// Input of the circuit breaker and the log.
    pub(in crate::carriers) fault: Fault,
}

/// Who has to correct the cause of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::carriers) enum Fault {
    /// No one: the carrier works, even if it rejected this call.
    None,
    /// The carrier: it is down or broken.
    Carrier,
    /// The operator of this service, by this remedy.
    Configuration(&'static str),
}

impl<T> Assessment<T> {
    /// The carrier works.
    pub(in crate::carriers) const fn of(outcome: Result<T, CarrierError>) -> Self {
        Self { outcome, fault: Fault::None }
    }

    pub(in crate::carriers) const fn carrier_fault(error: CarrierError) -> Self {
        Self { outcome: Err(error), fault: Fault::Carrier }
    }

    pub(in crate::carriers) const fn misconfigured(remedy: &'static str) -> Self {
        Self { outcome: Err(CarrierError::REJECTED), fault: Fault::Configuration(remedy) }
    }
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Value>,
}

/// A page of a carrier's records. Both carriers put them into the array `data`.
pub(in crate::carriers) fn page_of_records(response: &HttpResponse) -> Assessment<ListedPage> {
    if response.status == 200 && response.is_too_large {
        return Assessment::of(Ok(ListedPage::TooLarge));
    }
    let page = response.body.as_deref().and_then(|body| serde_json::from_slice::<Page>(body).ok());
    match (response.status, page) {
        (200, Some(page)) => Assessment::of(Ok(ListedPage::Records(page.data))),
        (status, _) => {
            let fault = if status >= 500 { Fault::Carrier } else { Fault::None };
            let retry_after = response.retry_after.unwrap_or(CarrierError::RETRY_AFTER);
            Assessment { outcome: Err(CarrierError::Transient { retry_after }), fault }
        }
    }
}
