//! Many agents at a glance: the state of each in a word, how many there are of each, and which are shown first.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::record::{AgentRecord, AgentState};
use crate::core::rollout::Reason;

/// What an agent is like, in a word. What needs a person first comes first.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Status {
    /// It is not ready, and nothing is being rolled out.
    Unready,
    /// It is not ready, and an older deployment takes sessions in its stead.
    Degraded,
    /// A deployment is being rolled out.
    RollingOut,
    /// It was not checked yet.
    Unknown,
    /// It is ready.
    Ready,
}

/// In which order agents are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// By name: such a list can be read page by page.
    #[default]
    Name,
    /// What is down or rolling out first.
    Attention,
}

/// Which agents are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentFilter {
    /// Those with this in their name or image, whatever the case.
    pub search: Option<String>,
    /// Those in this region.
    pub region: Option<String>,
    /// Those in this state.
    pub status: Option<Status>,
}

/// How many agents there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Census {
    /// In all.
    pub total: usize,
    /// By state; each is there.
    pub by_state: BTreeMap<&'static str, usize>,
    /// By region.
    pub by_region: BTreeMap<String, usize>,
}

impl Status {
    /// The state in a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl AgentRecord {
    /// The state in a word, since when it is so, and why where it is unready.
    #[must_use]
    pub fn status(&self) -> (Status, Timestamp, Option<&Reason>) {
        let unready = match self.live.available {
            Some(true) => Status::Degraded,
            Some(false) | None => Status::Unready,
        };
        match &self.state {
            AgentState::RollingOut(rollout) => (Status::RollingOut, rollout.started_at, None),
            AgentState::Unready { since, reason } => (unready, *since, reason.as_ref()),
            AgentState::Idle { since } => {
                let status = match self.live.ready {
                    Some(true) => Status::Ready,
                    // It has not been so for long enough to be reported.
                    Some(false) => unready,
                    None => Status::Unknown,
                };
                (status, *since, None)
            }
        }
    }
}

impl AgentFilter {
    /// Whether an agent is asked for.
    #[must_use]
    pub fn holds(&self, agent: &AgentRecord) -> bool {
        let has = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        let image = agent.deployment.as_ref().and_then(|d| d.image.as_deref());
        self.status.is_none_or(|wanted| agent.status().0 == wanted)
            && self
                .region
                .as_deref()
                .is_none_or(|wanted| agent.region.as_deref() == Some(wanted))
            && self.search.as_deref().is_none_or(|wanted| {
                has(&agent.name, wanted) || image.is_some_and(|image| has(image, wanted))
            })
    }
}

/// The agents of which a person wants to know first, so many at most: what is down or rolling out, then by name.
#[must_use]
pub fn attention_first<'a>(
    agents: impl Iterator<Item = &'a AgentRecord>,
    limit: usize,
) -> Vec<&'a AgentRecord> {
    let mut found: Vec<_> = agents.collect();
    found.sort_by_key(|agent| agent.status().0);
    found.truncate(limit);
    found
}

/// How many agents there are.
#[must_use]
pub fn census<'a>(agents: impl Iterator<Item = &'a AgentRecord>) -> Census {
    let by_state = Status::VARIANTS.iter().map(|status| (status.as_str(), 0));
    let mut census = Census {
        by_state: by_state.collect(),
        ..Census::default()
    };
    for agent in agents {
        census.total += 1;
        *census
            .by_state
            .entry(agent.status().0.as_str())
            .or_default() += 1;
        if let Some(region) = &agent.region {
            *census.by_region.entry(region.clone()).or_default() += 1;
        }
    }
    census
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fleet::{KnownDeployment, UnderWay};

    fn agent(name: &str, region: &str, state: AgentState, ready: Option<bool>) -> AgentRecord {
        let mut agent = AgentRecord::new(name, Timestamp::UNIX_EPOCH);
        agent.region = Some(region.to_owned());
        agent.state = state;
        agent.live.ready = ready;
        agent.deployment = Some(KnownDeployment {
            commit: None,
            id: "d1".to_owned(),
            created_at: None,
            image: Some("Registry/Voice:1".to_owned()),
        });
        agent
    }

    fn agents() -> Vec<AgentRecord> {
        let since = Timestamp::UNIX_EPOCH;
        let idle = || AgentState::Idle { since };
        let down = AgentState::Unready {
            since,
            reason: None,
        };
        let rolling_out = AgentState::RollingOut(UnderWay {
            started_at: since,
            phases: Vec::new(),
            observed_late: false,
            rolled_back: false,
        });
        // The old version serves.
        let mut serving = agent("f", "us", down.clone(), Some(false));
        serving.live.available = Some(true);
        vec![
            agent("a", "us", idle(), Some(true)),
            agent("b", "us", idle(), None),
            agent("c", "eu", rolling_out, Some(false)),
            agent("d", "eu", down, Some(false)),
            agent("e", "us", idle(), Some(false)),
            serving,
        ]
    }

    fn names(agents: &[&AgentRecord]) -> String {
        agents.iter().map(|agent| agent.name.as_str()).collect()
    }

    #[test]
    fn what_is_down_or_rolling_out_comes_first() {
        let agents = agents();
        assert_eq!(names(&attention_first(agents.iter(), 9)), "defcba");
        assert_eq!(names(&attention_first(agents.iter(), 3)), "def");
    }

    #[test]
    fn agents_are_counted_by_state_and_region() {
        let census = census(agents().iter());
        assert_eq!(
            serde_json::to_value(&census).unwrap(),
            serde_json::json!({
                "total": 6,
                "byState": { "unready": 2, "degraded": 1, "rolling-out": 1, "unknown": 1, "ready": 1 },
                "byRegion": { "eu": 2, "us": 4 },
            })
        );
    }

    #[test]
    fn a_filter_goes_by_name_or_image_region_and_state() {
        let agents = agents();
        let found = |search: Option<&str>, region: Option<&str>, status| {
            let filter = AgentFilter {
                search: search.map(str::to_owned),
                region: region.map(str::to_owned),
                status,
            };
            let found = agents.iter().filter(|agent| filter.holds(agent));
            names(&found.collect::<Vec<_>>())
        };
        assert_eq!(found(None, None, None), "abcdef");
        assert_eq!(found(Some("A"), None, None), "a");
        assert_eq!(found(Some("voice:1"), None, None), "abcdef");
        assert_eq!(found(None, Some("eu"), None), "cd");
        assert_eq!(found(None, Some("us"), Some(Status::Unready)), "e");
        assert_eq!(found(Some("x"), None, None), "");
    }
}
