//! One agent that plays its scenario: deploys and times in, the API's answers about it out.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::answer::{Answer, Outcome};
use super::ids::uuid;
use super::placeholder::{self, fill};
use super::{Scenario, Speed};

/// How old what is there before the first deploy was when the simulator was started.
const AGE: SignedDuration = SignedDuration::from_hours(1);

/// When an agent's timeline begins. A deploy starts it anew in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first request for the agent's details.
    AtFirstRead,
    /// With the first deploy; until then the agent is as it was before.
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

/// What is sent in reply to a request for an agent's details.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The details.
    Details(Value),
    /// Another answer.
    Answer(Answer),
    /// Nothing, and the connection stays open.
    Hang,
    /// Nothing, and the connection is reset.
    Reset,
}

/// One agent that plays its scenario.
#[derive(Debug)]
pub struct SimulatedAgent {
    pub(super) name: String,
    pub(super) scenario: Arc<Scenario>,
    start: Start,
    speed: Speed,
    /// When the agent was made.
    created: Option<Timestamp>,
    /// When what is `old` was deployed, and from what.
    old: (Timestamp, Value),
    /// From what `new` is deployed: `image` or `buildId`.
    source: Value,
    /// What the latest deploy said of the agent, in the words of the details.
    settings: Value,
    /// Which deploy is played, or is still to come: the first is 1.
    deploys: u64,
    /// When it was made.
    deployed: Option<Now>,
    /// Requests for the details since then.
    requests: u64,
    /// The sessions that were started, as the API shows them.
    pub(super) sessions: Vec<Value>,
}

impl SimulatedAgent {
    /// An agent at the simulator's start, at `opened`.
    #[must_use]
    pub fn new(
        name: &str,
        scenario: Arc<Scenario>,
        start: Start,
        speed: Speed,
        opened: Timestamp,
    ) -> Self {
        let before = opened.checked_sub(AGE).unwrap_or(opened);
        Self {
            name: name.to_owned(),
            created: scenario.before.is_some().then_some(before),
            scenario,
            start,
            speed,
            old: (before, image("1.4.0")),
            source: image("1.5.0"),
            settings: json!({}),
            deploys: 1,
            deployed: None,
            requests: 0,
            sessions: Vec::new(),
        }
    }

    /// A request for the agent's details.
    pub fn read(&mut self, now: Now) -> Reply {
        if self.deployed.is_none() && self.start == Start::AtFirstRead {
            self.begin(now);
        }
        self.requests += 1;
        let mut at = self.at(now);
        let mut faults = self.scenario.faults.iter();
        if let Some(fault) = faults.find(|fault| fault.applies(at, self.requests)) {
            match fault.answer(now.wall) {
                Some(answer) => return Reply::Answer(answer),
                None if fault.hang => return Reply::Hang,
                None if fault.reset => return Reply::Reset,
                None => at = at.and_then(|at| at.checked_sub(fault.lag?.0)),
            }
        }
        self.details(at).map_or_else(Reply::Answer, Reply::Details)
    }

    /// A deploy: the timeline begins, or begins anew. The answer is the agent as of then, or, where
    /// reads do not show it yet, as it will first be shown. What is deployed already makes no new
    /// deployment, unless that is forced.
    ///
    /// # Errors
    /// When there never is such an agent.
    pub fn deploy(&mut self, now: Now, manifest: &Value) -> Outcome {
        let mut said = ["image", "buildId"].into_iter();
        let said = said
            .find(|key| manifest[key].is_string())
            .map(|key| json!({ key: manifest[key] }));
        if let Ok(mut details) = self.details(self.at(now))
            && manifest["forceRedeploy"] != true
            && said
                .as_ref()
                .is_some_and(|said| *said == self.source_of(&details["desiredDeploymentId"]))
        {
            details["warning"] = "nothing has changed: there is no new deployment".into();
            return Ok(details);
        }
        if let Some(before) = self.begin(now)
            && self.scenario.made.contains_key("new")
        {
            self.old = (before.wall, self.source.clone());
            self.deploys += 1;
        }
        self.source = said.unwrap_or_else(|| self.source.clone());
        let scaling = &manifest["autoScaling"];
        let settings = json!({
            "region": manifest["region"],
            "agentProfile": manifest["agentProfile"],
            "autoScaling": { "minReplicas": scaling["minAgents"], "maxReplicas": scaling["maxAgents"] },
        });
        merge(&mut self.settings, &settings);
        self.requests = 0;
        let times = self.scenario.states.iter().map(|state| state.at.0);
        let mut shown = times.filter_map(|at| self.details(Some(at)).ok());
        shown.next().ok_or_else(|| self.not_found())
    }

