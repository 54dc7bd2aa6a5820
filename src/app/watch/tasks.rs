//! The tasks that ask the API: each brings its answer to the loop, and a panic in one of them as well.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};

use super::shared::Shared;
use crate::adapters::api::connection::{Connection, Priority};
use crate::app::poll_loop::{MAX_REQUEST, Signal, follow};
use crate::core::fleet::{Input, Task, TaskId, Urgency};
use crate::core::rollout::pacing::Pace;
use crate::core::rollout::{
    Failure, FailureClass, Interruption, Limits, Machine, Observation, Policy, Route, TargetRule,
};
use crate::core::wire::AgentName;

/// The tasks under way.
pub(super) struct Tasks {
    api: Api,
    set: JoinSet<Input>,
    /// What each of them does, by its id.
    kinds: HashMap<Id, Task>,
    progress: mpsc::UnboundedReceiver<Input>,
    stop: watch::Receiver<bool>,
}

/// The way to the API, and back to the loop.
#[derive(Clone)]
struct Api {
    connection: Connection,
    shared: Arc<Shared>,
    inputs: mpsc::UnboundedSender<Input>,
}

impl Tasks {
    /// Tasks that end when they are asked to stop.
    pub(super) fn new(
        connection: Connection,
        shared: Arc<Shared>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (inputs, progress) = mpsc::unbounded_channel();
        Self {
            api: Api {
                connection,
                shared,
                inputs,
            },
            set: JoinSet::new(),
            kinds: HashMap::new(),
            progress,
            stop,
        }
    }

    /// Waits for the next input.
    ///
    /// What happens in a rollout comes before its end.
    pub(super) async fn next(&mut self) -> Input {
        loop {
            tokio::select! {
                biased;
                Some(input) = self.progress.recv() => return input,
                Some(ended) = self.set.join_next_with_id() => {
                    let ended = match ended {
                        Ok((id, input)) => self.kinds.remove(&id).map(|_| input),
                        Err(error) => self.kinds.remove(&error.id()).map(Input::TaskLost),
                    };
                    // What it sent before its end comes first.
                    if let Ok(earlier) = self.progress.try_recv() {
                        if let Some(ended) = ended {
                            let _ = self.api.inputs.send(ended);
                        }
                        return earlier;
                    }
                    if let Some(ended) = ended {
                        return ended;
                    }
                }
                // Without a task there is nothing to wait for, until one is started.
                else => std::future::pending().await,
            }
        }
    }

    /// Reads the list once.
    pub(super) fn read_list(&mut self, route: Route) {
        let api = self.api.clone();
        self.spawn(Task::ReadList, async move {
            match api.connection.list(MAX_REQUEST, route).await {
                Ok(services) => Input::Listed(services),
                Err(error) => Input::ListFailed(match error.into_observation() {
                    Observation::Failed(failure) => failure,
                    Observation::Absent(_) | Observation::Details { .. } => Failure {
                        class: FailureClass::Refused,
                        code: "Http404".to_owned(),
                        summary: "the API has no list of agents (404)".to_owned(),
                        request_id: None,
                    },
                }),
            }
        });
    }

    /// Checks an agent once.
    pub(super) fn check(&mut self, check: TaskId, route: Route, urgency: Urgency) {
        let api = self.api.clone();
        let priority = match urgency {
            Urgency::Urgent => Priority::Normal,
            Urgency::Regular => Priority::Low,
        };
        self.spawn(Task::Check(check.clone()), async move {
            api.connection.acquire(priority).await;
            let observation = api.observe(&check.agent, MAX_REQUEST, route).await;
            Input::Checked { check, observation }
        });
    }

    /// Follows a rollout to its end.
    pub(super) fn follow(&mut self, id: TaskId, deployment_id: String, limits: Limits) {
        let (api, stop) = (self.api.clone(), self.stop.clone());
        self.spawn(Task::Follow(id.clone()), async move {
            let policy = Policy::new(TargetRule::Deployment(deployment_id), limits);
            let machine = Machine::new(policy.expect("the configuration has been checked"));
            let permit = || api.connection.acquire(Priority::Normal);
            let fetch = |limit, route| api.observe(&id.agent, limit, route);
            let emit = |_, event| {
                // Once nobody listens the program ends.
                let _ = api.inputs.send(Input::Progressed(id.clone(), event));
            };
            let signals = || {
                let mut stop = stop.clone();
                async move {
                    // Without a sender the program ends as well.
                    let _ = stop.wait_for(|stop| *stop).await;
                    Signal::Interrupted(Interruption::Terminate)
                }
            };
            let outcome = follow(machine, Pace::Adaptive, permit, fetch, emit, signals).await;
            Input::Followed(id.clone(), Box::new(outcome))
        });
    }

    fn spawn(&mut self, kind: Task, task: impl Future<Output = Input> + Send + 'static) {
        let id = self.set.spawn(task).id();
        self.kinds.insert(id, kind);
    }
}

impl Api {
    /// Asks for an agent's details; what the server's clock says goes to the loop.
    async fn observe(&self, agent: &AgentName, limit: Duration, route: Route) -> Observation {
        let sent = self.shared.now().at;
        let observation = self.connection.observe(agent, limit, route).await;
        if let Observation::Details {
            server_time: Some(date),
            ..
        } = &observation
        {
            let _ = self.inputs.send(Input::ServerDate {
                sent,
                received: self.shared.now().at,
                date: *date,
            });
        }
        observation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::api::connection::Hooks;
    use crate::adapters::api::{ApiUrl, Client, Credentials, PlainHttp};
    use crate::core::fleet::{Fleet, Mode, Rules, Scope, Watched};

    fn tasks() -> Tasks {
        let rules = Rules {
            watched: Watched::Listed(Scope::new(&[], &[], Vec::new()).unwrap()),
            interval: Duration::from_secs(15),
            health_interval: Duration::from_mins(5),
            unready_for: Duration::from_secs(30),
            limits: Limits::default(),
            max_rps: std::num::NonZeroU32::MIN,
            mode: Mode::Daemon,
        };
        let url = ApiUrl::parse("http://127.0.0.1:9", PlainHttp::LoopbackOnly).unwrap();
        let client = Client::new(url, Credentials::of_simulator(), None).unwrap();
        let max_rps = rules.max_rps;
        let shared = Arc::new(Shared::new(Fleet::restore(rules, Vec::new(), None)));
        let connection = Connection::new(client, max_rps, Hooks::default());
        Tasks::new(connection, shared, watch::channel(false).1)
    }

    #[tokio::test]
    async fn a_panic_in_a_task_is_reported_with_what_the_task_did() {
        let mut tasks = tasks();
        let id = TaskId {
            agent: "a".parse().unwrap(),
            number: 7,
        };
        tasks.spawn(Task::Follow(id.clone()), async { panic!("on purpose") });
        let Input::TaskLost(Task::Follow(lost)) = tasks.next().await else {
            panic!("it is not reported");
        };
        assert_eq!(lost, id);
    }

    #[tokio::test]
    async fn what_happens_in_a_rollout_comes_before_its_end() {
        let mut tasks = tasks();
        let inputs = tasks.api.inputs.clone();
        tasks.spawn(Task::ReadList, async move {
            for _ in 0..3 {
                let _ = inputs.send(Input::Listed(Vec::new()));
            }
            Input::TaskLost(Task::ReadList)
        });
        for _ in 0..3 {
            assert!(matches!(tasks.next().await, Input::Listed(_)));
        }
        assert!(matches!(tasks.next().await, Input::TaskLost(_)));
    }
}
