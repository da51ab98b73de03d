//! API keys: an agent's software takes a new one, and the old one may end.

use inkbox_imessage::proto::{CreateApiKeyRequest, ListApiKeysRequest, RevokeApiKeyRequest, WhoAmIRequest};

use crate::model::replicas::InTurn;
use crate::model::state::organization_of;
use crate::model::step::Who;
use crate::model::world::{Touched, World, as_predicted};
use crate::support::{assert_reason, eventually};

/// More keys than a sequence makes.
const ALL_ROWS: Option<i32> = Some(200);

/// An API key, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    id: String,
    is_revoked: bool,
}

impl Key {
    /// All of an organization, by id.
    pub async fn of_organization(admin: &InTurn) -> Vec<Self> {
        let request = ListApiKeysRequest { limit: ALL_ROWS, ..Default::default() };
        let rows = admin.next().list_api_keys(request).await.unwrap().api_keys;
        let mut keys: Vec<_> =
            rows.into_iter().map(|row| Self { id: row.id, is_revoked: row.revoked_at.is_some() }).collect();
        keys.sort();
        keys
    }
}

impl World {
    pub async fn new_key(&mut self, agent: usize, revoke: bool) -> Touched {
        let organization = organization_of(agent);
        let request = CreateApiKeyRequest {
            agent_identity_id: self.model.agents[agent].id.clone(),
            label: "another".to_owned(),
            expires_at: None,
        };
        for (who, refused) in [(Who::Own, "SCOPE_INSUFFICIENT"), (Who::Foreign, "NOT_FOUND")] {
            as_predicted(self.caller(who, agent).create_api_key(request.clone()).await, Some(refused));
        }
        let made = self.caller(Who::Admin, agent).create_api_key(request).await.unwrap();
        let id = made.api_key.unwrap().id;
        let new = self.agents[agent].with_secret(&made.secret);
        for caller in &new.callers {
            assert_eq!(caller.who_am_i(WhoAmIRequest {}).await.unwrap().api_key.unwrap().id, id);
        }
        self.keys[organization].push(Key { id, is_revoked: false });
        let old = std::mem::replace(&mut self.agents[agent], new);
        let old_id = old.next().who_am_i(WhoAmIRequest {}).await.unwrap().api_key.unwrap().id;
        if revoke {
            let request = RevokeApiKeyRequest { api_key_id: old_id.clone() };
            let foreign = self.caller(Who::Foreign, agent).revoke_api_key(request.clone()).await;
            as_predicted(foreign, Some("NOT_FOUND"));
            self.caller(Who::Admin, agent).revoke_api_key(request).await.unwrap();
            for caller in &old.callers {
                // At once on the replica that was told, soon on the other.
                let refused = eventually("a revoked key is refused", async || {
                    caller.who_am_i(WhoAmIRequest {}).await.err()
                });
                assert_reason(Err::<(), _>(refused.await), "API_KEY_INVALID");
            }
            let ended = self.keys[organization].iter_mut().find(|key| key.id == old_id);
            ended.expect("a key of the organization").is_revoked = true;
        }
        self.keys[organization].sort();
        for (admin, keys) in self.admins.iter().zip(&self.keys) {
            assert_eq!(Key::of_organization(admin).await, *keys);
        }
        Touched::of(agent)
    }
}
