//! The service under test, whichever process serves at the moment, with its database and its carrier.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use inkbox_imessage::auth::{self, NewKey};
use inkbox_imessage::clock::{Clock as _, SystemClock};
use inkbox_imessage::domain::{ApiKeyScope, CarrierKind, LineRole, PhoneNumber};
use inkbox_imessage::store::{self, Database};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio_util::task::TaskTracker;
use tonic::transport::{Channel, Endpoint};

use crate::faults::ledger::Tally;
use crate::faults::phone::Phone;
use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::callers::Caller;
use crate::support::{eventually, invariants};

/// Deadline of calls. Longer than any call except a release or a send that waits for a carrier.
const PATIENCE: Duration = Duration::from_secs(4);

pub(crate) struct Environment {
    channel: Mutex<Channel>,
    /// For rows that no RPC creates. Connects directly, without the proxy between the service and the database.
    db: Database,
    pool: PgPool,
    options: PgConnectOptions,
    router: String,
    pub(crate) phone: Phone,
    pub(crate) tally: Tally,
}

fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(PATIENCE).connect_lazy()
}

impl Environment {
    /// Uses an existing database and adds lines of this carrier to it.
    pub(crate) async fn new(options: PgConnectOptions, carrier: CarrierKind, phone: Phone) -> Self {
        let db = Database::new(&options, 1, TaskTracker::new());
        db.open();
        for line in [ROUTER_LINE].into_iter().chain(POOL_LINES) {
            let role = if line == ROUTER_LINE { LineRole::Router } else { LineRole::Pool };
            let number = PhoneNumber::parse(line).unwrap();
            store::lines::add(&db, &number, role, carrier, SystemClock.now()).await.unwrap().unwrap();
        }
        let router = issue_key(&db, ApiKeyScope::Router, None, None).await;
        let nowhere = channel(SocketAddr::from(([127, 0, 0, 1], 1)));
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
        Self { channel: Mutex::new(nowhere), db, pool, options, router, phone, tally: Tally::default() }
    }

    /// Sets the address of the service.
    pub(crate) fn moves_to(&self, address: SocketAddr) {
        *self.channel.lock().unwrap() = channel(address);
    }

    /// A caller of the service at its current address.
    pub(crate) fn caller(&self, secret: &str) -> Caller {
        Caller::new(self.channel.lock().unwrap().clone(), Some(secret.to_owned()))
    }

    /// A caller with the router key, which delivers inbound messages.
    pub(crate) fn router(&self) -> Caller {
        self.caller(&self.router)
    }

    /// Creates an organization and returns the secret of an admin key.
    pub(crate) async fn organization(&self, id: &str) -> String {
        // The first attempts may use database connections that a crash has broken.
        eventually("the organization is created", async || {
            store::organizations::create(&self.db, &id.into(), SystemClock.now()).await.ok()
        })
        .await;
        issue_key(&self.db, ApiKeyScope::Admin, Some(id), None).await
    }

    /// Creates an identity key and returns its secret.
    pub(crate) async fn agent(&self, organization: &str, identity_id: &str) -> String {
        issue_key(&self.db, ApiKeyScope::Identity, Some(organization), Some(identity_id)).await
    }

    /// A connection to the database itself, for what no RPC tells.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Waits until the service runs no statement, so that no call with an unknown outcome is still being executed.
    pub(crate) async fn until_quiet(&self) {
        let busy = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name = 'inkbox-imessage' AND state <> 'idle'";
        eventually("the database is quiet", async || {
            let busy: Option<i64> = sqlx::query_scalar(busy).fetch_one(&self.pool).await.ok();
            (busy == Some(0)).then_some(())
        })
        .await;
    }

    /// Asserts that `verify` finds no violation.
    pub(crate) async fn assert_invariants(&self) {
        invariants::hold_in(&self.options, SystemClock.now()).await;
    }
}

async fn issue_key(
    db: &Database,
    scope: ApiKeyScope,
    organization: Option<&str>,
    identity: Option<&str>,
) -> String {
    let new = NewKey {
        scope,
        organization_id: organization.map(Into::into),
        agent_identity_id: identity.map(|id| uuid::Uuid::try_parse(id).unwrap().into()),
        label: "faults".to_owned(),
        expires_at: None,
    };
    let issued =
        eventually("a key is issued", async || auth::issue_key(db, &SystemClock, new.clone()).await.ok());
    issued.await.1.reveal().to_owned()
}
