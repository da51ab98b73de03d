//! Traces: what a collector gets of the calls, and what it means for them when there is none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use inkbox_imessage::proto::WhoAmIRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status as SpanStatus};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

use crate::process::folder::Folder;
use crate::process::scene::{CALLERS_SPAN_ID, Scene, TRACE_ID};
use crate::support::program::{Service, command, run};

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector {
    received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.received.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts one; gives its address, and what ends it.
    async fn start() -> (Self, String, DropGuard) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let serving = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .serve_with_incoming_shutdown(TcpIncoming::from(listener), stop.clone().cancelled_owned());
        tokio::spawn(serving);
        (collector, endpoint, stop.drop_guard())
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let of_services = received.iter().flat_map(|request| &request.resource_spans);
        of_services.flat_map(|spans| &spans.scope_spans).flat_map(|spans| spans.spans.clone()).collect()
    }

    /// The attributes of the services that sent spans, by name.
    fn resource(&self) -> BTreeMap<String, String> {
        let received = self.received.lock().unwrap();
        let resources = received.iter().flat_map(|request| &request.resource_spans);
        let pairs = resources.flat_map(|spans| &spans.resource).flat_map(|resource| &resource.attributes);
        let text = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => text.clone(),
            other => format!("{other:?}"),
        };
        pairs.map(|pair| (pair.key.clone(), text(pair))).collect()
    }

    /// Everything it got, as text.
    fn all(&self) -> String {
        format!("{:#?}", self.received.lock().unwrap())
    }
}

/// `serve` with spans exported to this endpoint.
async fn serve(folder: &Folder, endpoint: &str, more: &[(&str, &str)]) -> Service {
    let mut serve = command(folder, &["serve", "--log-format", "json"]);
    serve.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).envs(more.iter().copied());
    Service::spawn(serve).await
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The attribute of a span, as the text of its value.
fn attribute(span: &Span, key: &str) -> Option<String> {
    let value = span.attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?;
    Some(format!("{:?}", value.value.as_ref()?))
}

#[tokio::test]
async fn a_collector_gets_each_call_with_its_queries_and_line_calls_and_nothing_private() {
    let (collector, endpoint, _collecting) = Collector::start().await;
    let folder = Folder::migrated().await;
    let service =
        serve(&folder, &endpoint, &[("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")]).await;
    let scene = Scene::play(&folder, &service).await;
    // What ended last is handed over at the end.
    let output = service.stop().await;
    scene.is_not_in(&output);
    let spans = collector.spans();
    scene.is_not_in(&collector.all());
    assert!(
        collector.all().contains("inkbox-imessage") && collector.all().contains("deployment.environment")
    );

    let servers: Vec<_> = spans.iter().filter(|span| span.kind() == SpanKind::Server).collect();
    for (method, code) in &scene.calls {
        let name = format!("inkbox.imessage.v1.{method}");
        let number = format!("IntValue({})", i32::from(*code));
        let span = servers.iter().find(|span| {
            span.name == name && attribute(span, "rpc.grpc.status_code").as_deref() == Some(&number)
        });
        let span = span.unwrap_or_else(|| panic!("no span of {method} {code:?}"));
        let failed = matches!(code, Code::Unavailable | Code::Internal);
        let status = span.status.as_ref().map_or(StatusCode::Unset, SpanStatus::code);
        assert_eq!(status == StatusCode::Error, failed, "{span:?}");
    }
    let of_contract = servers.iter().filter(|span| span.name.starts_with("inkbox.imessage.v1.")).count();
    assert_eq!(of_contract, scene.calls.len(), "one span a call");

    // The caller's trace goes on: its span is the parent of ours.
    let who_am_i = servers.iter().find(|span| span.name.ends_with("WhoAmI")).unwrap();
    assert_eq!(hex(&who_am_i.trace_id), TRACE_ID);
    assert_eq!(hex(&who_am_i.parent_span_id), CALLERS_SPAN_ID);
    assert!(output.lines().any(|line| line.contains("WhoAmI") && line.contains(TRACE_ID)), "{output}");

    // What a send consists of is below it, in its trace.
    let was_accepted = |span: &&&Span| {
        span.name.ends_with("SendMessage")
            && attribute(span, "rpc.grpc.status_code").as_deref() == Some("IntValue(0)")
    };
    let send = servers.iter().find(was_accepted).unwrap();
    let below: Vec<_> = spans.iter().filter(|span| span.parent_span_id == send.span_id).collect();
    assert!(below.iter().all(|span| span.trace_id == send.trace_id && span.kind() == SpanKind::Client));
    let names: Vec<_> = below.iter().map(|span| span.name.as_str()).collect();
    for name in ["transaction messages::send::claim", "transaction messages::send::finish", "line message"] {
        assert!(names.contains(&name), "no {name}: {names:?}");
    }
    assert!(names.iter().any(|name| name.starts_with("query ")), "{names:?}");
    let line = below.iter().find(|span| span.name == "line message").unwrap();
    assert_eq!(attribute(line, "line.outcome").as_deref(), Some("StringValue(\"accepted\")"));
    let failed_lines =
        spans.iter().filter(|span| attribute(span, "line.outcome").is_some_and(|o| o.contains("failed")));
    assert!(failed_lines.count() > 0);
}

