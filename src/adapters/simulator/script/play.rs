//! One agent that plays its scenario: deploys and requests in, replies out.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::details::Scene;
use super::fault::{Act, CutAfter};
use super::logs::LogQuery;
use super::{Scenario, Speed};

/// When an agent's timeline begins. A deploy (a POST) starts it anew in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first request for the agent's details.
    AtFirstRead,
    /// With the first deploy; until then the agent stands as before it.
    AtDeploy,
}

/// What time it is.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Since the simulator was started.
    pub since: Duration,
    /// The time of day; for the timestamps in answers only.
    pub wall: Timestamp,
}

/// One agent that plays its scenario.
#[derive(Debug)]
pub struct Play {
    agent: String,
    scenario: Arc<Scenario>,
    start: Start,
    speed: Speed,
    opened: Timestamp,
    /// Which deploy is played, or is still to come: the first is 1.
    deploys: u64,
    began: Option<Now>,
    began_before: Option<Timestamp>,
    /// Requests for the details since the deploy.
    requests: u64,
}

/// What is sent in reply to a request for an agent's details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An answer, whole.
    Whole(Answer),
    /// The connection is reset after so much of the answer.
    Reset(CutAfter, Answer),
    /// The connection ends, in good order, in the middle of the body.
    CutBody(Answer),
    /// The body comes a byte at a time.
    SlowBody(Answer),
    /// A 200 with a body of 12 GiB.
    HugeBody,
    /// Nothing, and the connection stays open.
    Hang,
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The `Content-Type` header.
    pub content_type: &'static str,
    /// The other headers.
    pub headers: Vec<(String, String)>,
    /// `None`: the words that go with the status.
    pub body: Option<String>,
}

impl Answer {
    fn json(body: &Value) -> Self {
        Self {
            status: 200,
            content_type: "application/json",
            headers: Vec::new(),
            body: Some(body.to_string()),
        }
    }

    /// The API's answer for an agent that it does not know.
    #[must_use]
    pub fn not_found(agent: &str) -> Self {
        let body = json!({ "error": format!("agent {agent:?} not found"), "code": "NOT_FOUND" });
        Self {
            status: 404,
            ..Self::json(&body)
        }
    }

    fn html(body: Option<&str>) -> Self {
        let page = "<!doctype html><title>Maintenance</title><p>We will be back soon.</p>\n";
        Self {
            status: 200,
            content_type: "text/html; charset=utf-8",
            headers: Vec::new(),
            body: Some(body.unwrap_or(page).to_owned()),
        }
    }
}

impl Play {
    /// An agent at the simulator's start.
    #[must_use]
    pub fn new(
        agent: String,
        scenario: Arc<Scenario>,
        start: Start,
        speed: Speed,
        opened: Timestamp,
    ) -> Self {
        Self {
            agent,
            scenario,
            start,
            speed,
            opened,
            deploys: 1,
            began: None,
            began_before: None,
            requests: 0,
        }
    }

    /// A request for the agent's details.
    pub fn read(&mut self, now: Now) -> Reply {
        if self.began.is_none() && self.start == Start::AtFirstRead {
            self.began = Some(now);
        }
        self.requests += 1;
        let at = self.at(now);
        let fault = self
            .scenario
            .faults
            .iter()
            .find(|fault| fault.window.strikes(at, self.requests));
        let Some(fault) = fault else {
            return Reply::Whole(self.answer(at));
        };
        match &fault.act {
            Act::Status {
                status,
                headers,
                body,
            } => Reply::Whole(Answer {
                status: *status,
                content_type: "application/json",
                headers: headers
                    .iter()
                    .map(|(name, value)| (name.clone(), value.render(now.wall)))
                    .collect(),
                body: body.clone(),
            }),
            Act::Html { body } => Reply::Whole(Answer::html(body.as_deref())),
            Act::Reset(after) => Reply::Reset(*after, self.answer(at)),
            Act::Hang => Reply::Hang,
            Act::CutBody => Reply::CutBody(self.answer(at)),
            Act::SlowBody => Reply::SlowBody(self.answer(at)),
            Act::HugeBody => Reply::HugeBody,
            Act::Lag(by) => Reply::Whole(self.answer(at.and_then(|at| at.checked_sub(*by)))),
            Act::AnotherAgent => Reply::Whole(self.answer_about("another-agent", at)),
        }
    }

    /// A deploy: the timeline begins, or begins anew. The answer is the agent as of then, or, where
    /// reads do not show it yet, as it will first be shown.
    pub fn deploy(&mut self, now: Now) -> Answer {
        if let Some(began) = self.began.replace(now) {
            self.began_before = Some(began.wall);
            self.deploys += 1;
        }
        self.requests = 0;
        match self.scenario.timeline.first_present(Duration::ZERO) {
            Some(standing) => Answer::json(&self.scene(&self.agent).details(standing)),
            None => Answer::not_found(&self.agent),
        }
    }

    /// The agent's entry in the list of agents; `None` while it does not exist.
    #[must_use]
    pub fn entry(&self, now: Now) -> Option<Value> {
        let standing = self.scenario.standing(self.at(now))?;
        Some(self.scene(&self.agent).entry(standing))
    }

    /// What the agent's deployments have written so far.
    #[must_use]
    pub fn logs(&self, now: Now, query: &LogQuery) -> Answer {
        let at = self.at(now);
        if self.scenario.standing(at).is_none() {
            return Answer::not_found(&self.agent);
        }
        let scene = self.scene(&self.agent);
        let written = self.scenario.log.iter().filter(|line| Some(line.at) <= at);
        let lines = written.map(|line| {
            json!({
                "log": line.line,
                "timestamp": scene.time_of_day(line.at),
                "deploymentId": scene.id(&line.deployment),
            })
        });
        Answer::json(&query.answer(lines.collect()))
    }

    /// How long after the deploy it is, in script time.
    fn at(&self, now: Now) -> Option<Duration> {
        let passed = now.since.saturating_sub(self.began?.since);
        Some(self.speed.script(passed))
    }

    fn answer(&self, at: Option<Duration>) -> Answer {
        self.answer_about(&self.agent, at)
    }

    fn answer_about(&self, agent: &str, at: Option<Duration>) -> Answer {
        match self.scenario.standing(at) {
            Some(standing) => Answer::json(&self.scene(agent).details(standing)),
            None => Answer::not_found(agent),
        }
    }

    /// What the agent's answers are told of; `agent` is its name, or another for a mix-up.
    pub(super) fn scene<'a>(&'a self, agent: &'a str) -> Scene<'a> {
        Scene {
            scenario: &self.scenario,
            agent,
            deploys: self.deploys,
            speed: self.speed,
            opened: self.opened,
            began: self.began.map_or(self.opened, |began| began.wall),
            began_before: self.began_before,
        }
    }
}
