//! A mock of a carrier's HTTP API. It returns configured responses and records the requests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Method, path and query.
    pub line: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

/// A configured response.
#[derive(Debug, Clone)]
pub enum Reply {
    Says(u16, String),
    /// With a header.
    WithHeader(u16, &'static str, &'static str),
    /// After a delay.
    After(Duration, u16, String),
    /// No response.
    Never,
}

pub fn says(status: u16, body: &str) -> Reply {
    Reply::Says(status, body.to_owned())
}

#[derive(Default)]
struct Memory {
    /// Responses by the suffix of the path. The last one is repeated.
    replies: HashMap<&'static str, VecDeque<Reply>>,
    asked: Vec<Asked>,
}

/// The mock server. It stops when dropped.
pub struct CarrierStub {
    pub url: String,
    memory: Arc<Mutex<Memory>>,
    serving: JoinHandle<()>,
}

impl CarrierStub {
    /// Starts a mock that responds 404 to every path without a configured response.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let memory = Arc::<Mutex<Memory>>::default();
        let router = Router::new().fallback(answer).with_state(memory.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, memory, serving }
    }

    /// Configures the responses to paths with this suffix, in order. The last one is repeated.
    pub fn answers(&self, path: &'static str, replies: impl IntoIterator<Item = Reply>) {
        self.memory.lock().unwrap().replies.insert(path, replies.into_iter().collect());
    }

    /// All requests so far, oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        self.memory.lock().unwrap().asked.clone()
    }

    /// The method and target, and the body, of all requests so far.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.asked().into_iter().map(|asked| (asked.line, asked.body)).collect()
    }

    /// The number of requests to paths with this suffix.
    pub fn times(&self, path: &str) -> usize {
        let asked = self.asked();
        asked.iter().filter(|asked| asked.line.split('?').next().unwrap().ends_with(path)).count()
    }
}

impl Drop for CarrierStub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(memory): State<Arc<Mutex<Memory>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let reply = {
        let mut memory = memory.lock().unwrap();
        memory.asked.push(Asked { line: format!("{} {}", head.method, head.uri), headers, body });
        let path = head.uri.path();
        let replies =
            memory.replies.iter_mut().find(|(end, _)| path.ends_with(**end)).map(|(_, replies)| replies);
        match replies {
            Some(replies) if replies.len() > 1 => replies.pop_front().unwrap(),
            Some(replies) => replies.front().cloned().unwrap(),
            None => says(404, ""),
        }
    };
    let respond = |status, body: String| Response::builder().status(status).body(Body::from(body)).unwrap();
    match reply {
        Reply::Says(status, body) => respond(status, body),
        Reply::WithHeader(status, name, value) => {
            Response::builder().status(status).header(name, value).body(Body::empty()).unwrap()
        }
        Reply::After(time, status, body) => {
            sleep(time).await;
            respond(status, body)
        }
        Reply::Never => std::future::pending().await,
    }
}
