//! `watch --demo`: a simulated organization that never rests, with a past, and receivers of its events.

mod history;
mod receiver;

use std::collections::BTreeMap;
use std::fs;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::adapters::simulator::{Deployer, Scenario, Settings, Simulator, Speed, Start};
use crate::adapters::store::{Store, StoreError};
use crate::app::cli::{PositiveTime, Time, WatchArgs, WatchKeys};
use crate::app::error::Error;
use crate::app::watch::StoreHandle;

/// Names of agents; of more agents than these they bear a number.
const NAMES: [&str; 12] = [
    "appointment-bot",
    "billing-helper",
    "concierge",
    "drive-thru",
    "front-desk",
    "intake-nurse",
    "language-tutor",
    "night-shift",
    "order-taker",
    "outbound-survey",
    "support-tier-1",
    "voice-starter",
];
const REGIONS: [&str; 3] = ["us-west", "us-east", "eu-central"];
/// How the first deploys go, so that there is something to see at once, and how often the later ones go so.
const FIRST: [&str; 4] = [
    "rolling-update",
    "crash-loop",
    "rolling-update",
    "image-pull",
];
const LATER: [(&str, u32); 5] = [
    ("rolling-update", 78),
    ("crash-loop", 8),
    ("out-of-memory", 6),
    ("image-pull", 4),
    ("phase-failed", 4),
];
/// How fast the scenarios run: slowly enough to be watched.
const SPEED: f64 = 0.7;
/// How long an agent is left alone after a deploy; one that failed is deployed again after it.
const REST: Duration = Duration::from_secs(75);

/// What plays, as long as it is kept.
pub(super) struct Demo {
    folder: TempDir,
    tasks: Vec<JoinHandle<()>>,
    agents: Vec<String>,
}

impl Drop for Demo {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Demo {
    /// Starts so many agents, and points the arguments at them, at a store of its own and at two sinks. Nothing else
    /// that is configured reaches it: what happens in it is no news to anybody's pager.
    pub(super) async fn start(args: &mut WatchArgs, count: u16) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::Setup)?;
        let agents: Vec<String> = (0..usize::from(count)).map(name).collect();
        let usual = scenario(FIRST[0]);
        let settings = Settings {
            agents: agents
                .iter()
                .map(|name| (name.clone(), Arc::clone(&usual)))
                .collect(),
            key: None,
            speed: Speed::new(SPEED).expect("it is one"),
            start: Start::AtDeploy,
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let simulator = Simulator::bind(address, settings).await?;
        let deployer = simulator.deployer();
        for (number, agent) in agents.iter().enumerate() {
            let said = json!({ "region": region(agent), "activeSessionCount": number * 5 % 7 });
            deployer.set(agent, &said);
            deployer.set_first_image(agent, &image(agent, "1.37"));
        }
        let receiver = receiver::Receiver::bind().await.map_err(Error::Setup)?;
        let config = folder.path().join("demo.toml");
        fs::write(&config, receiver.config()).map_err(Error::Setup)?;
        let keys = mem::take(&mut args.keys);
        args.keys = WatchKeys {
            api_url: Some(simulator.base_url()),
            store: Some(folder.path().join("demo.db")),
            interval: Some(PositiveTime(Duration::from_secs(1))),
            health_interval: Some(PositiveTime(Duration::from_secs(
                u64::from(count).div_ceil(50).max(5),
            ))),
            unready_for: Some(Time(Duration::from_secs(10))),
            max_rps: "500".parse().ok(),
            listen: keys.listen,
            http_token_file: keys.http_token_file,
            public_url: keys.public_url,
            ..WatchKeys::default()
        };
        args.config = Some(config);
        let tasks = vec![
            tokio::spawn(simulator.serve()),
            tokio::spawn(receiver.serve()),
            tokio::spawn(deploy(deployer, agents.clone())),
        ];
        Ok(Self {
            folder,
            tasks,
            agents,
        })
    }

    /// Writes the past three weeks into the store.
    pub(super) async fn with_history(self, store: &StoreHandle) -> Result<Self, StoreError> {
        let agents = self.agents.clone();
        let write = move |store: &mut Store| history::write(store, &agents, Timestamp::now());
        store.with(write).await?;
        Ok(self)
    }

    /// What a person has to know to see it.
    pub(super) fn words(&self, page: &str) -> String {
        let agents = self.agents.len();
        let folder = self.folder.path().display();
        format!(
            "the page is on {page}\n{agents} simulated agents are deployed again and again; their store in {folder} is \
             deleted when Ctrl-C ends this\n"
        )
    }
}

fn name(number: usize) -> String {
    let name = NAMES[number % NAMES.len()];
    match number / NAMES.len() {
        0 => name.to_owned(),
        round => format!("{name}-{round:03}"),
    }
}

fn image(agent: &str, tag: &str) -> String {
    format!("registry.example.com/acme/{agent}:{tag}")
}

/// Where an agent is, always the same.
fn region(agent: &str) -> &'static str {
    let sum: usize = agent.bytes().map(usize::from).sum();
    REGIONS[sum % REGIONS.len()]
}

fn scenario(name: &str) -> Arc<Scenario> {
    Arc::new(Scenario::built_in(name).expect("it is built in"))
}

/// Deploys now and then, for ever: soon where the last deploy failed.
async fn deploy(deployer: Deployer, agents: Vec<String>) {
    let mut random = fastrand::Rng::with_seed(7);
    let names = LATER.iter().map(|(name, _)| *name);
    let scenarios: BTreeMap<&str, Arc<Scenario>> =
        names.map(|name| (name, scenario(name))).collect();
    let mut last_deploys: BTreeMap<&String, (Instant, &str)> = BTreeMap::new();
    let mut first = FIRST.iter();
    // By then the sidecar has seen what was there before.
    sleep(Duration::from_secs(4)).await;
    for version in 5.. {
        let rested = |agent: &&String| {
            let last = last_deploys.get(agent);
            last.is_none_or(|(at, _)| at.elapsed() > REST)
        };
        let failed = |agent: &&String| {
            let last = last_deploys.get(agent);
            last.is_some_and(|(_, name)| *name != FIRST[0])
        };
        let idle: Vec<&String> = agents.iter().filter(rested).collect();
        let broken: Vec<&String> = idle.iter().copied().filter(|agent| failed(agent)).collect();
        let from = if broken.is_empty() { &idle } else { &broken };
        if let Some(agent) = random.choice(from.iter().copied()) {
            let name = match first.next() {
                Some(name) => name,
                None if failed(&agent) => FIRST[0],
                None => any(&mut random),
            };
            let image = image(agent, &format!("2.{version}"));
            deployer.deploy_as(
                agent,
                &scenarios[name],
                &json!({ "image": image, "region": region(agent) }),
            );
            last_deploys.insert(agent, (Instant::now(), name));
        }
        if let Some(agent) = random.choice(&agents) {
            deployer.set(agent, &json!({ "activeSessionCount": random.u8(0..9) }));
        }
        // A dozen is deployed to now and then, thousands every second.
        let pause = if first.len() > 0 || agents.len() > 100 {
            700..1_300
        } else {
            5_000..11_000
        };
        sleep(Duration::from_millis(random.u64(pause))).await;
    }
}

/// One of the scenarios, each as often as it is to be.
fn any(random: &mut fastrand::Rng) -> &'static str {
    let mut left = random.u32(0..LATER.iter().map(|(_, weight)| weight).sum());
    for (name, weight) in LATER {
        if left < weight {
            return name;
        }
        left -= weight;
    }
    FIRST[0]
}