    /// Has the details say this from now on, where the scenario says nothing else.
    pub(super) fn set(&mut self, fields: &Value) {
        merge(&mut self.settings, fields);
    }

    /// Has the deployment from before the first deploy be of this image.
    pub(super) fn set_first_image(&mut self, image: &str) {
        self.old.1 = json!({ "image": image });
    }

    /// The agent's entry in the list of agents; `None` while it does not exist.
    #[must_use]
    pub fn entry(&self, now: Now) -> Option<Value> {
        let details = self.details(self.at(now)).ok()?;
        let mut entry =
            json!({ "id": uuid(&[&self.name]), "organizationId": uuid(&[]), "deletedAt": null });
        let ids = [
            "desiredDeploymentId",
            "activeDeploymentId",
            "reconciledDeploymentId",
        ];
        for key in ids
            .into_iter()
            .chain(["name", "region", "createdAt", "updatedAt"])
        {
            if let Some(value) = details.get(key) {
                entry[key] = value.clone();
            }
        }
        Some(entry)
    }

    /// Begins the timeline; gives when the one before began.
    fn begin(&mut self, now: Now) -> Option<Now> {
        self.created.get_or_insert(now.wall);
        self.deployed.replace(now)
    }

    /// How long after the deploy it is, in the scenario's time.
    pub(super) fn at(&self, now: Now) -> Option<Duration> {
        let passed = now.since.saturating_sub(self.deployed?.since);
        Some(self.speed.scripted(passed))
    }

    /// The time of day at `at` after the deploy; before it, when what is old was deployed.
    pub(super) fn moment(&self, at: Option<Duration>) -> Timestamp {
        let (Some(at), Some(deployed)) = (at, self.deployed) else {
            return self.old.0;
        };
        deployed
            .wall
            .checked_add(self.speed.real(at))
            .unwrap_or(deployed.wall)
    }

    pub(super) fn id(&self, deployment: &str) -> String {
        Scenario::deployment_id(&self.name, self.deploys, deployment)
    }

    fn not_found(&self) -> Answer {
        Answer::not_found(format!("agent {:?} not found", self.name))
    }

    /// What the scenario's patches make of the answer by `at`.
    pub(super) fn document(&self, at: Option<Duration>) -> Outcome {
        let states = self
            .scenario
            .states
            .iter()
            .map(|state| (Some(state.at.0), state.patch()));
        let patches = std::iter::once((None, self.scenario.before.as_ref())).chain(states);
        let mut document = None;
        for (from, patch) in patches.take_while(|(from, _)| *from <= at) {
            document = patch.map(|patch| {
                let mut changed = document.unwrap_or_else(|| json!({}));
                let (desired, moment) = (
                    changed.get("desiredDeploymentId").cloned(),
                    self.moment(from),
                );
                merge(
                    &mut changed,
                    &fill(patch, &|word| self.meaning(word, moment)),
                );
                let moved = changed.get("desiredDeploymentId") != desired.as_ref();
                if moved && !patch.contains_key("updatedAt") {
                    changed["updatedAt"] = written(moment);
                }
                changed
            });
        }
        document.ok_or_else(|| self.not_found())
    }

