//! Sendblue's API as the service calls it, for phones that remember what reached them; and every way in which it fails.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use url::Url;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It is done.
    Works,
    /// It is done, and the answer comes too late.
    WorksTooLate,
    /// It is done, and the answer is no answer.
    WorksAndBabbles,
    /// It is done, and the answer says that it may not be.
    WorksAndFails,
    /// Nothing is done, and no answer comes in time.
    Silent,
    /// Nothing is done, and the answer is that of a server that failed.
    Fails,
    /// Nothing is done: too many calls.
    IsBusy,
    /// Nothing is done, for good.
    Refuses,
}

/// Every way to fail.
pub(crate) const FAILURES: [Mood; 7] = [
    Mood::WorksTooLate,
    Mood::WorksAndBabbles,
    Mood::WorksAndFails,
    Mood::Silent,
    Mood::Fails,
    Mood::IsBusy,
    Mood::Refuses,
];

/// How the carrier behaves from now on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habit {
    /// How likely a call fails, in some way.
    pub(crate) failing: f64,
    /// The longest that a call takes otherwise.
    pub(crate) slowness: Duration,
    /// Longer than the service waits.
    pub(crate) too_late: Duration,
}

struct Inner {
    habit: Mutex<(Habit, StdRng)>,
    /// Line, human, text, in order; the place is the message's id.
    sent: Mutex<Vec<(String, String, String)>>,
    failed: Mutex<HashMap<String, u64>>,
}

/// The carrier. Gone when dropped.
pub(crate) struct Phone {
    pub(crate) url: Url,
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

impl Phone {
    pub(crate) async fn start(habit: Habit) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let habit = Mutex::new((habit, StdRng::seed_from_u64(0)));
        let inner = Arc::new(Inner { habit, sent: Mutex::default(), failed: Mutex::default() });
        let router = Router::new()
            .route("/api/send-message", post(send))
            .route("/api/v2/messages", get(list))
            .route("/api/mark-read", post(other))
            .route("/api/send-typing-indicator", post(other))
            .route("/api/send-reaction", post(other))
            .with_state(inner.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, inner, serving }
    }

    /// Changes how it behaves.
    pub(crate) fn behaves(&self, habit: Habit, chance: StdRng) {
        *self.inner.habit.lock().unwrap() = (habit, chance);
    }

    /// How often these words reached a phone.
    pub(crate) fn times(&self, words: &str) -> usize {
        self.inner.sent.lock().unwrap().iter().filter(|(_, _, text)| text == words).count()
    }

    /// How many messages reached phones.
    pub(crate) fn all(&self) -> usize {
        self.inner.sent.lock().unwrap().len()
    }

    /// How often calls failed, in each way.
    pub(crate) fn failed(&self) -> HashMap<String, u64> {
        self.inner.failed.lock().unwrap().clone()
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Inner {
    /// What becomes of the next call, after how long, and how long is too late.
    fn mood(&self) -> (Mood, Duration, Duration) {
        let mut locked = self.habit.lock().unwrap();
        let (habit, chance) = &mut *locked;
        let slowness = if habit.slowness.is_zero() {
            Duration::ZERO
        } else {
            chance.random_range(Duration::ZERO..habit.slowness)
        };
        let mood = if chance.random_bool(habit.failing) {
            FAILURES[chance.random_range(0..FAILURES.len())]
        } else {
            Mood::Works
        };
        if mood != Mood::Works {
            *self.failed.lock().unwrap().entry(format!("{mood:?}")).or_default() += 1;
        }
        (mood, slowness, habit.too_late)
    }

    /// Does a call or not; gives the answer to it.
    async fn answer(&self, done: impl FnOnce() -> Value) -> Response {
        let (mood, slowness, too_late) = self.mood();
        sleep(slowness).await;
        match mood {
            Mood::Works => axum_json(StatusCode::OK, &done()),
            Mood::WorksTooLate => {
                let answer = done();
                sleep(too_late).await;
                axum_json(StatusCode::OK, &answer)
            }
            Mood::WorksAndBabbles => {
                done();
                (StatusCode::OK, "<html>welcome</html>").into_response()
            }
            Mood::WorksAndFails => {
                done();
                axum_json(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    &json!({ "status": "ERROR", "error_code": 5000 }),
                )
            }
            Mood::Silent => {
                sleep(too_late).await;
                StatusCode::GATEWAY_TIMEOUT.into_response()
            }
            Mood::Fails => StatusCode::BAD_GATEWAY.into_response(),
            Mood::IsBusy => StatusCode::TOO_MANY_REQUESTS.into_response(),
            Mood::Refuses => {
                axum_json(StatusCode::BAD_REQUEST, &json!({ "status": "ERROR", "error_code": "4002" }))
            }
        }
    }
}

fn axum_json(status: StatusCode, body: &Value) -> Response {
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

async fn send(State(inner): State<Arc<Inner>>, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let field = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let message = (field("from_number"), field("number"), field("content"));
    let sent = || {
        let mut sent = inner.sent.lock().unwrap();
        sent.push(message);
        json!({ "status": "QUEUED", "error_code": null, "message_handle": format!("sent-{}", sent.len() - 1) })
    };
    inner.answer(sent).await
}

/// What the carrier has of one thread: the newest, as many as are asked for. Fails as other calls do.
async fn list(State(inner): State<Arc<Inner>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let query: HashMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let found = || {
        let sent = inner.sent.lock().unwrap();
        let of_thread = sent
            .iter()
            .enumerate()
            .filter(|(_, (line, human, _))| *line == query["from_number"] && *human == query["to_number"]);
        let mut found: Vec<_> = of_thread
            .rev()
            .take(query["limit"].parse().unwrap())
            .map(|(place, (_, _, text))| {
                json!({ "status": "SENT", "message_handle": format!("sent-{place}"), "content": text, "media_url": "" })
            })
            .collect();
        found.reverse();
        json!({ "data": found })
    };
    inner.answer(found).await
}

async fn other(State(inner): State<Arc<Inner>>) -> Response {
    inner.answer(|| json!({ "status": "OK" })).await
}
