//! What the API says of an agent, in the contract's words and with all of its fields.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::standing::{Revision, Standing};
use super::{Scenario, Speed, ids};

/// Whose rollout is told, and when it takes place.
pub(super) struct Scene<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) agent: &'a str,
    /// Which deploy it is, the first being 1.
    pub(super) deploys: u64,
    pub(super) speed: Speed,
    /// When the simulator was started.
    pub(super) opened: Timestamp,
    /// When the deploy was made; while it is still to come, when the simulator was started.
    pub(super) began: Timestamp,
    /// When the deploy before was made.
    pub(super) began_before: Option<Timestamp>,
}

impl Scene<'_> {
    /// `ServiceDetailsResponse`.
    pub(super) fn details(&self, standing: &Standing) -> Value {
        let traits = &self.scenario.traits;
        let mut details = self.head(standing);
        let rest = json!({
            "ready": standing.ready,
            "available": standing.available,
            "activeDeploymentReady": standing.ready,
            "autoScaling": self.auto_scaling(),
            "activeSessionCount": standing.sessions,
            "agentProfile": traits.profile,
            "currentRevision": standing.current.as_ref().map(|revision| self.revision(revision)),
            "previousRevision": standing.previous.as_ref().map(|revision| self.revision(revision)),
        });
        overlay(&mut details, &rest);
        if let Some(desired) = &standing.desired {
            let deployment = json!({
                "activeDeploymentId": self.id(desired),
                "deployment": self.deployment(desired),
            });
            overlay(&mut details, &deployment);
        }
        overlay(&mut details, &Value::Object(standing.extra.clone()));
        details
    }

    /// The agent's entry in the list of agents.
    pub(super) fn entry(&self, standing: &Standing) -> Value {
        let mut entry = self.head(standing);
        let rest = json!({ "id": ids::service(self.agent), "deletedAt": null });
        overlay(&mut entry, &rest);
        entry
    }

    /// The id of the deployment that the scenario calls `alias`.
    pub(super) fn id(&self, alias: &str) -> String {
        ids::deployment(self.agent, self.deploys, alias)
    }

    /// The time of day at `at` after the deploy.
    pub(super) fn time_of_day(&self, at: Duration) -> String {
        written(self.after(self.began, signed(at)))
    }

    /// What both the details and the list say. A deployment that there is none of is left out,
    /// since the contract knows no null there.
    fn head(&self, standing: &Standing) -> Value {
        let desired = standing.desired.as_deref();
        let updated = match standing.desired_since {
            Some(at) => self.after(self.began, signed(at)),
            None => desired.map_or(self.opened, |desired| self.made(desired)),
        };
        let mut head = json!({
            "name": self.agent,
            "region": self.scenario.traits.region,
            "createdAt": written(self.created()),
            "updatedAt": written(updated),
        });
        let ids = [
            ("desiredDeploymentId", desired),
            ("reconciledDeploymentId", standing.reconciled.as_deref()),
        ];
        for (key, alias) in ids {
            if let Some(alias) = alias {
                head[key] = self.id(alias).into();
            }
        }
        head
    }

    fn revision(&self, revision: &Revision) -> Value {
        let since = match revision.phase_since {
            Some(at) => self.after(self.began, signed(at)),
            None => self.made(&revision.deployment),
        };
        let mut told = json!({
            "deploymentID": self.id(&revision.deployment),
            "phase": revision.phase,
            "readyReplicas": revision.ready_replicas,
            "phaseStartedAt": written(since),
        });
        // Both are absent, not null or false, where there is nothing to tell.
        if let Some(health) = &revision.health {
            told["health"] = json!(health);
        }
        if revision.infrastructure_issue {
            told["hasInfrastructureIssue"] = true.into();
        }
        told
    }

    fn deployment(&self, alias: &str) -> Value {
        let made = written(self.made(alias));
        let image = self
            .scenario
            .deployments
            .get(alias)
            .map(|known| &known.image);
        json!({
            "id": self.id(alias),
            "manifest": {
                "apiVersion": "pipecatcloud.daily.co/v1",
                "kind": "PCService",
                "metadata": { "name": self.agent, "namespace": "simulated-organization" },
                "spec": {
                    "dailyNodeType": "arm",
                    "image": image,
                    "autoScaling": self.auto_scaling(),
                    "imagePullSecretName": "registry-credentials",
                    "envFromSecretNames": [format!("{}-secrets", self.agent)],
                    "resources": { "cpu": "500m", "memory": "1Gi" },
                    "krispViva": { "audioFilters": false },
                },
            },
            "serviceId": ids::service(self.agent),
            "createdAt": made,
            "updatedAt": made,
        })
    }

    fn auto_scaling(&self) -> Value {
        let traits = &self.scenario.traits;
        json!({ "maxReplicas": traits.max_replicas, "minReplicas": traits.min_replicas })
    }

    /// When the agent was made: with the earliest deployment that there is before the deploy, or
    /// else with the deploy.
    fn created(&self) -> Timestamp {
        if self.scenario.standing(None).is_none() {
            return self.began_before.unwrap_or(self.began);
        }
        let made = self.scenario.deployments.values().map(|known| known.made);
        self.after(self.opened, made.min().unwrap_or_default())
    }

    /// When a deployment was made.
    ///
    /// The record of one deployment must not change from deploy to deploy. So what is older than
    /// the first deploy is told from the simulator's start on, and what is "old" in a later deploy
    /// was made when the deploy before says that it was.
    fn made(&self, alias: &str) -> Timestamp {
        let made = |alias: &str| {
            let deployment = self.scenario.deployments.get(alias);
            deployment.map_or(SignedDuration::ZERO, |deployment| deployment.made)
        };
        match self.began_before {
            Some(began_before) if alias == "old" => self.after(began_before, made("new")),
            _ if made(alias).is_negative() => self.after(self.opened, made(alias)),
            _ => self.after(self.began, made(alias)),
        }
    }

    /// The time of day `script` after `start`; one that leaves the calendar stays at `start`.
    fn after(&self, start: Timestamp, script: SignedDuration) -> Timestamp {
        start.checked_add(self.speed.real(script)).unwrap_or(start)
    }
}

/// Puts what `over` says over what `under` says; objects are merged, all else is replaced.
fn overlay(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under, key, value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

fn merge(under: &mut Map<String, Value>, key: &str, value: &Value) {
    match under.get_mut(key) {
        Some(known) => overlay(known, value),
        None => {
            under.insert(key.to_owned(), value.clone());
        }
    }
}

fn signed(at: Duration) -> SignedDuration {
    SignedDuration::try_from(at).unwrap_or(SignedDuration::MAX)
}

/// As the API writes times of day: UTC, to the millisecond.
fn written(at: Timestamp) -> String {
    format!("{at:.3}")
}
