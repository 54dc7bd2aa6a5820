//! `--smoke`: a session on the deployment that has become ready, because `ready` only proves that the code
//! imports: an exception in the bot's own function leaves it ready.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::warn;

use super::signals::Signals;
use crate::adapters::api::connection::{Connection, Priority};
use crate::adapters::api::{Client, RequestError};
use crate::app::plan::Smoke;
use crate::app::poll_loop::{MAX_REQUEST, Retry};
use crate::core::rollout::{FailureClass, Reason, Verdict};
use crate::core::text::{one_line, short_duration};
use crate::core::wire::{AgentName, RequestOutcome, SessionState};

/// What the base image logs where the bot's own function fails.
const EXCEPTION: &str = "Exception running bot()";
/// How long the logs of a session are checked.
const LISTEN: Duration = Duration::from_secs(10);
/// How many lines of them.
const LINES: usize = 200;
/// How long it takes to ask again.
const BETWEEN_REQUESTS: Duration = Duration::from_secs(1);
/// How long it takes to ask for an instance again where none was free, unless the API says it.
const BETWEEN_STARTS: Duration = Duration::from_secs(5);
/// How often in a row, and over how long, the API has to refuse a question before it is not asked again.
const REFUSALS: u32 = 3;
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// How long the session may take to be ended: the process ends within a second of its verdict.
const END_LIMIT: Duration = Duration::from_millis(900);

/// How a smoke session went wrong, and how that is judged.
pub(super) type Fault = (Verdict, Reason);

/// Starts a session, checks that it runs on the target and logs no exception, and ends it, whatever came
/// of it.
pub(super) async fn run(
    smoke: &Smoke,
    connection: &Connection,
    signals: &mut Signals,
    agent: &AgentName,
    target: &str,
) -> Result<(), Fault> {
    let mut session = None;
    let ended = {
        let check = Check {
            smoke,
            connection,
            agent,
            over: Instant::now() + smoke.timeout,
        };
        tokio::select! {
            biased;
            interruption = signals.interruption() => {
                let words = "interrupted during the smoke session; the deployment is ready".to_owned();
                Err((Verdict::Interrupted(interruption), Reason::new("Interrupted", words)))
            }
            ended = check.run(target, &mut session) => ended,
        }
    };
    if let Some(id) = session {
        let (id, agent_name) = (id.as_str(), agent);
        // Without a permit: it is not to go on.
        let end = connection
            .send(|client| async move { client.end_session(agent_name, id, END_LIMIT).await });
        let why = match timeout(END_LIMIT, end).await {
            Ok(Ok(())) => return ended,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "there was no answer in time".to_owned(),
        };
        let (agent, id, why) = (one_line(agent.as_str()), one_line(id), one_line(&why));
        warn!("{agent}: the smoke session {id} could not be ended, and may go on: {why}");
    }
    ended
}

struct Check<'a> {
    smoke: &'a Smoke,
    connection: &'a Connection,
    agent: &'a AgentName,
    over: Instant,
}

