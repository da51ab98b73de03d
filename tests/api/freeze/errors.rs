use std::fmt::Write as _;
use std::time::Duration;

use inkbox_imessage::domain::PhoneNumber;
use inkbox_imessage::error::{Error, FieldViolation, Resource};
use inkbox_imessage::grpc::wire::status;
use inkbox_imessage::proto::SendMessageRequest;
use inkbox_imessage::proto::send_message_request::Target;
use tonic::Status;
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::assert_frozen;
use crate::support::{Human, TestApp};

/// At least one error of each variant, with each optional part present and absent.
fn every_error() -> Vec<Error> {
    let second = Duration::from_secs(1);
    let id = Uuid::from_u128(7);
    let mut errors = vec![
        Error::InvalidArgument(vec![
            FieldViolation { field: "limit".to_owned(), description: "must be 1 to 200".to_owned() },
            FieldViolation { field: "offset".to_owned(), description: "must be 0 or more".to_owned() },
        ]),
        Error::ApiKeyInvalid,
        Error::IdentityMismatch,
        Error::ScopeInsufficient("an admin key"),
        Error::RecipientBlocked { matched_rule_id: Some(id.into()) },
        Error::RecipientBlocked { matched_rule_id: None },
        Error::RecipientNotConnected {
            router_number: Some(PhoneNumber::from("+12025550100".to_owned())),
            connect_command: "connect @sales".to_owned(),
        },
        Error::RecipientNotConnected { router_number: None, connect_command: "connect @sales".to_owned() },
        Error::RecipientHasNotMessaged,
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
    if let Some(request) = details.request_info() {
        writeln!(text, "  request: {:?} {:?}", request.request_id, request.serving_data).unwrap();
    }
    text
}

#[test]
fn every_error_as_clients_see_it() {
    let text: String = every_error().iter().map(|error| describe(&status::of(error, "the-id"))).collect();
    assert_frozen("errors.txt", &text);
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
        agent.list_identities(Default::default()).await.unwrap_err(),
        admin
            .update_delivery_status(inkbox_imessage::proto::UpdateDeliveryStatusRequest {
                line_number: "+12025550101".to_owned(),
                provider_message_id: "1".to_owned(),
                status: 4,
                ..Default::default()
            })
            .await
            .unwrap_err(),
    ];
    let text: String = texts.iter().map(|status| format!("{}\n", status.message())).collect();
    assert_frozen("scopes.txt", &text);
}
