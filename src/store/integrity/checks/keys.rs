//! Invariants of the lookups by handle and by key digest. None is repairable: a repair would decide who may
//! act or be reached under a name or secret, which is the operator's decision.

use futures_util::TryStreamExt as _;

use super::invariant::{CheckFuture, Invariant, MAX_LISTED, Violation, Violations, global_check};
use crate::domain::Handle;
use crate::store::{DbConnection, StoreError};

pub(super) const INVARIANTS: &[Invariant<()>] = &[
    Invariant {
        name: "identities and handles match",
        repair: None,
        find: |link, ()| Box::pin(handles(link)),
    },
    global_check!(
        "key digests match the organization keys that are not revoked",
        None,
        r#"WITH k AS MATERIALIZED (
               SELECT organization_id, id, scope, agent_identity_id, expires_at FROM api_keys
               WHERE revoked_at IS NULL)
           SELECT coalesce(k.organization_id, d.organization_id) AS organization_id,
                  coalesce(k.id, d.api_key_id)::text AS "id!", count(*) OVER () AS "total!"
           FROM k
           FULL JOIN (SELECT organization_id, api_key_id, scope, agent_identity_id, expires_at FROM key_digests
                      WHERE scope <> 3) d
                  ON d.organization_id = k.organization_id AND d.api_key_id = k.id
           WHERE (k.id, k.scope, k.agent_identity_id, k.expires_at)
                 IS DISTINCT FROM (d.api_key_id, d.scope, d.agent_identity_id, d.expires_at)
           LIMIT $1"#
    ),
    global_check!(
        "key digests match the router keys that are not revoked",
        None,
        r#"SELECT NULL::text AS organization_id, coalesce(k.id, d.api_key_id)::text AS "id!",
                  count(*) OVER () AS "total!"
           FROM (SELECT id, expires_at FROM router_keys WHERE revoked_at IS NULL) k
           FULL JOIN (SELECT api_key_id, expires_at FROM key_digests WHERE scope = 3) d ON d.api_key_id = k.id
           WHERE (k.id, k.expires_at) IS DISTINCT FROM (d.api_key_id, d.expires_at)
           LIMIT $1"#
    ),
    global_check!(
        "the key epoch has a row",
        None,
        r#"SELECT NULL::text AS organization_id, 'key_epoch' AS "id!", 1::bigint AS "total!"
           WHERE NOT EXISTS (SELECT FROM key_epoch)
           LIMIT $1"#
    ),
];

/// Compares lower-cased handles in Rust, as the lookup does: PostgreSQL's `lower` depends on the database's
/// locale.
async fn handles(link: &mut DbConnection) -> Result<Violations, StoreError> {
    let mut rows = sqlx::query!(
        r#"WITH i AS MATERIALIZED (SELECT organization_id, id, agent_handle FROM identities)
           SELECT coalesce(i.organization_id, h.organization_id) AS "organization_id!",
                  coalesce(i.id, h.agent_identity_id) AS "id!", i.agent_handle AS "agent_handle?", h.handle AS "handle?"
           FROM i
           FULL JOIN handles h ON h.organization_id = i.organization_id AND h.agent_identity_id = i.id
           WHERE i.agent_handle IS DISTINCT FROM h.handle"#,
    )
    .fetch(link);
    let mut found = Violations::default();
    while let Some(row) = rows.try_next().await? {
        let name = row.agent_handle.as_deref().and_then(|name| Handle::parse(name).ok());
        if row.handle.is_some() && name.as_ref().map(Handle::key) == row.handle.as_deref() {
            continue;
        }
        found.total += 1;
        if found.total <= MAX_LISTED.unsigned_abs() {
            found.listed.push(Violation {
                organization_id: Some(row.organization_id.into()),
                id: row.id.to_string(),
            });
        }
    }
    Ok(found)
}
