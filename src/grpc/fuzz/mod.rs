//! Property test of requests: random requests of every RPC pass through routing, decoding and the handler's `parse`, with
//! each kind of key and without a database. The rejected fields must be exactly those that violate a documented bound
//! ([`bounds`]).

mod bounds;
mod generate;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::Request;
use http_body_util::Full;
use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use rand::RngExt as _;
use rand::rngs::StdRng;
use sqlx::postgres::PgConnectOptions;
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::admission::{ActionRate, Admission, AdmissionLimits, Share};
use crate::app::{App, SendLimits};
use crate::auth::KeyCache;
use crate::carriers::{CarrierRegistry, CarrierSettings, TypingLeases};
use crate::clock::{Clock, ClockSkew, SystemClock};
use crate::domain::{Principal, Tenant};
use crate::fuzzing::{corpus, mutated, once_in, over, pick};
use crate::messaging::events::Cursors;
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::store::Database;
use crate::telemetry::metrics::{KeyMetrics, Metrics};

const PACKAGE: &str = "inkbox.imessage.v1";

/// An RPC with example requests, which the generator changes.
pub(super) struct Rpc {
    /// `Service/Rpc`.
    pub(super) name: String,
    pub(super) request: MessageDescriptor,
    pub(super) seeds: Vec<DynamicMessage>,
}

#[derive(Debug)]
struct Call {
    rpc: usize,
    key: Key,
    message: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Admin,
    Identity,
    Router,
}

/// The identity of the identity key; requests of the corpus name it.
const IDENTITY: Uuid = Uuid::from_u128(0x0189_0a5d_ac96_774b_bcce_b302_099a_8057);

impl Key {
    fn principal(self) -> Principal {
        let key_id = Uuid::from_u128(1).into();
        let tenant = |identity_id| Tenant { key_id, organization_id: "org_a".into(), identity_id };
        match self {
            Self::Admin => Principal::Tenant(tenant(None)),
            Self::Identity => Principal::Tenant(tenant(Some(IDENTITY.into()))),
            Self::Router => Principal::Router { key_id },
        }
    }
}

/// Every RPC, with its requests from the corpus.
fn rpcs() -> Vec<Rpc> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("descriptors");
    let seeds = corpus("requests");
    let mut rpcs = Vec::new();
    for service in pool.services().filter(|service| service.package_name() == PACKAGE) {
        for method in service.methods() {
            let name = format!("{}/{}", service.name(), method.name());
            let of_this = seeds.iter().filter(|seed| seed["rpc"] == name.as_str());
            let read = |seed: &serde_json::Value| {
                DynamicMessage::deserialize(method.input(), seed["request"].clone()).expect("a request")
            };
            let seeds: Vec<_> = of_this.map(read).collect();
            assert!(!seeds.is_empty(), "no request of {name} in tests/corpus/requests.json");
            rpcs.push(Rpc { name, request: method.input(), seeds });
        }
    }
    rpcs
}

/// The service without a database: valid requests fail when they access it.
struct Stack {
    runtime: Runtime,
    routes: Routes,
}

impl Stack {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let routes = {
            let _inside = runtime.enter();
            let app = app();
            let keys = KeyCache::new(app.db.clone(), app.clock.clone(), KeyMetrics::default());
            crate::grpc::routes(&app, &keys, 1 << 20).routes().prepare()
        };
        Self { runtime, routes }
    }

    /// The response's status; `None` = OK.
    fn call(&self, name: &str, key: Key, message: &[u8]) -> Option<Status> {
        let mut frame = BytesMut::with_capacity(message.len() + 5);
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).expect("a length"));
        frame.extend_from_slice(message);
        let request = Request::post(format!("/{PACKAGE}.{name}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .extension(key.principal())
            .body(Body::new(Full::<Bytes>::new(frame.freeze())))
            .expect("a request");
        let response = self.runtime.block_on(self.routes.clone().oneshot(request)).expect("a response");
        Status::from_header_map(response.headers())
    }
}

