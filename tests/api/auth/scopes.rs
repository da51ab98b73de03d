use tonic::Code;

use super::contract::{Keys, table};
use crate::support::{TestApp, assert_reason};

#[tokio::test]
async fn every_rpc_takes_the_keys_of_its_kind_and_refuses_the_others() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let callers = [
        (app.admin("org_a").await, &[Keys::Any, Keys::Admin, Keys::AdminOrIdentity][..]),
        (app.agent(&identity).await, &[Keys::Any, Keys::AdminOrIdentity]),
        (app.router().await, &[Keys::Any, Keys::Router]),
    ];
    for rpc in table() {
        for (caller, may_call) in &callers {
            let answer = caller.raw(&rpc.path, rpc.request.clone()).await;
            if may_call.contains(&rpc.keys) {
                // What the request names does not exist.
                if let Err(status) = answer {
                    assert_eq!(status.code(), Code::NotFound, "{}: {status:?}", rpc.path);
                }
            } else {
                assert_eq!(answer.as_ref().map_err(tonic::Status::code).unwrap_err(), Code::PermissionDenied);
                assert_reason(answer, "SCOPE_INSUFFICIENT");
            }
        }
    }
}
