//! A stand-in for a carrier's HTTP API: answers as it is told, and remembers what it was asked.

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

/// A request, as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Method, path and query.
    pub line: String,
    /// Headers by their names.
    pub headers: HashMap<String, String>,
    /// The body, as text.
    pub body: String,
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Status and body.
    Says(u16, String),
    /// The same, with a header.
    WithHeader(u16, &'static str, &'static str),
    /// The same, after a while.
    After(Duration, u16, String),
    /// Nothing, ever.
    Never,
}

/// Status and body.
pub fn says(status: u16, body: &str) -> Reply {
    Reply::Says(status, body.to_owned())
}

#[derive(Default)]
struct Memory {
    /// By the end of the path; the last one stays.
    replies: HashMap<&'static str, VecDeque<Reply>>,
    asked: Vec<Asked>,
}

/// The stand-in. Gone when dropped.
pub struct CarrierStub {
    pub url: String,
    memory: Arc<Mutex<Memory>>,
    serving: JoinHandle<()>,
}

impl CarrierStub {
    /// A stand-in that answers 404 until it is told otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let memory = Arc::<Mutex<Memory>>::default();
        let router = Router::new().fallback(answer).with_state(memory.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, memory, serving }
    }

    /// Answers these, one after the other and the last one for ever, where the path ends so.
    pub fn answers(&self, path: &'static str, replies: impl IntoIterator<Item = Reply>) {
        self.memory.lock().unwrap().replies.insert(path, replies.into_iter().collect());
    }

    /// All that was asked so far, oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        self.memory.lock().unwrap().asked.clone()
    }

    /// The same, without headers: method and target, and body.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.asked().into_iter().map(|asked| (asked.line, asked.body)).collect()
    }

    /// How often a path that ends so was asked.
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
