//! gRPC calls: number, outcome and duration.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code;

use super::Label;
use crate::proto::{self, ErrorReason};

/// The service and method name of calls to methods that are not served. Their path is arbitrary client input and must not
/// become a label.
pub const UNKNOWN: &str = "unknown";
/// Upper bounds of the histogram, in seconds: a cached read takes about 1 ms, the longest call 60 s by default.
const DURATIONS: [f64; 15] =
    [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Number of gRPC status codes, which are numbered from 0.
const CODES: usize = 17;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    service: String,
    method: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    service: String,
    method: String,
    code: &'static str,
}

type Durations = Family<MethodLabels, Histogram, fn() -> Histogram>;

#[derive(Debug)]
pub struct CallMetrics {
    by_path: HashMap<String, Arc<CallSeries>>,
    unknown: Arc<CallSeries>,
    reasons: HashMap<&'static str, Counter>,
    panics: Counter,
    requests: Family<CodeLabels, Counter>,
    durations: Durations,
    in_flight: Family<MethodLabels, Gauge>,
    errors: Family<Label, Counter>,
}

/// The time series of one method.
#[derive(Debug)]
pub struct CallSeries {
    /// `/package.Service/Method`, as in the path of a request; [`UNKNOWN`] for methods that are not served.
    pub path: String,
    /// `package.Service`.
    pub service: String,
    pub method: String,
    codes: [Counter; CODES],
    duration: Histogram,
    in_flight: Gauge,
}

/// A call in progress. It counts as in flight until it is dropped.
#[derive(Debug)]
pub struct InFlight {
    series: Arc<CallSeries>,
}

impl Default for CallMetrics {
    /// Series for every served method with every code, at zero.
    fn default() -> Self {
        let (requests, in_flight) = (Family::default(), Family::default());
        let durations = Durations::new_with_constructor(|| Histogram::new(DURATIONS));
        let series = |service: &str, method: &str| {
            let labels = MethodLabels { service: service.to_owned(), method: method.to_owned() };
            let path = if service == UNKNOWN { UNKNOWN.to_owned() } else { format!("/{service}/{method}") };
            Arc::new(CallSeries {
                path,
                service: service.to_owned(),
                method: method.to_owned(),
                codes: std::array::from_fn(|number| {
                    requests.get_or_create_owned(&CodeLabels {
                        service: service.to_owned(),
                        method: method.to_owned(),
                        code: code_name(i32::try_from(number).map_or(Code::Unknown, Code::from)),
                    })
                }),
                duration: durations.get_or_create_owned(&labels),
                in_flight: Family::get_or_create_owned(&in_flight, &labels),
            })
        };
        let by_path = methods()
            .iter()
            .map(|(service, method)| series(service, method))
            .map(|series| (series.path.clone(), series))
            .collect();
        let errors = Family::default();
        let reasons = ErrorReason::all()
            .map(ErrorReason::name)
            .map(|reason| (reason, Family::get_or_create_owned(&errors, &[("reason", reason)])));
        Self {
            by_path,
            unknown: series(UNKNOWN, UNKNOWN),
            reasons: reasons.collect(),
            panics: Counter::default(),
            requests,
            durations,
            in_flight,
            errors,
        }
    }
}

impl CallMetrics {
    /// The series of the method with this request path.
    #[must_use]
    pub fn of(&self, path: &str) -> &Arc<CallSeries> {
        self.by_path.get(path).unwrap_or(&self.unknown)
    }

    /// Counts an error by its `ErrorReason`.
    pub fn failed(&self, reason: &str) {
        if let Some(counter) = self.reasons.get(reason) {
            counter.inc();
        }
    }

    /// Counts a panic of a handler.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("inkbox_grpc_requests", "Calls that ended, by code", self.requests.clone());
        registry.register(
            "inkbox_grpc_request_duration_seconds",
            "From a call's arrival to the end of its answer",
            self.durations.clone(),
        );
        registry.register("inkbox_grpc_requests_in_flight", "Calls under way", self.in_flight.clone());
        registry.register(
            "inkbox_grpc_errors",
            "Calls that failed, by the contract's reason",
            self.errors.clone(),
        );
        registry.register("inkbox_grpc_panics", "Handlers that panicked", self.panics.clone());
    }
}

impl CallSeries {
    /// Counts the start of a call.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.inc();
        InFlight { series: self.clone() }
    }
}

impl InFlight {
    #[must_use]
    pub fn series(&self) -> &CallSeries {
        &self.series
    }

    /// Counts the end of the call.
    pub fn ended(&self, code: Code, took: Duration) {
        if let Some(counter) = self.series.codes.get(usize::try_from(i32::from(code)).unwrap_or_default()) {
            counter.inc();
        }
        self.series.duration.observe(took.as_secs_f64());
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.series.in_flight.dec();
    }
}

/// Service and name of every served method.
fn methods() -> Vec<(String, String)> {
    let sets = [
        proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    // The descriptors are compiled in. If one could not be decoded, the test that scrapes every method would fail.
    let files = sets.iter().filter_map(|set| FileDescriptorSet::decode(*set).ok()).flat_map(|set| set.file);
    let of_file = |file: prost_types::FileDescriptorProto| {
        let package = file.package().to_owned();
        file.service.into_iter().flat_map(move |service| {
            let name = format!("{package}.{}", service.name());
            let methods = service.method.into_iter();
            methods.map(move |method| (name.clone(), method.name().to_owned())).collect::<Vec<_>>()
        })
    };
    files.flat_map(of_file).collect()
}

/// The name of a code, as in the access log.
#[must_use]
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "Ok",
        Code::Cancelled => "Cancelled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}
