//! A human who has texted an agent, for what operators do with that.

use inkbox_imessage::proto::{
    CreateIdentityRequest, FilterMode, ReceiveMessageRequest, ReceiveMessageResponse,
};

use crate::process::folder::Folder;
use crate::support::callers::Caller;
use crate::support::program::{Service, run};

/// The human.
pub(crate) const NUMBER: &str = "+15551230001";
/// The line of the two.
pub(crate) const LINE: &str = "+12025550101";
pub(crate) const ROUTER_LINE: &str = "+12025550100";

/// Who was made.
pub(crate) struct Met {
    /// An admin of `org_a`, to whom the agent belongs.
    pub(crate) admin: Caller,
    /// Who hands in what the human texts.
    pub(crate) router: Caller,
    /// The conversation of the two.
    pub(crate) conversation_id: String,
}

/// Makes an organization with an agent, lines, and a human who connects to it and says hello.
pub(crate) async fn meets(folder: &Folder, service: &Service) -> Met {
    let admin = service.caller(&run(folder, &["org", "create", "org_a"]).await.secret());
    let router = service.caller(&run(folder, &["key", "create", "--scope", "router"]).await.secret());
    for (number, role) in [(ROUTER_LINE, "router"), (LINE, "pool")] {
        run(folder, &["line", "add", number, "--role", role]).await.succeeded();
    }
    let request = CreateIdentityRequest {
        agent_handle: "agent".to_owned(),
        imessage_enabled: true,
        filter_mode: FilterMode::Blacklist.into(),
        ..Default::default()
    };
    admin.create_identity(request).await.unwrap();
    texts(&router, ROUTER_LINE, "1", "connect @agent").await;
    let conversation_id = texts(&router, LINE, "2", "hello").await.conversation_id.unwrap();
    Met { admin, router, conversation_id }
}

/// The human texts a line.
pub(crate) async fn texts(router: &Caller, line: &str, id: &str, words: &str) -> ReceiveMessageResponse {
    let request = ReceiveMessageRequest {
        line_number: line.to_owned(),
        remote_number: NUMBER.to_owned(),
        text: Some(words.to_owned()),
        provider_message_id: id.to_owned(),
        ..Default::default()
    };
    router.receive_message(request).await.unwrap()
}