#[tokio::test]
async fn a_call_without_a_trace_begins_one_and_its_log_line_names_it() {
    let (collector, endpoint, _collecting) = Collector::start().await;
    let folder = Folder::migrated().await;
    let service = serve(&folder, &endpoint, &[("OTEL_SERVICE_NAME", "another-name")]).await;
    let router = run(&folder, &["key", "create", "--scope", "router"]).await.secret();
    service.caller(&router).who_am_i(WhoAmIRequest {}).await.unwrap();
    let output = service.stop().await;

    let spans = collector.spans();
    let span = spans.iter().find(|span| span.name.ends_with("/WhoAmI")).unwrap();
    assert!(span.parent_span_id.is_empty());
    let id = hex(&span.trace_id);
    assert!(output.lines().any(|line| line.contains("WhoAmI") && line.contains(&id)), "{id}: {output}");
    assert!(collector.all().contains("another-name"));
}

#[tokio::test]
async fn spans_say_which_version_and_which_instance_they_are_of() {
    let mut instances = Vec::new();
    for attributes in ["", "", " service.instance.id = pod-7,service.version=mine"] {
        let (collector, endpoint, _collecting) = Collector::start().await;
        let folder = Folder::migrated().await;
        let service = serve(&folder, &endpoint, &[("OTEL_RESOURCE_ATTRIBUTES", attributes)]).await;
        service.stop().await;
        let mut resource = collector.resource();
        let version = if attributes.is_empty() { env!("CARGO_PKG_VERSION") } else { "mine" };
        assert_eq!(resource["service.version"], version, "{resource:?}");
        assert_eq!(resource["service.name"], "inkbox-imessage");
        instances.push(resource.remove("service.instance.id").unwrap());
    }
    assert!(instances[0].len() == 36 && instances[0] != instances[1], "{instances:?}");
    assert_eq!(instances[2], "pod-7");
}

#[tokio::test]
async fn nothing_is_exported_where_the_environment_says_no() {
    let (collector, endpoint, _collecting) = Collector::start().await;
    for no in [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
    ] {
        let folder = Folder::migrated().await;
        let service = serve(&folder, &endpoint, &[no]).await;
        service.stop().await;
        assert_eq!(collector.spans(), [], "{no:?}");
    }
}

#[tokio::test]
async fn a_collector_that_is_not_there_costs_callers_nothing_and_the_end_a_bounded_time() {
    // A port that nobody listens on, and one that takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = (format!("http://{}", silent.local_addr().unwrap()), Some(silent));
    for (endpoint, _listener) in [("http://127.0.0.1:1".to_owned(), None), silent] {
        let folder = Folder::migrated().await;
        // A queue that is full at once.
        let service = serve(&folder, &endpoint, &[("OTEL_BSP_MAX_QUEUE_SIZE", "4")]).await;
        let key = run(&folder, &["org", "create", "org_a"]).await.secret();
        let admin = service.caller(&key);
        admin.who_am_i(WhoAmIRequest {}).await.unwrap();
        let began = Instant::now();
        for _ in 0..200 {
            admin.who_am_i(WhoAmIRequest {}).await.unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let began = Instant::now();
        service.stop().await;
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}
