use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::{KEY_ID, PASSWORD, SECRET_KEY, mark_read};
use crate::carriers::side_by_side::ThreeCarriers;
use crate::messages::to_conversation;
use crate::support::carrier::{Reply, reply};

/// Captured log output.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_log_record_contains_a_credential_or_a_phone_number() {
    let log = Log::default();
    // Captures the logs of all tests in the process. The assertions hold for all of them.
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("inkbox_imessage=debug,reqwest=trace")
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let three =
        ThreeCarriers::start(Duration::from_millis(300), |carriers| carriers.breaker.min_calls = 6).await;
    let ((sendblue, agent, id), (mac, mac_agent, mac_id)) = (&three.sendblue, &three.mac);
    let echo = format!("{KEY_ID} {SECRET_KEY} {PASSWORD} +12025550111 +15551230001");
    let replies =
        [reply(200, &echo), reply(401, &echo), reply(302, &echo), reply(400, &echo), reply(500, &echo)];
    for reply in replies.into_iter().chain([Reply::Never]) {
        for path in ["mark-read", "send-message", "messages"] {
            sendblue.respond(path, [reply.clone()]);
        }
        for path in ["/read", "/text", "/query"] {
            mac.respond(path, [reply.clone()]);
        }
        for (agent, id) in [(agent, id), (mac_agent, mac_id)] {
            let answers = [
                format!("{:?}", mark_read(agent, id).await),
                format!("{:?}", agent.send_message(to_conversation(id, "hi")).await.map(|_| ())),
            ];
            for answer in answers {
                for secret in [KEY_ID, SECRET_KEY, PASSWORD, "p%26ss", "2025550", "5551230001"] {
                    assert!(!answer.contains(secret), "{secret} in {answer}");
                }
            }
        }
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for needed in
        ["refuses our credentials", "refuses our password", "did not answer", "circuit breaker opened"]
    {
        let hosts = [sendblue, mac].map(|stub| stub.url.strip_prefix("http://").unwrap());
        let is_logged = |line: &str| line.contains(needed) && hosts.iter().any(|host| line.contains(host));
        assert!(log.lines().any(is_logged), "the log does not contain {needed:?}");
    }
    for secret in [KEY_ID, SECRET_KEY, PASSWORD, "p%26ss"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    let is_shown_by_default =
        |line: &&str| ["  INFO ", "  WARN ", " ERROR "].iter().any(|level| line.contains(level));
    for line in log.lines().filter(is_shown_by_default) {
        assert!(!line.contains("2025550") && !line.contains("5551230001"), "a number in {line}");
    }
}
