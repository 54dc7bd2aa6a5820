//! The lists: what is asked of the agents in memory and of the store, and answered as JSON.

use serde::Serialize;
use serde_json::{Value, json};

use super::Endpoints;
use super::query::{
    AgentsQuery, DeadLettersQuery, EventsQuery, Moment, NoQuery, RolloutQuery, RolloutsQuery,
    StatsQuery,
};
use super::views::{AgentView, Overview, RolloutEvent, RolloutView, SinkView};
use crate::adapters::store::{EventQuery, RolloutQuery as Selection, StoreError};
use crate::app::watch::recent::Recent;
use crate::core::fleet::{
    AgentRecord, EventKind, FinishedRollout, Order, Stats, StoredEvent, attention_first, census,
};

/// How long a page may be, in bytes as they are kept.
const MAX_PAGE: usize = 4 * 1024 * 1024;
/// How many rollouts under way are shown at a glance.
const MAX_UNDER_WAY: usize = 50;
/// How many events of a rollout are shown.
const MAX_EVENTS: usize = 100;

/// Whether the one who asks may do more than read what the sidecar knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// It comes from this machine, or with the token.
    Full,
    /// Anyone who can reach the sidecar.
    ReadOnly,
    /// A probe without the token: it learns whether the sidecar is well, and not why.
    StatusOnly,
}

/// What is answered to a query.
pub(super) type Answer = Result<Value, StoreError>;

pub(super) fn overview(endpoints: &Endpoints, _: &NoQuery, trust: Trust) -> Answer {
    let shared = &endpoints.shared;
    let now = shared.now();
    let faults = shared.faults();
    let fleet = shared.fleet();
    let agents = census(fleet.agents());
    let ahead = fleet.server_time(now.at);
    let ahead = ahead.map_or(0, |server| server.duration_since(now.wall).as_secs());
    let mut under_way: Vec<AgentRecord> = fleet
        .agents()
        .filter(|agent| agent.under_way().is_some())
        .cloned()
        .collect();
    drop(fleet);
    under_way.sort_by_key(|agent| agent.under_way().map(|rollout| rollout.started_at));
    under_way.truncate(MAX_UNDER_WAY);
    let configured = shared.sinks();
    let mut backlogs = endpoints.store.reader().backlogs()?;
    for sink in &configured {
        backlogs.entry(sink.clone()).or_default();
    }
    let sinks = backlogs.into_iter().map(|(name, backlog)| {
        let configured = configured.contains(&name);
        SinkView::of(name, backlog, configured)
    });
    Ok(value(&Overview {
        version: env!("CARGO_PKG_VERSION"),
        source: endpoints.origin.source.clone(),
        // What is less may be the time that the answers took.
        server_clock_ahead_s: if ahead.abs() < 2 { 0 } else { ahead },
        faults,
        agents,
        under_way: views(endpoints, &under_way)?,
        sinks: sinks.collect(),
        may_act: trust == Trust::Full,
    }))
}

pub(super) fn agents(endpoints: &Endpoints, query: &AgentsQuery, _: Trust) -> Answer {
    let fleet = endpoints.shared.fleet();
    let filter = &query.filter;
    let total = fleet.agents().filter(|agent| filter.holds(agent)).count();
    let limit = query.limit.0;
    let (page, next): (Vec<AgentRecord>, _) = match query.order {
        Order::Name => {
            let rest = fleet.agents_after(query.after.as_deref());
            let mut rest = rest.filter(|agent| filter.holds(agent));
            let page: Vec<_> = rest.by_ref().take(limit).cloned().collect();
            let more = rest.next().is_some();
            let next = page.last().filter(|_| more).map(|last| last.name.clone());
            (page, next)
        }
        Order::Attention => {
            let all = fleet.agents().filter(|agent| filter.holds(agent));
            let first = attention_first(all, limit).into_iter().cloned();
            (first.collect(), None)
        }
    };
    drop(fleet);
    let views = views(endpoints, &page)?;
    Ok(json!({ "agents": value(&views), "total": total, "next": next }))
}

pub(super) fn rollouts(endpoints: &Endpoints, query: &RolloutsQuery, _: Trust) -> Answer {
    let selection = Selection {
        before: query.before,
        verdicts: query.verdict.into_iter().collect(),
        ..selection(query.agent.as_deref(), query.since, query.until)
    };
    let reader = endpoints.store.reader();
    let page = reader.rollouts(&selection, query.limit.0, MAX_PAGE)?;
    let next = page.next();
    let views: Vec<FinishedRollout> = page.found.into_iter().map(Into::into).collect();
    Ok(json!({ "rollouts": views, "next": next }))
}

