//! Where callers call, whatever process answers there, and what only an operator does there.

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

/// How long callers wait. More than the service takes for anything but a release or a send that a line keeps.
const PATIENCE: Duration = Duration::from_secs(4);

/// A service and its database.
pub(crate) struct Site {
    channel: Mutex<Channel>,
    /// For rows that no RPC makes. Past whatever stands between the service and the database.
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

impl Site {
    /// On a database that is there, with its lines at a carrier.
    pub(crate) async fn new(options: PgConnectOptions, carrier: CarrierKind, phone: Phone) -> Self {
        let db = Database::new(&options, 1, TaskTracker::new()).unwrap();
        db.open();
        for line in [ROUTER_LINE].into_iter().chain(POOL_LINES) {
            let role = if line == ROUTER_LINE { LineRole::Router } else { LineRole::Pool };
            let number = PhoneNumber::parse(line).unwrap();
            store::lines::add(&db, &number, role, carrier, SystemClock.now()).await.unwrap().unwrap();
        }
        let router = mint(&db, ApiKeyScope::Router, None, None).await;
        let nowhere = channel(SocketAddr::from(([127, 0, 0, 1], 1)));
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
        Self { channel: Mutex::new(nowhere), db, pool, options, router, phone, tally: Tally::default() }
    }

    /// The service is here from now on.
    pub(crate) fn moves_to(&self, address: SocketAddr) {
        *self.channel.lock().unwrap() = channel(address);
    }

    /// A caller of the service, wherever it is now.
    pub(crate) fn caller(&self, secret: &str) -> Caller {
        Caller::new(self.channel.lock().unwrap().clone(), Some(secret.to_owned()))
    }

    /// What carriers deliver with.
    pub(crate) fn router(&self) -> Caller {
        self.caller(&self.router)
    }

    /// Makes an organization; gives the secret of its admin key.
    pub(crate) async fn organization(&self, id: &str) -> String {
        // Sessions of before a crash are found to be broken first.
        eventually("the organization is made", async || {
            store::organizations::create(&self.db, &id.into(), SystemClock.now()).await.ok()
        })
        .await;
        mint(&self.db, ApiKeyScope::Admin, Some(id), None).await
    }

    /// The secret of a key of an identity.
    pub(crate) async fn agent(&self, organization: &str, identity_id: &str) -> String {
        mint(&self.db, ApiKeyScope::Identity, Some(organization), Some(identity_id)).await
    }

    /// Waits until no statement runs that a caller was not told the end of, nor anything that waits for one.
    pub(crate) async fn until_quiet(&self) {
        let busy = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name = 'inkbox-imessage' AND state <> 'idle'";
        eventually("the database is quiet", async || {
            let busy: Option<i64> = sqlx::query_scalar(busy).fetch_one(&self.pool).await.ok();
            (busy == Some(0)).then_some(())
        })
        .await;
    }

    /// Asserts what `verify` looks for.
    pub(crate) async fn is_whole(&self) {
        invariants::hold_in(&self.options, SystemClock.now()).await;
    }
}

async fn mint(
    db: &Database,
    scope: ApiKeyScope,
    organization: Option<&str>,
    identity: Option<&str>,
) -> String {
    let new = NewKey {
        scope,
        organization_id: organization.map(Into::into),
        agent_identity_id: identity.map(|id| uuid::Uuid::try_parse(id).unwrap().into()),
        label: "torture".to_owned(),
        expires_at: None,
    };
    let minted =
        eventually("a key is minted", async || auth::issue_key(db, &SystemClock, new.clone()).await.ok());
    minted.await.1.reveal().to_owned()
}
