use bytes::Bytes;
use chrono::TimeDelta;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::{CreateApiKeyRequest, CreateApiKeyResponse, RevokeApiKeyRequest};
use prost_types::Timestamp;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Request, Status};

use super::contract::table;
use crate::support::{TestApp, assert_reason};

/// Metadata, one pair at a time.
fn metadata(pairs: &[(&'static str, &[u8])]) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    for (name, value) in pairs {
        metadata.append(*name, AsciiMetadataValue::try_from(*value).unwrap());
    }
    metadata
}

/// All that a caller sees of a failure, but for what differs in every answer.
fn seen(status: &Status) -> String {
    let mut metadata = status.metadata().clone();
    metadata.remove("x-request-id").expect("a request id");
    metadata.remove("date");
    format!("{:?} {:?} {:?} {metadata:?}", status.code(), status.message(), status.details())
}

/// A key that has ended, by revocation or by time.
async fn ended_keys(app: &TestApp) -> [CreateApiKeyResponse; 2] {
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let end = app.clock.now() + TimeDelta::hours(1);
    let request = CreateApiKeyRequest {
        agent_identity_id: identity.id,
        label: String::new(),
        expires_at: Some(Timestamp { seconds: end.timestamp(), nanos: 0 }),
    };
    let revoked = admin.create_api_key(request.clone()).await.unwrap();
    let expired = admin.create_api_key(request).await.unwrap();
    let id = revoked.api_key.clone().unwrap().id;
    admin.revoke_api_key(RevokeApiKeyRequest { api_key_id: id }).await.unwrap();
    app.clock.advance(TimeDelta::hours(2));
    [revoked, expired]
}

#[tokio::test]
async fn every_rpc_refuses_every_key_that_does_not_work_with_the_same_bytes() {
    let app = TestApp::start().await;
    let [revoked, expired] = ended_keys(&app).await;
    let (mine, other) = (app.admin("org_a").await.secret.unwrap(), app.admin("org_b").await.secret.unwrap());
    let unknown = format!("{}{}", &mine[..12], &other[12..]);
    let bearer = |secret: &str| format!("Bearer {secret}").into_bytes();
    let cut_off = &mine[..mine.len() - 1];
    let presented = [
        ("missing", metadata(&[])),
        ("empty", metadata(&[("x-api-key", b"")])),
        ("garbage", metadata(&[("x-api-key", b"garbage")])),
        ("not text", metadata(&[("x-api-key", b"\xff\xfe")])),
        ("very long", metadata(&[("x-api-key", "k".repeat(5_000).as_bytes())])),
        ("without a scheme", metadata(&[("authorization", mine.as_bytes())])),
        ("of another scheme", metadata(&[("authorization", format!("Basic {mine}").as_bytes())])),
        ("a scheme alone", metadata(&[("authorization", b"Bearer")])),
        ("in another case", metadata(&[("x-api-key", mine.to_uppercase().as_bytes())])),
        ("cut off", metadata(&[("x-api-key", cut_off.as_bytes())])),
        ("unknown", metadata(&[("x-api-key", unknown.as_bytes())])),
        ("revoked", metadata(&[("x-api-key", revoked.secret.as_bytes())])),
        ("expired", metadata(&[("x-api-key", expired.secret.as_bytes())])),
        ("expired bearer", metadata(&[("authorization", &bearer(&expired.secret))])),
        ("two", metadata(&[("x-api-key", mine.as_bytes()), ("authorization", &bearer(&other))])),
        ("two of one form", metadata(&[("x-api-key", mine.as_bytes()), ("x-api-key", other.as_bytes())])),
    ];
    let stranger = app.stranger();
    let mut first = None;
    for rpc in table() {
        for (what, metadata) in &presented {
            // A request that says nothing, and one that is no message at all: keys come first.
            for body in [&b""[..], b"\xff"] {
                let mut request = Request::new(Bytes::from_static(body));
                *request.metadata_mut() = metadata.clone();
                let status = stranger.send(&rpc.path, request).await.expect_err(what);
                let first = first.get_or_insert_with(|| seen(&status));
                assert_eq!(&seen(&status), first, "{what} key on {}", rpc.path);
                assert_reason(Err::<(), _>(status), "API_KEY_INVALID");
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_rpc_of_ours_needs_a_key_too() {
    let app = TestApp::start().await;
    let paths = [
        "/inkbox.imessage.v1.ConversationService/Nonsense",
        "/inkbox.imessage.v1.Nonsense/Get",
        "/nonsense",
        "/grpc.health.v1.Healthy/Check",
        "/grpc.reflection.v1.ServerReflectionX/ServerReflectionInfo",
    ];
    let admin = app.admin("org_a").await;
    for path in paths {
        assert_reason(app.stranger().raw(path, "").await, "API_KEY_INVALID");
        assert_eq!(admin.raw(path, "").await.unwrap_err().code(), tonic::Code::Unimplemented, "{path}");
    }
}
