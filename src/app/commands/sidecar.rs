//! `watch`: the sidecar, put together and run to its end.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::signals::Signals;
use crate::adapters::api::connection::{Connection, Hooks};
use crate::adapters::api::{self, Client, PlainHttp};
use crate::adapters::delivery::{PlainText, Sink};
use crate::adapters::metrics::Metrics;
use crate::adapters::output::print;
use crate::adapters::store::Store;
use crate::app::cli::{Listen, WatchArgs};
use crate::app::error::Error;
use crate::app::exit::Ending;
use crate::app::plan::{self, WatchPlan};
use crate::app::watch::http::{Http, Limits};
use crate::app::watch::{
    Board, Daemon, Delivery, DeliveryTerms, Ended, Keeper, Parts, Passes, Settings, SinkPlan,
    sources,
};
use crate::core::fleet::RetryPlan;

/// Runs the sidecar until a signal ends it, or makes its one pass.
pub(super) async fn watch(args: WatchArgs) -> Result<Ending, Error> {
    let passes = if args.once {
        Passes::One
    } else {
        Passes::Endless
    };
    let check_only = args.check_config;
    let mut plan = plan::watch_plan(args)?;
    let sinks = sinks(&mut plan)?;
    if check_only {
        return check(&plan, &sinks);
    }
    let client = Client::new(
        plan.url.clone(),
        plan.credentials()?,
        plan.ca_file.as_deref(),
    )?;
    let mut signals = Signals::listen().map_err(Error::Setup)?;
    let store = plan.store.clone();
    // That a large store is checked may take a while.
    let opened = tokio::task::spawn_blocking(move || Store::open(&store)).await;
    let keeper = Keeper::new(opened.map_err(|_| Error::Lost)??);

    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
    metrics.start_time(Timestamp::now());
    let board = Arc::new(Board::new(plan.interval));
    let (requests, waits) = (Arc::clone(&metrics), Arc::clone(&metrics));
    let hooks = Hooks {
        on_request: Some(Box::new(move |outcome, took| {
            requests.api_request(outcome, took);
        })),
        on_wait: Some(Box::new(move |waited| waits.polls_behind(waited))),
    };
    let connection = Connection::new(client, plan.max_rps, hooks);
    let http = listen(&plan, &sinks, &board, &metrics, &keeper).await?;
    let terms = DeliveryTerms {
        source: plan.url.to_string(),
        plan: RetryPlan {
            retry_for: plan.retry_for,
        },
    };
    let delivery = Delivery::start(sinks, &terms, &keeper, &board, &metrics);
    let (stopper, stop) = watch::channel(false);
    let parts = Parts {
        connection,
        keeper,
        delivery,
        board,
        metrics,
        stop,
    };
    let daemon = Daemon::new(settings(plan, passes), parts).await?;
    tokio::spawn(async move {
        signals.interruption().await;
        // The second signal ends the process, whatever it is stuck in.
        signals.exit_on_second_signal();
        stopper.send_replace(true);
        // Who listens for it may do so for as long as there is a sender.
        std::future::pending::<()>().await;
    });
    let ended = match http {
        Some(http) => serve_beside(http, daemon).await,
        None => daemon.run().await,
    };
    match ended {
        Ended::Stopped | Ended::Passed => Ok(Ending::Done),
        Ended::NoPass(verdict, why) => Ok(Ending::NoPass { verdict, why }),
        Ended::Unsaved(what) => Err(Error::Unsaved(what)),
    }
}

fn sinks(plan: &mut WatchPlan) -> Result<Vec<SinkPlan>, Error> {
    let specs = std::mem::take(&mut plan.sinks);
    if specs.is_empty() {
        return Ok(Vec::new());
    }
    let tls = api::tls_config(plan.ca_file.as_deref())?;
    let unencrypted = match plan.plain_http {
        PlainHttp::LoopbackOnly => PlainText::LoopbackOnly,
        PlainHttp::Anywhere => PlainText::Anywhere,
    };
    let made = specs.into_iter().map(|spec| {
        let sink = Sink::new(spec.settings, &tls, unencrypted);
        match sink {
            Ok(sink) => Ok(SinkPlan {
                name: spec.name,
                sink,
                filter: spec.filter,
            }),
            Err(source) => Err(Error::Sink {
                name: spec.name,
                source,
            }),
        }
    });
    made.collect()
}

/// Says that the configuration is in order, and what it comes to.
fn check(plan: &WatchPlan, sinks: &[SinkPlan]) -> Result<Ending, Error> {
    let key = match plan.credentials() {
        Ok(credentials) => credentials.to_string(),
        Err(error) => format!("none here ({error})"),
    };
    let names: Vec<&str> = sinks.iter().map(|sink| sink.name.as_str()).collect();
    let names = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    let text = format!(
        "the configuration is in order\n  api      {}\n  key      {key}\n  store    {}\n  sinks    {names}\n",
        plan.url,
        plan.store.display()
    );
    print::out(&text).map_err(Error::Print)?;
    Ok(Ending::Done)
}

async fn listen(
    plan: &WatchPlan,
    sinks: &[SinkPlan],
    board: &Arc<Board>,
    metrics: &Arc<Metrics>,
    keeper: &Keeper,
) -> Result<Option<Http>, Error> {
    let Listen::At(address) = plan.listen else {
        return Ok(None);
    };
    let names = sinks.iter().map(|sink| sink.name.clone());
    let sources = sources(board, metrics, keeper, names);
    let http = Http::bind(address, sources, Limits::default()).await?;
    tracing::info!(address = %http.local_addr(), "endpoints on http://{}", http.local_addr());
    Ok(Some(http))
}

/// Runs the daemon to its end; the endpoints answer as long as it runs.
async fn serve_beside(http: Http, daemon: Daemon) -> Ended {
    let (over, is_over) = tokio::sync::oneshot::channel::<()>();
    let served = http.serve(async {
        let _ = is_over.await;
    });
    let run = async {
        let ended = daemon.run().await;
        drop(over);
        ended
    };
    let (ended, ()) = tokio::join!(run, served);
    ended
}

fn settings(plan: WatchPlan, passes: Passes) -> Settings {
    Settings {
        watched: plan.watched,
        interval: plan.interval,
        health_interval: plan.health_interval,
        max_rps: plan.max_rps,
        limits: plan.limits,
        history_for: plan.history_for,
        retry_for: plan.retry_for,
        passes,
    }
}
