//! The key that seals cursors.

use sqlx::query;

use crate::store::{Affects, Database, StoreError};

/// The key of this database; `new` becomes it if there is none yet.
pub async fn cursor_key(db: &Database, new: [u8; 32]) -> Result<[u8; 32], StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query events::cursor_key", |connection| async move {
            query!("INSERT INTO cursor_keys (id, key) VALUES (1, $1) ON CONFLICT (id) DO NOTHING", &new[..])
                .execute(&mut *connection)
                .await?;
            let row = query!("SELECT key FROM cursor_keys WHERE id = 1").fetch_one(connection).await?;
            row.key.try_into().map_err(|_| StoreError::Unavailable("the key of cursors has a wrong length"))
        })
        .await
}
