//! Three tenants: our own, another identity of our organization, and another organization.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use inkbox_imessage::clock::{Clock as _, SystemClock};
use inkbox_imessage::proto::WhoAmIRequest;

use crate::isolation::contract::{Kind, Meaning, Rpc};
use crate::isolation::tenant::{Tenant, Thing};
use crate::support::TestApp;
use crate::support::callers::Caller;

pub struct World {
    pub app: TestApp,
    pub own: Tenant,
    pub sibling: Tenant,
    pub foreign: Tenant,
    router: Caller,
    router_key: Thing,
}

/// A caller of our own side.
pub struct Asker {
    pub kind: &'static str,
    pub caller: Caller,
}

impl World {
    pub async fn start() -> Self {
        let app = TestApp::start().await;
        let own = Tenant::settle(&app, "org_own").await;
        let sibling = Tenant::settle(&app, "org_own").await;
        let foreign = Tenant::settle(&app, "org_foreign").await;
        let router = app.router().await;
        let id = router.who_am_i(WhoAmIRequest {}).await.unwrap().api_key.unwrap().id;
        let router_key = Thing { state: "a router's", id };
        Self { app, own, sibling, foreign, router, router_key }
    }

    /// Every kind of key, and none.
    pub fn askers(&self) -> [Asker; 4] {
        [
            Asker { kind: "admin", caller: self.own.admin.clone() },
            Asker { kind: "identity", caller: self.own.agent.clone() },
            Asker { kind: "router", caller: self.router.clone() },
            Asker { kind: "no", caller: self.app.stranger() },
        ]
    }

    /// Everything that a field could name and that the caller must not learn of, with whose it is.
    pub fn out_of_sight(&self, asker: &Asker, rpc: &Rpc, meaning: Meaning) -> Vec<(&'static str, Thing)> {
        let all = |tenant: &Tenant| match meaning {
            Meaning::Id(kind) => tenant.things[&kind].clone(),
            _ => tenant.tokens[rpc.name.as_str()].clone(),
        };
        let mut found: Vec<_> =
            all(&self.foreign).into_iter().map(|thing| ("another organization's", thing)).collect();
        if asker.kind == "identity" {
            found.extend(all(&self.sibling).into_iter().map(|thing| ("another identity's", thing)));
            if meaning == Meaning::Id(Kind::Message) {
                found.extend(
                    self.own.hidden.iter().map(|thing| ("its own, yet out of its view,", thing.clone())),
                );
            }
        }
        if meaning == Meaning::Id(Kind::ApiKey) {
            found.push(("the lines'", self.router_key.clone()));
        }
        found
    }

    /// What has the form of an id or token, and names nothing.
    pub fn absent(meaning: Meaning) -> String {
        let id = SystemClock.new_id();
        match meaning {
            Meaning::PageToken => {
                // As src/grpc/page_token.rs lays it out: version, binding, microseconds, id.
                let micros = SystemClock.now().timestamp_micros().to_be_bytes();
                let token = [&[1][..], &[0xAB; 16], &micros, id.as_bytes()].concat();
                URL_SAFE_NO_PAD.encode(token)
            }
            _ => id.to_string(),
        }
    }
}