pub(super) fn rollout(endpoints: &Endpoints, query: &RolloutQuery, _: Trust) -> Answer {
    let (agent, id) = (query.agent.as_str(), query.deployment.as_str());
    let reader = endpoints.store.reader();
    let latest_first = |id| {
        let found = reader.events_of_rollout(agent, id, MAX_EVENTS, MAX_PAGE);
        found.map(|page| page.found)
    };
    let mut events = latest_first(id)?;
    let finished = end_of(&events);
    events.reverse();
    let numbers: Vec<u64> = events.iter().map(|event| event.number).collect();
    let mut deliveries = reader.deliveries_of(&numbers)?;
    let before = events
        .iter()
        .rev()
        .find_map(|stored| stored.event.data.previous_deployment_id.as_deref());
    let now = endpoints.shared.fleet().agent(agent).cloned();
    Ok(value(&RolloutView {
        agent: agent.to_owned(),
        deployment_id: id.to_owned(),
        finished,
        now: views(endpoints, now.as_slice())?.pop(),
        before: match before {
            Some(id) => end_of(&latest_first(id)?),
            None => None,
        },
        events: events
            .iter()
            .map(|stored| RolloutEvent::of(stored, &mut deliveries))
            .collect(),
    }))
}

pub(super) fn events(endpoints: &Endpoints, query: &EventsQuery, _: Trust) -> Answer {
    let selection = EventQuery {
        after: query.after,
        agent: query.agent.clone(),
        kind: query.kind,
    };
    let reader = endpoints.store.reader();
    let page = reader.events(&selection, query.limit.0, MAX_PAGE)?;
    let views = page.found.iter().map(
        |stored| json!({ "number": stored.number, "event": stored.cloud_event(&endpoints.origin) }),
    );
    Ok(json!({ "events": views.collect::<Vec<_>>(), "next": page.next() }))
}

pub(super) fn stats(endpoints: &Endpoints, query: &StatsQuery, _: Trust) -> Answer {
    let selection = selection(query.agent.as_deref(), query.since, query.until);
    let rollouts = endpoints.store.reader().summaries(&selection)?;
    let periods = query.by.map(|period| {
        let periods = Stats::by_period(&rollouts, period).into_iter();
        let periods = periods.map(|(start, stats)| json!({ "start": start, "stats": stats }));
        periods.collect::<Vec<_>>()
    });
    let agents = Stats::by_agent(&rollouts).into_iter();
    let agents = agents.map(|(agent, stats)| json!({ "agent": agent, "stats": stats }));
    let agents = query.by.is_none().then(|| agents.collect::<Vec<_>>());
    let mut body = json!({ "stats": Stats::of(&rollouts) });
    for (key, list) in [("agents", agents), ("periods", periods)] {
        if let Some(list) = list {
            body[key] = list.into();
        }
    }
    Ok(body)
}

pub(super) fn dead_letters(endpoints: &Endpoints, query: &DeadLettersQuery, _: Trust) -> Answer {
    let found = endpoints.store.reader().dead_letters(query.limit.0)?;
    Ok(json!({ "deadLetters": found }))
}

/// The end of a rollout, if it is among its events, the latest first.
fn end_of(events: &[StoredEvent]) -> Option<FinishedRollout> {
    let mut events = events.iter();
    let end = events.find(|stored| stored.event.kind == EventKind::RolloutFinished);
    end.cloned().map(Into::into)
}

/// Agents as they are shown, with their latest rollouts.
fn views(endpoints: &Endpoints, agents: &[AgentRecord]) -> Result<Vec<AgentView>, StoreError> {
    let names: Vec<&str> = agents.iter().map(|agent| agent.name.as_str()).collect();
    let recent = &endpoints.shared.recent;
    let recent = recent.of(&names, endpoints.store.reader())?;
    let agents = agents.iter().zip(recent);
    let views = agents.map(|(agent, recent)| AgentView::of(agent, Recent::clone(&recent)));
    Ok(views.collect())
}

/// The rollouts that a query asks for.
fn selection(agent: Option<&str>, since: Option<Moment>, until: Option<Moment>) -> Selection {
    Selection {
        agents: agent.map(str::to_owned).into_iter().collect(),
        since: since.map(|moment| moment.0),
        until: until.map(|moment| moment.0),
        ..Selection::default()
    }
}

/// A view as JSON.
fn value(view: &impl Serialize) -> Value {
    serde_json::to_value(view).expect("views have text for keys and cannot fail otherwise")
}