#[test]
fn requests() {
    let (stack, rpcs) = (Stack::new(), rpcs());
    let encoded: Vec<_> =
        rpcs.iter().flat_map(|rpc| rpc.seeds.iter().map(DynamicMessage::encode_to_vec)).collect();
    let seeds: Vec<_> =
        rpcs.iter().enumerate().flat_map(|(n, rpc)| rpc.seeds.iter().map(move |seed| (n, seed))).collect();
    let next = |n: u64, random: &mut StdRng| {
        let key = *pick(&[Key::Admin, Key::Identity, Key::Router], random);
        if let Some((rpc, seed)) = usize::try_from(n).ok().and_then(|n| seeds.get(n)) {
            return Call { rpc: *rpc, key, message: seed.encode_to_vec() };
        }
        let rpc = random.random_range(0..rpcs.len());
        let mut message = pick(&rpcs[rpc].seeds, random).clone();
        generate::change(&mut message, random);
        let bytes = message.encode_to_vec();
        // Most requests are valid protobuf; some have damaged bytes.
        let message = if once_in(4, random) { mutated(&bytes, &encoded, random) } else { bytes };
        Call { rpc, key, message }
    };
    let counts = Cell::new((0_u64, 0_u64));
    over("requests", next, |Call { rpc, key, message }, _| {
        let Rpc { name, request, .. } = &rpcs[*rpc];
        let status = stack.call(name, *key, message);
        let (accepted, rejected) = counts.get();
        match DynamicMessage::decode(request.clone(), &message[..]) {
            Ok(message) => {
                let is_rejected = check(name, *key, &message, status.as_ref());
                counts.set((accepted + u64::from(!is_rejected), rejected + u64::from(is_rejected)));
            }
            Err(_) => {
                let status = status.expect("a rejection");
                assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
                assert!(status.check_error_details().expect("details").bad_request().is_some());
            }
        }
    });
    let (accepted, rejected) = counts.get();
    assert!(
        accepted > 300 && rejected > 300,
        "{accepted} accepted and {rejected} rejected: too few of one kind"
    );
}

/// The parts of the service, with a database that is never opened.
fn app() -> App {
    let tasks = TaskTracker::new();
    let db = Database::new(&PgConnectOptions::new(), 1, tasks.clone());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Metrics::default();
    let time_out = Duration::from_secs(1);
    let settings = CarrierSettings::default();
    let carriers =
        CarrierRegistry::new(db.clone(), &clock, &settings, Share::ALL, time_out, &metrics.carriers);
    let carriers = Arc::new(carriers.expect("carriers"));
    let limits = SendLimits { per_day: None, line_time_out: time_out };
    let actions = Arc::new(ActionRate::new(None));
    let admission = Admission::new(AdmissionLimits {
        calls: 1,
        streams: 1,
        memory: 1 << 20,
        share: Share::ALL,
        queue_timeout: Duration::ZERO,
    });
    App {
        db,
        clock,
        skew: ClockSkew::default(),
        admission,
        carriers,
        queues: Arc::default(),
        typing: Arc::new(TypingLeases::new(Share::ALL, None)),
        limits,
        actions,
        cursors: Cursors::default(),
        router_replies: Arc::default(),
        metrics,
        tasks,
    }
}

/// Compares the response to a request with the bounds. Returns whether the request was rejected.
fn check(name: &str, key: Key, message: &DynamicMessage, status: Option<&Status>) -> bool {
    let wrong = bounds::wrong_fields(name, key, message);
    // An identity key that names another identity fails after parsing, without a database access.
    let beyond_parsing = [Code::Unavailable, Code::PermissionDenied, Code::NotFound];
    let Some(status) = status.filter(|status| !beyond_parsing.contains(&status.code())) else {
        assert!(wrong.is_empty(), "{name} accepted {wrong:?} of {message}");
        // Listing the sandbox's deliveries needs no database unless the request names a conversation.
        assert!(
            status.is_some() || name == "SandboxService/ListDeliveries",
            "{name}: success without a database"
        );
        return false;
    };
    let details = status.check_error_details().expect("details that decode");
    assert_eq!(status.code(), Code::InvalidArgument, "{name}: {status:?}: {message}");
    let violations = &details.bad_request().expect("a BadRequest").field_violations;
    assert!(violations.iter().all(|violation| !violation.description.is_empty()));
    let named: BTreeSet<_> = violations.iter().map(|violation| violation.field.clone()).collect();
    if wrong.is_empty() {
        // A well-formed token that belongs to no list of the caller.
        assert_eq!(named.iter().collect::<Vec<_>>(), ["page_token"], "{name}: {message}");
        assert!(bounds::has_token(message));
    } else if violations.len() < 20 {
        assert_eq!(named, wrong, "{name}: {message}");
    } else {
        assert!(named.is_subset(&wrong), "{name}: {message}");
    }
    true
}
