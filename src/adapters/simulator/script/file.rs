//! The scenario file as it is written; nothing but its form is checked here.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use serde::Deserialize;
use toml::Spanned;

use super::fault::{CutAfter, Requests, Template};
use super::words::{self, Moment, OrNone};
use crate::core::rollout::Verdict;

/// A whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) summary: Spanned<String>,
    #[serde(deserialize_with = "words::verdict")]
    pub(super) verdict: Verdict,
    pub(super) baseline: Option<Spanned<String>>,
    pub(super) agent: Option<Spanned<AgentTable>>,
    #[serde(default)]
    pub(super) deployments: BTreeMap<String, words::Deployment>,
    pub(super) before: Option<Spanned<StateTable>>,
    #[serde(default)]
    pub(super) state: Vec<Spanned<StateTable>>,
    #[serde(default)]
    pub(super) fault: Vec<Spanned<FaultTable>>,
    #[serde(default)]
    pub(super) log: Vec<Spanned<LogTable>>,
}

/// `[agent]`: what is true of the agent throughout.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct AgentTable {
    pub(super) region: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) min_replicas: Option<u64>,
    pub(super) max_replicas: Option<u64>,
}

/// `[before]` or a `[[state]]`: what has changed since the state before.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct StateTable {
    pub(super) at: Option<Spanned<Moment>>,
    pub(super) absent: bool,
    pub(super) desired: Option<Spanned<String>>,
    pub(super) reconciled: Option<Spanned<String>>,
    pub(super) ready: Option<bool>,
    pub(super) available: Option<bool>,
    pub(super) sessions: Option<u64>,
    pub(super) current: Option<OrNone<RevisionTable>>,
    pub(super) previous: Option<OrNone<RevisionTable>>,
    pub(super) extra: Option<serde_json::Map<String, serde_json::Value>>,
}

/// `current` or `previous`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct RevisionTable {
    pub(super) deployment: Option<Spanned<String>>,
    #[serde(deserialize_with = "words::phase")]
    pub(super) phase: Option<String>,
    pub(super) ready_replicas: Option<u64>,
    pub(super) infrastructure_issue: Option<bool>,
    pub(super) health: Option<OrNone<HealthTable>>,
}

/// The `health` of a revision.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct HealthTable {
    pub(super) ready: Option<bool>,
    #[serde(deserialize_with = "words::container_state")]
    pub(super) state: Option<String>,
    pub(super) restart_count: Option<u64>,
    pub(super) replicas_started: Option<u64>,
    pub(super) reason: Option<String>,
    pub(super) last_exit_code: Option<i64>,
    pub(super) last_termination_reason: Option<String>,
    pub(super) message: Option<String>,
}

/// A `[[fault]]`: when it strikes, what it is, and what that kind needs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FaultTable {
    pub(super) from: Option<Moment>,
    pub(super) until: Option<Moment>,
    pub(super) requests: Option<Requests>,
    pub(super) every: Option<NonZeroU64>,
    pub(super) kind: FaultKind,
    pub(super) status: Option<Spanned<u16>>,
    pub(super) headers: Option<BTreeMap<String, Template>>,
    pub(super) body: Option<String>,
    pub(super) after: Option<CutAfter>,
    pub(super) by: Option<Moment>,
}

/// The `kind` of a fault.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FaultKind {
    Status,
    Html,
    Reset,
    Hang,
    CutBody,
    SlowBody,
    HugeBody,
    Lag,
    AnotherAgent,
}

/// A `[[log]]` line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LogTable {
    pub(super) at: Moment,
    pub(super) line: String,
    pub(super) deployment: Option<Spanned<String>>,
}
