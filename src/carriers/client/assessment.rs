//! What a response of a carrier means, as decided by the carrier's `responses` module.

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
