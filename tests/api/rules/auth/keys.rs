use inkbox_imessage::proto::{WhoAmIRequest, WhoAmIResponse};
use prost::Message as _;
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;

use crate::support::{TestApp, assert_reason};

const WHO_AM_I: &str = "/inkbox.imessage.v1.ApiKeyService/WhoAmI";

/// The id of the key that this metadata is taken for.
async fn key_id(app: &TestApp, metadata: &[(&'static str, &str)]) -> Result<String, tonic::Status> {
    let mut request = Request::new(bytes::Bytes::new());
    for (name, value) in metadata {
        request.metadata_mut().append(*name, AsciiMetadataValue::try_from(*value).unwrap());
    }
    let answer = app.stranger().send(WHO_AM_I, request).await?.into_inner();
    Ok(WhoAmIResponse::decode(answer).unwrap().api_key.unwrap().id)
}

#[tokio::test]
async fn a_key_is_taken_from_either_form_and_twice_the_same_is_one() {
    let app = TestApp::start().await;
    for caller in [app.admin("org_a").await, app.router().await] {
        let id = caller.who_am_i(WhoAmIRequest {}).await.unwrap().api_key.unwrap().id;
        let secret = caller.secret.unwrap();
        let (bearer, lower) = (format!("Bearer {secret}"), format!("bearer {secret}"));
        for metadata in [
            &[("x-api-key", secret.as_str())][..],
            &[("authorization", &bearer)],
            &[("authorization", &lower)],
            &[("x-api-key", &secret), ("authorization", &bearer)],
            &[("x-api-key", &secret), ("x-api-key", &secret)],
        ] {
            assert_eq!(key_id(&app, metadata).await.unwrap(), id);
        }
    }
}

#[tokio::test]
async fn two_keys_that_differ_are_refused_though_both_work() {
    let app = TestApp::start().await;
    let (a, b) = (app.admin("org_a").await.secret.unwrap(), app.admin("org_b").await.secret.unwrap());
    let (bearer_a, bearer_b) = (format!("Bearer {a}"), format!("Bearer {b}"));
    for metadata in [
        &[("x-api-key", a.as_str()), ("authorization", &bearer_b)][..],
        &[("x-api-key", &b), ("authorization", &bearer_a)],
        &[("x-api-key", &a), ("x-api-key", &b)],
        &[("authorization", &bearer_a), ("authorization", &bearer_b)],
        &[("x-api-key", &a), ("authorization", "Bearer nonsense")],
        &[("x-api-key", &a), ("authorization", "Basic nonsense")],
    ] {
        assert_reason(key_id(&app, metadata).await, "API_KEY_INVALID");
    }
}
