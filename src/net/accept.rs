//! Taking connections from a listener.

use std::convert::Infallible;
use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tokio::time::{Instant, sleep};
use tonic::body::Body;
use tower::Service;

use super::listeners::Listener;
use super::{Shared, Stage, connection};

/// How long a listener rests when it could not take a connection, such as at the limit of file descriptors: the system
/// would say so again at once, as often as we ask.
const REST: Duration = Duration::from_millis(100);
/// At most one complaint in this time: what made the first one makes thousands.
const BETWEEN_COMPLAINTS: Duration = Duration::from_secs(5);

/// Takes connections until the service is told to finish; then the listener is closed.
pub(super) async fn accept<S>(listener: Listener, shared: Arc<Shared<S>>)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let mut stage = shared.stage.clone();
    let taking = async {
        let mut complaints = Complaints::default();
        loop {
            match listener.accept().await {
                Ok(socket) => match shared.places.clone().try_acquire_owned() {
                    Ok(place) => {
                        shared.connections.spawn(connection::serve(socket, shared.clone(), place));
                    }
                    // Its client hears it at once, and may find room at another replica.
                    Err(_) => complaints.say("as many connections as are taken: one more was closed", None),
                },
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    complaints.say("connections cannot be taken", Some(error));
                    sleep(REST).await;
                }
            }
        }
    };
    tokio::select! {
        _ = stage.wait_for(|stage| *stage != Stage::Serving) => {}
        () = taking => {}
    }
}

/// Whether only the connection that was to be taken has failed, and the next one need not.
fn is_of_one_connection(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
            | ErrorKind::WouldBlock
    )
}

#[derive(Default)]
struct Complaints {
    last: Option<Instant>,
    kept_back: u64,
}

impl Complaints {
    fn say(&mut self, what: &str, error: Option<Error>) {
        if self.last.is_some_and(|last| last.elapsed() < BETWEEN_COMPLAINTS) {
            self.kept_back += 1;
            return;
        }
        let error = error.map(tracing::field::display);
        tracing::warn!(error, kept_back = self.kept_back, "{what}");
        *self = Self { last: Some(Instant::now()), kept_back: 0 };
    }
}
