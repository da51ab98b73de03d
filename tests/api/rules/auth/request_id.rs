use std::collections::BTreeSet;

use bytes::Bytes;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use uuid::Uuid;

use super::contract::table;
use crate::support::TestApp;
use crate::support::callers::Caller;

const WHO_AM_I: &str = "/inkbox.imessage.v1.ApiKeyService/WhoAmI";

/// Calls with this request id, and gives the one that comes back, whatever becomes of the call.
async fn answered(caller: &Caller, path: &str, body: &[u8], given: Option<&[u8]>) -> String {
    let mut request = caller.request(Bytes::copy_from_slice(body));
    if let Some(given) = given {
        request.metadata_mut().insert("x-request-id", AsciiMetadataValue::try_from(given).unwrap());
    }
    match caller.send(path, request).await {
        Ok(answer) => only(answer.metadata()),
        Err(status) => only(status.metadata()),
    }
}

/// The one request id of an answer.
#[track_caller]
fn only(metadata: &MetadataMap) -> String {
    let ids: Vec<_> = metadata.get_all("x-request-id").iter().collect();
    assert_eq!(ids.len(), 1, "{metadata:?}");
    ids[0].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_rpc_returns_the_callers_request_id_whatever_becomes_of_the_call() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let callers = [app.admin("org_a").await, app.agent(&identity).await, app.router().await, app.stranger()];
    let mut calls: Vec<_> = table().into_iter().map(|rpc| (rpc.path, rpc.request)).collect();
    let good = calls.clone();
    calls.extend(good.into_iter().map(|(path, _)| (path, b"\xff".to_vec())));
    calls.push(("/inkbox.imessage.v1.ConversationService/Nonsense".to_owned(), Vec::new()));
    calls.push(("/nonsense".to_owned(), Vec::new()));
    calls.push(("/grpc.health.v1.Health/Check".to_owned(), Vec::new()));
    calls.push(("/grpc.health.v1.Health/Check".to_owned(), b"\x0a\x01x".to_vec()));
    for caller in &callers {
        for (path, body) in &calls {
            assert_eq!(answered(caller, path, body, Some(b"mine-1")).await, "mine-1", "{path}");
        }
    }
}

#[tokio::test]
async fn one_to_128_visible_ascii_characters_are_taken() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let visible: Vec<u8> = (0x21..=0x7e).collect();
    for given in [&b"x"[..], &visible, &[b'x'; 128]] {
        assert_eq!(answered(&admin, WHO_AM_I, b"", Some(given)).await.as_bytes(), given);
    }
}

#[tokio::test]
async fn a_fresh_one_is_made_when_absent_or_not_usable() {
    let app = TestApp::start().await;
    let mut made = BTreeSet::new();
    for caller in [app.admin("org_a").await, app.stranger()] {
        let unusable =
            [None, Some(&b""[..]), Some(&[b'x'; 129]), Some(b"a b"), Some(b"\xc3\xa9"), Some(b"a\tb")];
        for given in unusable {
            let id = answered(&caller, WHO_AM_I, b"", given).await;
            assert!(Uuid::try_parse(&id).is_ok(), "{given:?}: {id:?}");
            assert!(made.insert(id), "{given:?}: an id was given twice");
        }
    }
}
