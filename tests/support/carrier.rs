//! A stub of a carrier's HTTP API, which sends configured replies and records requests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{self, Request};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    /// Method, path and query.
    pub request_line: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

#[derive(Debug, Clone)]
pub enum Reply {
    /// Status and body.
    Response(u16, String),
    /// Status, and name and value of a header.
    WithHeader(u16, &'static str, &'static str),
    /// Delay, status and body.
    Delayed(Duration, u16, String),
    /// No response, and the connection stays open.
    Never,
}

pub fn reply(status: u16, body: &str) -> Reply {
    Reply::Response(status, body.to_owned())
}

#[derive(Default)]
struct State {
    /// By path suffix. The last reply of a path is repeated.
    replies: HashMap<&'static str, VecDeque<Reply>>,
    /// A request with this word in its body gets status 500.
    poison: Option<&'static str>,
    received: Vec<RecordedRequest>,
}

/// Stops when it is dropped.
pub struct CarrierStub {
    pub url: String,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

impl CarrierStub {
    /// A stub that replies with status 404 until [`CarrierStub::respond`] is called.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let router = Router::new().fallback(answer).with_state(state.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state, serving }
    }

    /// Sends these replies in turn, and the last one for ever, to requests whose path has this suffix.
    pub fn respond(&self, path_suffix: &'static str, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().unwrap().replies.insert(path_suffix, replies.into_iter().collect());
    }

    /// Replies with status 500 to requests with this word in their body.
    pub fn fail_on(&self, word: &'static str) {
        self.state.lock().unwrap().poison = Some(word);
    }

    /// All requests so far, oldest first.
    pub fn received(&self) -> Vec<RecordedRequest> {
        self.state.lock().unwrap().received.clone()
    }

    /// Request line and body of all requests so far, oldest first.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.received().into_iter().map(|request| (request.request_line, request.body)).collect()
    }

    /// The number of requests whose path has this suffix.
    pub fn request_count(&self, path_suffix: &str) -> usize {
        let has_suffix = |request: &&RecordedRequest| {
            request.request_line.split('?').next().unwrap().ends_with(path_suffix)
        };
        self.received().iter().filter(has_suffix).count()
    }
}

impl Drop for CarrierStub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(extract::State(state): extract::State<Arc<Mutex<State>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let reply = {
        let mut state = state.lock().unwrap();
        let is_poisoned = state.poison.is_some_and(|word| body.contains(word));
        state.received.push(RecordedRequest {
            request_line: format!("{} {}", head.method, head.uri),
            headers,
            body,
        });
        let path = head.uri.path();
        let replies =
            state.replies.iter_mut().find(|(end, _)| path.ends_with(**end)).map(|(_, replies)| replies);
        match replies {
            _ if is_poisoned => reply(500, ""),
            Some(replies) if replies.len() > 1 => replies.pop_front().unwrap(),
            Some(replies) => replies.front().cloned().unwrap(),
            None => reply(404, ""),
        }
    };
    let respond = |status, body: String| Response::builder().status(status).body(Body::from(body)).unwrap();
    match reply {
        Reply::Response(status, body) => respond(status, body),
        Reply::WithHeader(status, name, value) => {
            Response::builder().status(status).header(name, value).body(Body::empty()).unwrap()
        }
        Reply::Delayed(time, status, body) => {
            sleep(time).await;
            respond(status, body)
        }
        Reply::Never => std::future::pending().await,
    }
}
