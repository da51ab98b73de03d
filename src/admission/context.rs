//! For whom work is done.

use std::sync::Arc;

use super::call_permit::CallPermit;
use super::consumer::Consumer;

#[derive(Clone)]
struct Context {
    consumer: Consumer,
    /// What the call uses; `None` outside of calls.
    call: Option<Arc<CallPermit>>,
}

tokio::task_local! {
    static CONTEXT: Context;
}

/// Runs work for a consumer. `call` is held until the work and all tasks that inherit from it have ended.
pub fn scope<F: Future>(
    consumer: Consumer,
    call: Option<Arc<CallPermit>>,
    work: F,
) -> impl Future<Output = F::Output> {
    CONTEXT.scope(Context { consumer, call }, work)
}

/// The consumer for whom the current task works.
#[must_use]
pub fn current_consumer() -> Consumer {
    CONTEXT.try_with(|context| context.consumer.clone()).unwrap_or(Consumer::Background)
}

/// The call that the current task works for.
pub(super) fn current_call() -> Option<Arc<CallPermit>> {
    CONTEXT.try_with(|context| context.call.clone()).ok().flatten()
}

/// Makes work that is about to be spawned count for the current consumer and keep the permit of the current call.
pub fn inherit<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let context = CONTEXT.try_with(Clone::clone);
    let context = context.unwrap_or(Context { consumer: Consumer::Background, call: None });
    CONTEXT.scope(context, work)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::{Consumer, current_consumer, inherit, scope};
    use crate::admission::{Admission, AdmissionLimits, Share};

    #[tokio::test]
    async fn a_spawned_task_that_inherits_counts_for_the_same_consumer_and_keeps_the_permit() {
        let limits = AdmissionLimits {
            calls: 10,
            streams: 10,
            memory: 10,
            share: Share::ALL,
            queue_timeout: Duration::ZERO,
        };
        let admission = Admission::new(limits);
        let org_a = Consumer::Organization("org_a".into());
        let call = Arc::new(admission.begin_call(&org_a).expect("a permit"));
        let (end, ended) = oneshot::channel();
        let spawn = async {
            let work = inherit(async {
                ended.await.expect("the end");
                current_consumer()
            });
            (tokio::spawn(work), ())
        };
        let (task, ()) = scope(org_a.clone(), Some(call), spawn).await;
        assert_eq!(admission.calls.used(), 1, "the caller is gone, its work is not");
        end.send(()).expect("a task that waits");
        assert_eq!(task.await.expect("no panic"), org_a);
        assert_eq!(admission.calls.used(), 0);
        assert_eq!(current_consumer(), Consumer::Background);
    }
}