impl Check<'_> {
    async fn run(&self, target: &str, session: &mut Option<String>) -> Result<(), Fault> {
        let id = self.start().await?;
        let id = session.insert(id).clone();
        match self.deployment_of(&id).await? {
            deployment if deployment == target => self.listen(&id).await,
            deployment => Err(failed(
                "SmokeElsewhere",
                format!("the smoke session runs on deployment {deployment}, and not on this one"),
            )),
        }
    }

    /// Starts the session. Where no instance is free, or the API has a problem of its own, it tries again.
    async fn start(&self) -> Result<String, Fault> {
        loop {
            let Smoke { key, body, .. } = self.smoke;
            let started = self.ask(|client| async move {
                client
                    .start_session(self.agent, key, body, MAX_REQUEST)
                    .await
            });
            let error = match started.await {
                Ok(id) => return Ok(id),
                Err(error) => error,
            };
            // Of the others nobody knows whether they have started one.
            let may_try_again = matches!(
                error.outcome,
                RequestOutcome::Throttled
                    | RequestOutcome::ServerError
                    | RequestOutcome::Unreachable
            );
            let pause = match error.class {
                FailureClass::Transient { retry_after } if may_try_again => {
                    retry_after.unwrap_or(BETWEEN_STARTS)
                }
                _ => return Err(self.not_started(&error)),
            };
            if Instant::now() + pause >= self.over {
                return Err(self.not_started(&error));
            }
            sleep(pause).await;
        }
    }

    fn not_started(&self, error: &RequestError) -> Fault {
        let why = one_line(&error.to_string());
        match (error.outcome, error.class) {
            (RequestOutcome::Throttled, _) => failed(
                "SmokeNotStarted",
                format!(
                    "no instance was free for the smoke session within {}: {why}",
                    short_duration(self.smoke.timeout)
                ),
            ),
            (_, class) => {
                let (verdict, code) = match class {
                    FailureClass::Unauthorized => {
                        (Verdict::Unauthorized, "SmokeUnauthorized".to_owned())
                    }
                    FailureClass::Transient { .. } | FailureClass::Refused => {
                        (Verdict::Unavailable, error.code.clone())
                    }
                };
                let summary = format!("it is ready, but no smoke session could be started: {why}");
                (verdict, Reason::new(&code, summary))
            }
        }
    }

    /// Sends a request when there is a permit for it.
    async fn ask<T, Answered: Future<Output = Result<T, RequestError>>>(
        &self,
        request: impl Fn(Client) -> Answered,
    ) -> Result<T, RequestError> {
        self.connection.acquire(Priority::Normal).await;
        self.connection.send(request).await
    }

    /// Asks until there is an answer, the API has refused for good, or the time is over; gives the last error.
    async fn answer<T, Answered: Future<Output = Result<T, RequestError>>>(
        &self,
        request: impl Fn(Client) -> Answered,
    ) -> Result<T, RequestError> {
        let mut retry = Retry::new();
        let mut refused: Option<(u32, Instant)> = None;
        loop {
            let error = match self.ask(&request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // A session that is not there may only not be there yet.
            let may_pass = matches!(error.class, FailureClass::Transient { .. })
                || error.outcome == RequestOutcome::NotFound;
            let (times, since) = refused.unwrap_or((0, Instant::now()));
            refused = (!may_pass).then_some((times + 1, since));
            let is_final = refused
                .is_some_and(|(times, since)| times >= REFUSALS && since.elapsed() >= REFUSED_FOR);
            let now = Instant::now();
            if is_final || now >= self.over {
                return Err(error);
            }
            sleep_until((now + retry.delay_after(error.class)).min(self.over)).await;
        }
    }

    async fn session(&self, client: Client, id: &str) -> Result<SessionState, RequestError> {
        client.session(self.agent, id, MAX_REQUEST).await
    }

    /// The deployment that serves the session, once the platform shows it.
    async fn deployment_of(&self, id: &str) -> Result<String, Fault> {
        loop {
            let shown = self.answer(|client| self.session(client, id)).await;
            let shown = shown.map_err(|error| {
                unknown(
                    "SmokeNoAnswer",
                    "which deployment serves the smoke session",
                    &error,
                )
            })?;
            if let Some(deployment) = shown.deployment_id {
                return Ok(deployment);
            }
            if Instant::now() + BETWEEN_REQUESTS >= self.over {
                return Err(failed(
                    "SmokeNotServed",
                    format!(
                        "the smoke session was started, and no deployment was shown to serve it within {}",
                        short_duration(self.smoke.timeout)
                    ),
                ));
            }
            sleep(BETWEEN_REQUESTS).await;
        }
    }

    /// Checks for an exception in what the session logs, until it has ended or was quiet for long enough.
    async fn listen(&self, id: &str) -> Result<(), Fault> {
        let until = (Instant::now() + LISTEN).min(self.over);
        loop {
            let session = self.ask(|client| self.session(client, id)).await;
            let logs = self.answer(|client| async move {
                client
                    .session_logs(self.agent, id, LINES, MAX_REQUEST)
                    .await
            });
            let lines = logs.await.map_err(|error| {
                let what = "whether the smoke session logged an exception";
                unknown("SmokeLogsUnread", what, &error)
            })?;
            no_exception(&lines)?;
            let has_ended = session.is_ok_and(|session| session.has_ended);
            if has_ended || Instant::now() + BETWEEN_REQUESTS >= until {
                return Ok(());
            }
            sleep(BETWEEN_REQUESTS).await;
        }
    }
}

fn no_exception(lines: &[String]) -> Result<(), Fault> {
    let Some(at) = lines.iter().position(|line| line.contains(EXCEPTION)) else {
        return Ok(());
    };
    let summary = format!("the bot fails when a session starts: {EXCEPTION}");
    let (verdict, reason) = failed("SmokeException", summary);
    let message = Some(lines[at..].join("\n"));
    Err((verdict, Reason { message, ..reason }))
}

/// That the API has not answered what has to be known of the session.
fn unknown(code: &str, what: &str, error: &RequestError) -> Fault {
    let why = one_line(&error.to_string());
    let summary = format!("it is ready, but it is not known {what}: {why}");
    (error.class.verdict(), Reason::new(code, summary))
}

fn failed(code: &str, summary: String) -> Fault {
    (Verdict::Failed, Reason::new(code, summary))
}
