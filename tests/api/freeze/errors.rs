use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use inkbox_imessage::domain::PhoneNumber;
use inkbox_imessage::error::{Error, FieldViolation, Resource};
use inkbox_imessage::grpc::wire::status;
use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::{
    ErrorReason, ListIdentitiesRequest, SendMessageRequest, UpdateDeliveryStatusRequest,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::assert_frozen;
use crate::support::{Human, TestApp};

/// At least one error of each variant, with each optional part present and absent.
fn every_error() -> Vec<Error> {
    let second = Duration::from_secs(1);
    let id = Uuid::from_u128(7);
    let blocked = PhoneNumber::from("+15551230001".to_owned());
    let mut errors = vec![
        Error::InvalidArgument(vec![
            FieldViolation { field: "limit".to_owned(), description: "must be 1 to 200".to_owned() },
            FieldViolation { field: "offset".to_owned(), description: "must be 0 or more".to_owned() },
        ]),
        Error::ApiKeyInvalid,
        Error::IdentityMismatch,
        Error::ScopeInsufficient("an admin key"),
        Error::RecipientBlocked { address: blocked.clone(), matched_rule_id: Some(id.into()) },
        Error::RecipientBlocked { address: blocked.clone(), matched_rule_id: None },
        Error::RecipientNotConnected {
            router_number: Some(PhoneNumber::from("+12025550100".to_owned())),
            connect_command: "connect @sales".to_owned(),
        },
        Error::RecipientNotConnected { router_number: None, connect_command: "connect @sales".to_owned() },
        Error::RecipientHasNotMessaged,
        Error::RecipientOptedOut,
        Error::IdempotencyKeyReused,
        Error::IdempotencyInProgress { retry_after: second },
        Error::RateLimited { retry_after: second },
        Error::IdentityNotEnabled,
        Error::ConnectionReleased,
        Error::AlreadyExists { resource: Resource::ContactRule, existing_id: Some(id) },
        Error::AlreadyExists { resource: Resource::Identity, existing_id: None },
        Error::UpstreamFailed { retry_after: Some(second) },
        Error::UpstreamFailed { retry_after: None },
        Error::NotSupportedByCarrier,
        Error::StorageUnavailable,
        Error::Overloaded { retry_after: second },
        Error::TooLarge { what: "the request", limit: 1_048_576 },
        Error::DeadlineExceeded,
        Error::Unimplemented("the server has no such service or method"),
        Error::UnsupportedMediaType,
        Error::CursorExpired,
        Error::StreamEnded,
        Error::Internal,
    ];
    errors.extend(
        [
            Resource::Conversation,
            Resource::Connection,
            Resource::Identity,
            Resource::ApiKey,
            Resource::ContactRule,
            Resource::Message,
            Resource::Reaction,
            Resource::Line,
            Resource::Service,
        ]
        .map(Error::NotFound),
    );
    errors
}

/// Everything that a client can read from a status.
fn describe(status: &Status) -> String {
    let details = status.check_error_details().unwrap();
    let info = details.error_info().unwrap();
    let mut text = format!("{} {:?} {}\n", info.reason, status.code(), info.domain);
    writeln!(text, "  text: {}", status.message()).unwrap();
    let mut metadata: Vec<_> = info.metadata.iter().collect();
    metadata.sort();
    for (key, value) in metadata {
        writeln!(text, "  metadata {key}: {value}").unwrap();
    }
    for violation in details.bad_request().iter().flat_map(|bad| &bad.field_violations) {
        writeln!(text, "  field {}: {}", violation.field, violation.description).unwrap();
    }
    for violation in details.precondition_failure().iter().flat_map(|failure| &failure.violations) {
        writeln!(
            text,
            "  precondition {} {}: {}",
            violation.r#type, violation.subject, violation.description
        )
        .unwrap();
    }
    if let Some(resource) = details.resource_info() {
        writeln!(
            text,
            "  resource {} {:?} {:?}: {}",
            resource.resource_type, resource.resource_name, resource.owner, resource.description
        )
        .unwrap();
    }
    if let Some(retry) = details.retry_info() {
        writeln!(text, "  retry after: {:?}", retry.retry_delay.unwrap()).unwrap();
    }
    let pushback = status.metadata().get("grpc-retry-pushback-ms").unwrap();
    writeln!(text, "  retry pushback: {}", pushback.to_str().unwrap()).unwrap();
    if let Some(request) = details.request_info() {
        writeln!(text, "  request: {:?} {:?}", request.request_id, request.serving_data).unwrap();
    }
    text
}

#[test]
fn every_error_as_clients_see_it() {
    let text: String =
        every_error().iter().map(|error| describe(&status::from_error(error, "the-id"))).collect();
    assert_frozen("errors.txt", &text);
}

/// The text of a file of the repository.
fn file(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A code as docs/errors.md and proto files write it.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for character in format!("{code:?}").chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(character.to_ascii_uppercase());
    }
    name
}