    /// What a placeholder stands for in a patch that applies at `moment`.
    fn meaning(&self, word: &str, moment: Timestamp) -> Option<String> {
        if let Some(offset) = placeholder::offset(word) {
            let moment = moment.checked_add(offset).unwrap_or(moment);
            return written(moment).as_str().map(str::to_owned);
        }
        if word == placeholder::IMAGE {
            let source = self.source.as_object()?.values().next()?;
            return source.as_str().map(str::to_owned);
        }
        let is_known = ["old", "new"].contains(&word) || self.scenario.made.contains_key(word);
        is_known.then(|| self.id(word))
    }

    /// The whole answer (`ServiceDetailsResponse` in the contract).
    pub(super) fn details(&self, at: Option<Duration>) -> Outcome {
        let document = self.document(at)?;
        let created = written(self.created.unwrap_or(self.old.0));
        let mut details = json!({
            "name": self.name,
            "region": "us-west",
            "ready": false,
            "available": false,
            "createdAt": created,
            "updatedAt": created,
            "activeDeploymentReady": document["ready"] == true,
            "autoScaling": { "minReplicas": 1, "maxReplicas": 10 },
            "activeSessionCount": 0,
            "agentProfile": null,
            "currentRevision": null,
            "previousRevision": null,
        });
        merge(&mut details, &self.settings);
        if let Some(desired) = document.get("desiredDeploymentId") {
            details["activeDeploymentId"] = desired.clone();
            details["deployment"] = self.deployment(desired, &details["autoScaling"]);
        }
        merge(&mut details, &document);
        let active = |session: &&Value| session["endedAt"].is_null();
        let started = self.sessions.iter().filter(active).count();
        let counted = details["activeSessionCount"].as_u64().unwrap_or(0);
        details["activeSessionCount"] = counted.saturating_add(started as u64).into();
        Ok(details)
    }

    fn deployment(&self, id: &Value, scaling: &Value) -> Value {
        let made = self
            .scenario
            .made
            .iter()
            .find(|(name, _)| *id == self.id(name));
        let made = written(self.moment(made.map(|(_, at)| *at)));
        let mut deployment = json!({
            "id": id,
            "manifest": {
                "apiVersion": "pipecatcloud.daily.co/v1",
                "kind": "PCService",
                "metadata": { "name": self.name, "namespace": super::server::ORGANIZATION },
                "spec": {
                    "dailyNodeType": "arm",
                    "autoScaling": scaling,
                    "imagePullSecretName": "registry-credentials",
                    "envFromSecretNames": [format!("{}-secrets", self.name)],
                },
            },
            "serviceId": uuid(&[&self.name]),
            "createdAt": made,
            "updatedAt": made,
        });
        let source = self.source_of(id);
        match source.get("image") {
            Some(image) => deployment["manifest"]["spec"]["image"] = image.clone(),
            None => merge(&mut deployment, &source),
        }
        deployment
    }

    /// What the deployment of this id is made of.
    fn source_of(&self, id: &Value) -> Value {
        match [self.id("new"), self.id("old")]
            .iter()
            .position(|known| id == known)
        {
            Some(0) => self.source.clone(),
            Some(_) => self.old.1.clone(),
            None => image("1.5.1"),
        }
    }
}

/// As the API writes times of day: UTC, to the millisecond.
pub(super) fn written(at: Timestamp) -> Value {
    format!("{at:.3}").into()
}

fn image(tag: &str) -> Value {
    json!({ "image": format!("registry.example.com/acme/voice-starter:{tag}") })
}

/// Applies a JSON merge patch (RFC 7396): objects are merged, null takes away, all else is replaced.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    let mut fields = match target.take() {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for (key, patch) in patch {
        let mut field = fields.remove(key).unwrap_or_default();
        merge(&mut field, patch);
        if !field.is_null() {
            fields.insert(key.clone(), field);
        }
    }
    *target = Value::Object(fields);
}

#[cfg(test)]
mod tests;
