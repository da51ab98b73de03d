//! The log: one line a call with what is needed to find it again, and nothing that is anybody's business.

use std::collections::BTreeSet;

use inkbox_imessage::proto::{WhoAmIRequest, api_key_service_client};
use serde_json::Value;

use crate::process::folder::Folder;
use crate::process::scene::{Scene, TRACE_ID};
use crate::support::program::{Service, command, finish};

/// Service and method of a call, or `None` for one of the test's own probes.
fn method_of(path: &str) -> Option<String> {
    path.strip_prefix("/inkbox.imessage.v1.").map(str::to_owned)
}

/// Every field that some call's line has, and where: not those that every line of any kind has.
fn fields_of(calls: &[&Value]) -> BTreeSet<(String, &'static str)> {
    let of_all = ["timestamp", "level", "target", "message", "span"];
    let mut fields = BTreeSet::new();
    for line in calls {
        let of_line = line.as_object().unwrap().keys().filter(|name| !of_all.contains(&name.as_str()));
        fields.extend(of_line.map(|name| (name.clone(), "line")));
        let of_span = line["span"].as_object().unwrap().keys().filter(|name| *name != "name");
        fields.extend(of_span.map(|name| (name.clone(), "span")));
    }
    fields
}

/// The fields of the table in docs/operations.md.
fn documented_fields() -> BTreeSet<(String, &'static str)> {
    let operations = include_str!("../../../docs/operations.md");
    let section = operations.split("\n## ").find(|section| section.starts_with("The log")).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let columns: Vec<_> = row.split('|').map(str::trim).collect();
        (columns[1].trim_matches('`').to_owned(), if columns[2] == "span" { "span" } else { "line" })
    })
    .collect()
}

#[tokio::test]
async fn the_json_log_has_one_line_a_call_and_nothing_private() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &["--log-format", "json"]).await;
    let scene = Scene::play(&folder, &service).await;
    let output = service.stop().await;
    scene.is_not_in(&output);
    assert!(output.contains("database unavailable") && output.contains("database error"), "{output}");

    let lines: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let calls: Vec<_> = lines.iter().filter(|line| line["message"] == "rpc").collect();
    assert_eq!(fields_of(&calls), documented_fields());
    let frozen = include_str!("../../api/freeze/access_log.txt").lines();
    let frozen: BTreeSet<_> = frozen.filter_map(|line| line.split_once(' ')).collect();
    assert_eq!(
        fields_of(&calls).iter().map(|(name, of)| (name.as_str(), *of)).collect::<BTreeSet<_>>(),
        frozen
    );
    assert!(lines.iter().all(|line| line.get("spans").is_none()), "ids stand once in a line");
    let mut logged = Vec::new();
    for line in calls {
        let Some(method) = method_of(line["rpc.method"].as_str().unwrap()) else { continue };
        let code = line["rpc.code"].as_str().unwrap().to_owned();
        assert!(line["duration_ms"].as_f64().is_some_and(|time| time > 0.0), "{line}");
        let span = &line["span"];
        assert!(span["request.id"].as_str().is_some_and(|id| !id.is_empty()), "{line}");
        let of_tenant = !method.starts_with("RouterService/");
        let known = code != "Unauthenticated" && code != "PermissionDenied" && code != "Unavailable";
        if known {
            assert!(span["key.id"].is_string(), "{line}");
            assert_eq!(span["organization.id"].as_str(), of_tenant.then_some("org_a"), "{line}");
        }
        assert_eq!(line["rpc.reason"].is_string(), code != "Ok", "{line}");
        let traced = (method == "ApiKeyService/WhoAmI").then_some(TRACE_ID);
        assert_eq!(span["trace.id"].as_str(), traced, "{line}");
        logged.push((method, code));
    }
    let made: Vec<_> =
        scene.calls.iter().map(|(method, code)| ((*method).to_owned(), format!("{code:?}"))).collect();
    assert_eq!(logged, made);
}

#[tokio::test]
async fn the_text_log_has_one_line_a_call_and_nothing_private() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    let scene = Scene::play(&folder, &service).await;
    let output = service.stop().await;
    scene.is_not_in(&output);
    assert!(output.contains("database unavailable") && output.contains("database error"), "{output}");

    assert!(!output.contains('\u{1b}'), "colours where nobody sees them: {output:?}");
    let mut logged = Vec::new();
    for line in output.lines().filter(|line| line.contains(": rpc ")) {
        let field = |name: &str| {
            let value = line.split_once(&format!("{name}="))?.1.split([' ', '}']).next()?;
            Some(value.trim_matches('"').to_owned())
        };
        let Some(method) = field("rpc.method").as_deref().and_then(method_of) else { continue };
        assert!(field("request.id").is_some() && field("duration_ms").is_some(), "{line}");
        logged.push((method, field("rpc.code").unwrap()));
    }
    let made: Vec<_> =
        scene.calls.iter().map(|(method, code)| ((*method).to_owned(), format!("{code:?}"))).collect();
    assert_eq!(logged, made);
}

#[tokio::test]
async fn warnings_keep_their_request_id_where_only_warnings_are_logged() {
    let folder = Folder::migrated().await;
    // The test learns from the command line's own module where the service listens.
    let filter = "warn,inkbox_imessage::cli=info";
    let service = Service::start(&folder, &["--log-format", "json", "--log", filter]).await;
    folder.end_postgres_for_good();
    service.until_health_is(Some("NOT_SERVING")).await;
    let caller = service.caller("ink_unknownunknownunknownunknownunknownunknown0");
    let mut request = caller.request(WhoAmIRequest {});
    request.metadata_mut().insert("x-request-id", "my-own-id".parse().unwrap());
    let mut client = api_key_service_client::ApiKeyServiceClient::new(caller.channel.clone());
    client.who_am_i(request).await.unwrap_err();
    let output = service.stop().await;
    assert!(!output.contains("\"rpc\",\"rpc.method"), "{output}");
    // Work that no call asked for meets the same database, and has no request.
    let mut warnings = output.lines().filter(|line| line.contains("database unavailable"));
    assert!(warnings.any(|line| line.contains("my-own-id")), "{output}");
}

#[tokio::test]
async fn a_probe_that_succeeds_is_logged_at_debug_and_one_that_fails_at_info() {
    for (filter, expected) in
        [("info", ["NotFound"].as_slice()), ("info,inkbox_imessage::grpc=debug", &["Ok", "NotFound"])]
    {
        let folder = Folder::migrated().await;
        let service = Service::start(&folder, &["--log-format", "json", "--log", filter]).await;
        service.until_health_is(Some("SERVING")).await;
        let mut unknown = command(&folder, &["health", "--service", "nonsense"]);
        unknown.env("INKBOX_LISTEN", service.address.to_string());
        finish(unknown).await.failed(2, "no health entry");
        let output = service.stop().await;
        let lines = output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let probes = lines.filter(|line| line["rpc.method"] == "/grpc.health.v1.Health/Check");
        let mut codes: Vec<_> = probes.map(|line| line["rpc.code"].as_str().unwrap().to_owned()).collect();
        codes.dedup();
        assert_eq!(codes, expected, "{output}");
    }
}
