//! `watch`: the sidecar, put together and run to its end.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use super::demo::Demo;
use super::sidecar_tools;
use super::signals::{Hangup, Signals};
use crate::adapters::api::connection::{Connection, Hooks};
use crate::adapters::api::{Client, Credentials};
use crate::adapters::metrics::Metrics;
use crate::adapters::store::Store;
use crate::app::cli::{Listen, WatchArgs, WatchKeys};
use crate::app::error::{Error, chain};
use crate::app::exit::Ending;
use crate::app::plan::{self, WatchPlan};
use crate::app::telemetry::Telemetry;
use crate::app::watch::http::{Endpoints, Http, Limits};
use crate::app::watch::{
    Dispatch, DispatchParts, Ended, Parts, Reload, Reloaded, Shared, Sidecar, StoreHandle,
};
use crate::core::fleet::{AgentRecord, Fleet, PassEnd, Watched};
use crate::core::messages;
use crate::core::text::one_line;

/// How long a sink may take nothing before that is reported.
const SINK_PATIENCE: Duration = Duration::from_mins(5);

/// The keys that count as soon as they are reloaded, as do sinks and mutes.
const RELOADED: [&str; 5] = [
    "interval",
    "health-interval",
    "unready-for",
    "rollout-timeout",
    "history-retention",
];

/// Runs the sidecar until a signal ends it, or makes its one pass.
pub(super) async fn watch(mut args: WatchArgs) -> Result<Ending, Error> {
    let demo = match args.demo {
        Some(agents) => Some(Demo::start(&mut args, agents).await?),
        None => None,
    };
    let mut plan = plan::watch_plan(&args).map_err(report_all_but_last)?;
    if args.check_config {
        plan::check_files(&plan).map_err(report_all_but_last)?;
        return check(&plan);
    }
    if let Some(name) = &args.test_sink {
        return sidecar_tools::test_sink(&plan, name).await;
    }
    if let Some(sink) = &args.redeliver {
        return sidecar_tools::redeliver(&plan, Some(sink.as_str()).filter(|sink| *sink != "*"))
            .await;
    }
    if args.health {
        return sidecar_tools::health(&plan).await;
    }
    let credentials = match &demo {
        Some(_) => Credentials::of_simulator(),
        None => plan.credentials()?,
    };
    let client = Client::new(plan.url.clone(), credentials, plan.ca_file.as_deref())?;
    // A terminal that is closed ends it; what has none reads its configuration anew.
    let hangup = if io::stderr().is_terminal() {
        Hangup::Ends
    } else {
        Hangup::IsForOthers
    };
    let signals = Signals::listen(hangup).map_err(Error::Setup)?;
    let reloads = match hangup {
        Hangup::Ends => mpsc::channel(1).1,
        Hangup::IsForOthers => reload_on_hangup(args, plan.keys.clone()).map_err(Error::Setup)?,
    };
    let store = open(&plan).await?;
    let demo = match demo {
        Some(demo) => Some(demo.with_history(&store).await?),
        None => None,
    };
    let incidents = store.with(|store| store.own_incidents()).await?;
    let fleet = remembered_fleet(&plan, &store)
        .await?
        .with_incidents(&incidents);
    let shared = Arc::new(Shared::new(fleet));
    // One that is over is said to be soon enough.
    let now = Timestamp::now();
    for mute in plan.mutes.iter().filter(|mute| !mute.is_over(now)) {
        warn!("muted: {mute}");
    }
    shared.set_mutes(std::mem::take(&mut plan.mutes));
    let (report, reports) = mpsc::unbounded_channel();
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), Timestamp::now()));
    let connection = Connection::new(client, plan.rules.max_rps, hooks(&metrics));
    let http = listen(&plan, &shared, &metrics, &store, &connection).await?;
    if let (Some(demo), Some(http)) = (&demo, &http) {
        let page = format!("http://{}", http.local_addr());
        super::out(&demo.words(&page))?;
    }
    let sinks = std::mem::take(&mut plan.sinks);
    shared.set_sinks(sinks.iter().map(|sink| sink.name.clone()));
    let dispatch_parts = DispatchParts {
        origin: plan.origin.clone(),
        delivery_timeout: plan.delivery_timeout,
        sink_patience: SINK_PATIENCE,
        incidents,
        reports: report,
        store: store.clone(),
        shared: Arc::clone(&shared),
        metrics: Arc::clone(&metrics),
    };
    if let Watched::Named(names) = &plan.rules.watched {
        info!("watching {}", messages::agents(names.len()));
    }
    let sidecar = Sidecar::new(Parts {
        connection,
        shared,
        store,
        dispatch: Dispatch::start(sinks, dispatch_parts).await,
        metrics,
        traces: plan.telemetry.take().map(Telemetry::start),
        retention: plan.history_retention,
        stop: stop_on(signals),
        reloads,
        reports,
    });
    let ended = match http {
        Some(http) => serve_beside(http, sidecar).await,
        None => sidecar.run().await,
    };
    drop(demo);
    match ended {
        Ended::Stopped | Ended::Passed(PassEnd::Passed) => Ok(Ending::Done),
        Ended::Passed(PassEnd::Failed(verdict, why)) => Ok(Ending::PassFailed { verdict, why }),
        Ended::Unsaved(what) => Err(Error::Unsaved(what)),
    }
}

/// Shows all problems but one, and gives that to be shown as the end of the program.
fn report_all_but_last(mut problems: Vec<anyhow::Error>) -> Error {
    let last = problems.pop();
    for problem in problems {
        error!("{}", chain(problem.as_ref()));
    }
    last.map_or(Error::Lost, Error::Usage)
}

