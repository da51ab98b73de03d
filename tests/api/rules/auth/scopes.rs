use tonic::Code;
use tonic_types::StatusExt as _;

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
                // What the request names does not exist, and an agent may name no other agent.
                if let Err(status) = answer {
                    let info = status.get_details_error_info().unwrap();
                    let expected = ["NOT_FOUND", "IDENTITY_MISMATCH"].contains(&info.reason.as_str());
                    assert!(expected, "{}: {status:?}", rpc.path);
                }
            } else {
                assert_eq!(answer.as_ref().map_err(tonic::Status::code).unwrap_err(), Code::PermissionDenied);
                assert_reason(answer, "SCOPE_INSUFFICIENT");
            }
        }
    }
}
