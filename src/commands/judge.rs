//! `wait-for-ready` and `status`: agents judged side by side, under one deadline.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::complain;
use super::signals::Signals;
use crate::api::{ApiKey, ApiUrl, Client, PlainHttp};
use crate::config::{Plan, Source};
use crate::error::{self, Error};
use crate::exit::Ending;
use crate::follow::{LONGEST_REQUEST, follow};
use crate::output::{FileError, Files, Progress, print_report};
use crate::rollout::pacing::Pace;
use crate::rollout::{AgentReport, Event, Machine, Next, Outcome, Report};
use crate::simulator::{Cast, Settings, Simulator, Start};
use crate::story::Occasion;
use crate::text::one_line;
use crate::wire::AgentName;

/// What the watch of an agent has to tell.
enum Tidings {
    Happened(Duration, Event),
    Ended(Box<AgentReport>),
}

/// Tells the story of the agents' watches, in whatever order they have something to tell.
type Teller = mpsc::UnboundedSender<(usize, Tidings)>;

/// Judges the agents of a plan, tells the story and reports.
pub(super) async fn judge(plan: Plan) -> Result<Ending, Error> {
    // What would keep the report from being written has to show before the wait.
    let files = Files::prepare(&plan.output.files)?;
    let signals = Signals::listen().map_err(Error::Setup)?;
    let client = connect(plan.source, &plan.agents).await?;

    let occasion = plan.output.manner.occasion;
    let names = plan.agents.iter().map(|name| name.as_str().to_owned());
    let (style, began) = (plan.output.style, Timestamp::now());
    let mut progress = Progress::begin(style, plan.output.manner, began, names.collect());
    let (teller, mut tidings) = mpsc::unbounded_channel();
    let mut reports: Vec<Option<AgentReport>> = plan.agents.iter().map(|_| None).collect();
    for (index, agent) in plan.agents.into_iter().enumerate() {
        let watch = Watch {
            index,
            agent,
            machine: Machine::new(plan.policy.clone()),
            pace: plan.pace,
            client: client.clone(),
            signals: signals.clone(),
            teller: teller.clone(),
        };
        tokio::spawn(watch.run(occasion));
    }
    drop(teller);
    while let Some((index, tidings)) = tidings.recv().await {
        match tidings {
            Tidings::Happened(at, event) => progress.tell(index, at, &event),
            Tidings::Ended(report) => {
                progress.end(index, &report);
                reports[index] = Some(*report);
            }
        }
    }
    let reports: Option<Vec<AgentReport>> = reports.into_iter().collect();
    let report = Report::new(reports.ok_or(Error::Lost)?);

    let printed = print_report(&report, plan.output.result, occasion).map_err(Untold::Stdout);
    let written = files.write(&report, || fastrand::u64(..));
    let failures = printed.err().into_iter();
    let mut ending = Ending::Judged(report);
    for failure in failures.chain(written.into_iter().map(Untold::File)) {
        complain(style, &one_line(&error::chain(&failure)));
        ending = match ending {
            Ending::Judged(report) => Ending::Untold(report),
            other => other,
        };
    }
    Ok(ending)
}

/// The report could not be handed over.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error("cannot write the result to stdout")]
    Stdout(#[source] std::io::Error),
    #[error(transparent)]
    File(FileError),
}

/// The watch of one agent.
struct Watch {
    index: usize,
    agent: AgentName,
    machine: Machine,
    pace: Pace,
    client: Arc<Client>,
    signals: Signals,
    teller: Teller,
}

impl Watch {
    async fn run(self, occasion: Occasion) {
        let started_at = Timestamp::now();
        let name = self.agent.as_str().to_owned();
        let (index, teller) = (self.index, self.teller.clone());
        let outcome = match occasion {
            Occasion::Watch => self.follow().await,
            Occasion::Look => self.look_once().await,
        };
        let report = AgentReport::new(name, started_at, outcome);
        // The listener outlives all watches.
        let _ = teller.send((index, Tidings::Ended(Box::new(report))));
    }

    async fn follow(mut self) -> Outcome {
        let (client, agent) = (self.client, self.agent);
        let fetch = |limit| {
            let (client, agent) = (Arc::clone(&client), agent.clone());
            async move { client.observe(&agent, limit).await }
        };
        let emit = |at, event| {
            let _ = self.teller.send((self.index, Tidings::Happened(at, event)));
        };
        follow(
            self.machine,
            self.pace,
            fetch,
            emit,
            self.signals.interruption(),
        )
        .await
    }

    async fn look_once(mut self) -> Outcome {
        let start = tokio::time::Instant::now();
        let step = tokio::select! {
            biased;
            interruption = self.signals.interruption() => {
                self.machine.interrupt(start.elapsed(), interruption)
            }
            observation = self.client.observe(&self.agent, LONGEST_REQUEST) => {
                self.machine.observe(start.elapsed(), observation)
            }
        };
        for event in step.events {
            let _ = self
                .teller
                .send((self.index, Tidings::Happened(start.elapsed(), event)));
        }
        match step.next {
            Next::Done(outcome) => *outcome,
            Next::Poll(_) => unreachable!("the deadline of a single look has passed"),
        }
    }
}

/// A client of the API, or of a simulator that plays for these agents.
async fn connect(source: Source, agents: &[AgentName]) -> Result<Arc<Client>, Error> {
    let client = match source {
        Source::Api { url, key, ca_file } => Client::new(url, key, ca_file.as_deref())?,
        Source::Simulator { scenario, speed } => {
            let scenario = Arc::from(scenario);
            let cast = agents
                .iter()
                .map(|agent| (agent.as_str().to_owned(), Arc::clone(&scenario)));
            let settings = Settings {
                cast: Cast::new(cast),
                key: None,
                speed,
                start: Start::AtFirstRead,
            };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let simulator = Simulator::bind(address, settings).await?;
            let url = ApiUrl::parse(&simulator.base_url(), PlainHttp::LoopbackOnly);
            let key = ApiKey::parse("simulated");
            tokio::spawn(simulator.serve());
            let url = url.expect("the simulator's address is loopback");
            let key = key.expect("a word without blanks is a key");
            Client::new(url, key, None)?
        }
    };
    Ok(Arc::new(client))
}