/// Says that the configuration is in order, and what it comes to.
fn check(plan: &WatchPlan) -> Result<Ending, Error> {
    let key = match plan.credentials() {
        Ok(credentials) => credentials.to_string(),
        Err(error) => format!("none here ({error})"),
    };
    let names: Vec<&str> = plan.sinks.iter().map(|sink| sink.name.as_str()).collect();
    let names = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    let mut text = format!(
        "the configuration is in order\n  api      {}\n  key      {key}\n  store    {}\n  sinks    {names}\n",
        plan.url,
        plan.store.display()
    );
    for mute in &plan.mutes {
        let over = if mute.is_over(Timestamp::now()) {
            " (over)"
        } else {
            ""
        };
        let _ = writeln!(text, "  muted    {}{over}", one_line(&mute.to_string()));
    }
    super::print(&text)
}

async fn open(plan: &WatchPlan) -> Result<StoreHandle, Error> {
    let path = plan.store.clone();
    // That a large store is checked may take a while.
    let opened = tokio::task::spawn_blocking(move || Store::open(&path)).await;
    Ok(StoreHandle::new(opened.map_err(|_| Error::Lost)??))
}

/// The agents as the store remembers them.
async fn remembered_fleet(plan: &WatchPlan, store: &StoreHandle) -> Result<Fleet, Error> {
    let (agents, alive_at) = store
        .with(|store| Ok::<_, Error>((store.agents()?, store.alive_at()?)))
        .await?;
    if let Some(first) = agents.unreadable.first() {
        let (count, first) = (agents.unreadable.len(), one_line(first));
        warn!(
            "what is known of {count} agents cannot be read and is learned anew, {first} for example"
        );
    }
    let unreadable = agents.unreadable.iter();
    let unreadable = unreadable.map(|name| AgentRecord::new(name, Timestamp::now()));
    let records = agents.records.into_iter().chain(unreadable).collect();
    Ok(Fleet::restore(plan.rules.clone(), records, alive_at))
}

fn hooks(metrics: &Arc<Metrics>) -> Hooks {
    let (requests, waits) = (Arc::clone(metrics), Arc::clone(metrics));
    Hooks {
        on_request: Some(Box::new(move |outcome, took| {
            requests.api_request(outcome, took);
        })),
        on_wait: Some(Box::new(move |waited| waits.polls_behind(waited))),
    }
}

async fn listen(
    plan: &WatchPlan,
    shared: &Arc<Shared>,
    metrics: &Arc<Metrics>,
    store: &StoreHandle,
    connection: &Connection,
) -> Result<Option<Http>, Error> {
    let Listen::At(address) = plan.listen else {
        return Ok(None);
    };
    let endpoints = Endpoints {
        shared: Arc::clone(shared),
        metrics: Arc::clone(metrics),
        store: store.clone(),
        connection: connection.clone(),
        origin: plan.origin.clone(),
        access: Arc::new(plan.access()?),
    };
    let is_open = endpoints.access.token.is_none();
    let http = Http::bind(address, endpoints, Limits::default()).await?;
    let address = http.local_addr();
    if is_open && !address.ip().is_loopback() {
        warn!(
            "anyone who can reach {address} can read the endpoints; --http-token-file guards them"
        );
    }
    info!(%address, "endpoints on http://{address}");
    Ok(Some(http))
}

/// Becomes true when a signal asks the sidecar to end.
fn stop_on(mut signals: Signals) -> watch::Receiver<bool> {
    let (stopper, stop) = watch::channel(false);
    tokio::spawn(async move {
        signals.interruption().await;
        // The second signal ends the process, whatever it is stuck in.
        signals.exit_on_second_signal();
        stopper.send_replace(true);
        // Who listens for it may do so for as long as there is a sender.
        std::future::pending::<()>().await;
    });
    stop
}

/// Reads the configuration anew with each SIGHUP.
fn reload_on_hangup(args: WatchArgs, keys: WatchKeys) -> io::Result<mpsc::Receiver<Reload>> {
    let mut hangups = signal(SignalKind::hangup())?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            let (args, keys) = (args.clone(), keys.clone());
            let read = tokio::task::spawn_blocking(move || reload(&args, &keys)).await;
            let reload = read.unwrap_or_else(|lost| Err(lost.to_string()));
            if sender.send(reload).await.is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}

fn reload(args: &WatchArgs, at_start: &WatchKeys) -> Reload {
    let in_words = |problems: Vec<anyhow::Error>| {
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| chain(problem.as_ref()))
            .collect();
        lines.join("; ")
    };
    let plan = plan::watch_plan(args).map_err(in_words)?;
    plan::check_files(&plan).map_err(in_words)?;
    let (before, now) = (at_start.set(), plan.keys.set());
    let all: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let kept = all.into_iter().filter(|key| {
        let is_changed = before.get(*key) != now.get(*key);
        is_changed && !RELOADED.contains(&key.as_str())
    });
    match kept.cloned().collect::<Vec<_>>().as_slice() {
        [] => {}
        [key] => warn!("{key} changed: it counts after a restart"),
        keys => warn!("{} changed: they count after a restart", keys.join(", ")),
    }
    Ok(Reloaded {
        rules: plan.rules,
        sinks: plan.sinks,
        mutes: plan.mutes,
        retention: plan.history_retention,
    })
}

/// Runs the sidecar to its end; the endpoints answer as long as it runs.
async fn serve_beside(http: Http, sidecar: Sidecar) -> Ended {
    let (over, is_over) = tokio::sync::oneshot::channel::<()>();
    let served = http.serve(async {
        let _ = is_over.await;
    });
    let run = async {
        let ended = sidecar.run().await;
        drop(over);
        ended
    };
    let (ended, ()) = tokio::join!(run, served);
    ended
}