#[test]
fn the_page_of_errors_has_every_reason_with_its_codes_and_details() {
    let page = file("docs/errors.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<Vec<_>> = rows.map(|row| row.split('|').map(str::trim).collect()).collect();
    let reasons: Vec<_> = rows.iter().map(|row| row[1].trim_matches('`')).collect();
    assert_eq!(reasons, ErrorReason::all().map(ErrorReason::name).collect::<Vec<_>>());

    let mut without_error: BTreeSet<_> = reasons.iter().copied().collect();
    for error in every_error() {
        let status = status::from_error(&error, "the-id");
        let details = status.check_error_details().unwrap();
        let info = details.error_info().unwrap();
        without_error.remove(&*info.reason);
        let row = &rows[reasons.iter().position(|reason| *reason == info.reason).unwrap()];
        assert_eq!(row[2].trim_matches('`'), code_name(status.code()), "{row:?}");
        assert_eq!(row[3], info.metadata["http_status"], "{row:?}");
        for (detail, is_present) in [
            ("BadRequest", details.bad_request().is_some()),
            ("ResourceInfo", details.resource_info().is_some()),
            ("PreconditionFailure", details.precondition_failure().is_some()),
            ("RequestInfo", details.request_info().is_some()),
        ] {
            assert_eq!(row[4].contains(detail), is_present, "{detail} in {row:?}");
        }
        assert!(details.retry_info().is_none() || row[5].contains("RetryInfo"), "{row:?}");
        for key in info.metadata.keys().filter(|key| *key != "http_status") {
            assert!(row[4].contains(&format!("metadata[\"{key}\"]")), "{key} in {row:?}");
        }
    }
    assert!(without_error.is_empty(), "every_error has none with the reasons {without_error:?}");
}

/// The reasons that a text names, of those that exist.
fn reasons_in(text: &str) -> BTreeSet<&'static str> {
    let words: BTreeSet<_> = text.split(|c: char| !c.is_ascii_uppercase() && c != '_').collect();
    ErrorReason::all().map(ErrorReason::name).filter(|name| words.contains(name)).collect()
}

#[test]
fn every_reason_that_no_rpc_names_is_one_that_any_rpc_may_answer() {
    let errors = file("proto/inkbox/imessage/v1/errors.proto");
    let (_, list) = errors.split_once("// Any RPC may answer ").unwrap();
    let any_rpc = reasons_in(list.split_once(". ").unwrap().0);
    let page = file("docs/errors.md");
    let (_, list) = page.split_once("Any RPC may return ").unwrap();
    assert_eq!(reasons_in(list.split_once(". ").unwrap().0), any_rpc, "docs/errors.md");

    let mut of_rpcs = BTreeSet::new();
    for entry in fs::read_dir(format!("{}/proto/inkbox/imessage/v1", env!("CARGO_MANIFEST_DIR"))).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let comments = text.split("// Reasons: ").skip(1);
        of_rpcs.extend(comments.flat_map(|comment| reasons_in(comment.split_once("rpc ").unwrap().0)));
    }
    let all: BTreeSet<_> = ErrorReason::all().map(ErrorReason::name).collect();
    assert_eq!(any_rpc.union(&of_rpcs).copied().collect::<BTreeSet<_>>(), all);
    // RemoveReaction gives it for a reaction of the human as well, whatever the key.
    let both: Vec<_> = any_rpc.intersection(&of_rpcs).copied().collect();
    assert_eq!(both, ["SCOPE_INSUFFICIENT"]);
}

#[tokio::test]
async fn what_a_call_needs_that_its_key_has_not() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, conversation_id) = human.converses(&identity, "hello").await;
    let (admin, agent, router) = (app.admin("org_a").await, app.agent(&identity).await, app.router().await);
    let request = SendMessageRequest {
        target: Some(Target::ConversationId(conversation_id)),
        text: Some("hello".to_owned()),
        ..Default::default()
    };
    let texts = [
        router.send_message(request).await.unwrap_err(),
        agent.list_identities(ListIdentitiesRequest::default()).await.unwrap_err(),
        admin
            .update_delivery_status(UpdateDeliveryStatusRequest {
                line_number: "+12025550101".to_owned(),
                provider_message_id: "1".to_owned(),
                status: 4,
                ..Default::default()
            })
            .await
            .unwrap_err(),
    ];
    let texts: Vec<_> = texts.iter().map(Status::message).collect();
    assert_frozen("scopes.txt", &(texts.join("\n") + "\n"));
}
