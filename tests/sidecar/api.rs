//! An agents API that shows what a test wants, when it wants it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::support::http::{Request, answer, send};
use crate::support::{KEY, http};

/// An API, and what it shows.
pub(crate) struct Api {
    address: SocketAddr,
    shown: Arc<Mutex<Shown>>,
}

struct Shown {
    agents: BTreeMap<String, Value>,
    key: String,
    /// What every request is answered, in place of what there is.
    outage: Option<(String, String)>,
    /// The agents about whom every question is answered with a status of their own.
    failing: BTreeMap<String, String>,
    requests: Vec<String>,
}

impl Api {
    /// An API with these agents, all ready on deployment `d1` since yesterday.
    pub(crate) fn with(agents: &[&str]) -> Self {
        let shown = Arc::new(Mutex::new(Shown {
            agents: BTreeMap::new(),
            key: KEY.to_owned(),
            outage: None,
            failing: BTreeMap::new(),
            requests: Vec::new(),
        }));
        let served = Arc::clone(&shown);
        let address = http::serve(move |request, stream| serve(&served, &request, stream));
        let api = Self { address, shown };
        let yesterday = Timestamp::now() - SignedDuration::from_hours(24);
        for agent in agents {
            api.add_since(agent, yesterday);
        }
        api
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// A new agent, ready on deployment `d1`.
    pub(crate) fn add(&self, name: &str) {
        self.add_since(name, Timestamp::now());
    }

    fn add_since(&self, name: &str, created_at: Timestamp) {
        let details = json!({
            "id": format!("id-of-{name}"), "name": name, "region": "us-west",
            "createdAt": created_at, "updatedAt": created_at,
            "desiredDeploymentId": "d1", "reconciledDeploymentId": "d1",
            "ready": true, "available": true,
            "deployment": {"id": "d1", "createdAt": created_at},
            "currentRevision": {"deploymentID": "d1", "phase": "Active", "readyReplicas": 1,
                "phaseStartedAt": created_at},
        });
        self.lock().agents.insert(name.to_owned(), details);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.lock().agents.remove(name);
    }

    /// Sets fields of an agent.
    pub(crate) fn set(&self, name: &str, fields: &Value) {
        let mut shown = self.lock();
        let agent = shown.agents.get_mut(name).unwrap();
        for (key, value) in fields.as_object().unwrap() {
            agent[key] = value.clone();
        }
        agent["updatedAt"] = json!(Timestamp::now());
    }

    /// A deploy that is under way.
    pub(crate) fn deploy(&self, name: &str, deployment: &str) {
        self.set(
            name,
            &json!({
                "desiredDeploymentId": deployment, "reconciledDeploymentId": deployment,
                "ready": false,
                "deployment": {"id": deployment, "createdAt": Timestamp::now()},
                "currentRevision": {"deploymentID": deployment, "phase": "Validating",
                    "phaseStartedAt": Timestamp::now(), "readyReplicas": 0},
            }),
        );
    }

    /// The present deployment has become ready.
    pub(crate) fn ready(&self, name: &str) {
        let deployment = self.lock().agents[name]["desiredDeploymentId"].clone();
        self.set(
            name,
            &json!({ "ready": true, "currentRevision":
                {"deploymentID": deployment, "phase": "Active", "phaseStartedAt": Timestamp::now(),
                 "readyReplicas": 1}
            }),
        );
    }

    /// The present deployment has failed.
    pub(crate) fn fail(&self, name: &str) {
        let deployment = self.lock().agents[name]["desiredDeploymentId"].clone();
        self.set(
            name,
            &json!({ "currentRevision":
                {"deploymentID": deployment, "phase": "Failed", "phaseStartedAt": Timestamp::now(),
                 "readyReplicas": 0}
            }),
        );
    }

    /// From now on every request is answered with this status, and these headers.
    pub(crate) fn outage(&self, status: &str, headers: &str) {
        self.lock().outage = Some((status.to_owned(), headers.to_owned()));
    }

    /// From now on whoever asks for this agent gets this status.
    pub(crate) fn outage_of(&self, name: &str, status: &str) {
        let failing = &mut self.lock().failing;
        failing.insert(name.to_owned(), status.to_owned());
    }

    /// From now on whoever asks for this agent gets no answer.
    pub(crate) fn hang(&self, name: &str) {
        self.outage_of(name, "");
    }

    pub(crate) fn recover(&self) {
        let mut shown = self.lock();
        shown.outage = None;
        shown.failing.clear();
    }

    /// From now on only this key is accepted.
    pub(crate) fn rekey(&self, key: &str) {
        key.clone_into(&mut self.lock().key);
    }

    /// The paths that were asked for so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap()
    }
}

fn serve(shown: &Mutex<Shown>, request: &Request, stream: &mut TcpStream) {
    let mut shown = shown.lock().unwrap();
    shown.requests.push(request.path.clone());
    let expected = format!("Bearer {}", shown.key);
    let (status, headers, body) = if request.header("authorization") != Some(&expected) {
        (
            "401 Unauthorized".to_owned(),
            String::new(),
            json!({"error": "no"}),
        )
    } else if let Some((status, headers)) = &shown.outage {
        (status.clone(), headers.clone(), json!({"error": "outage"}))
    } else if request.path == "/v1/agents" {
        let services: Vec<Value> = shown.agents.values().map(entry).collect();
        (
            "200 OK".to_owned(),
            String::new(),
            json!({ "services": services }),
        )
    } else {
        let name = request.path.strip_prefix("/v1/agents/");
        let name = name.map(|name| percent_decode_str(name).decode_utf8_lossy());
        let failing = name.as_ref().and_then(|name| shown.failing.get(&**name));
        let agent = name.as_ref().and_then(|name| shown.agents.get(&**name));
        let (status, body) = match (failing, agent) {
            (Some(status), _) => (status.as_str(), json!({"error": "outage"})),
            (None, Some(agent)) => ("200 OK", agent.clone()),
            (None, None) => ("404 Not Found", json!({"error": "none"})),
        };
        (status.to_owned(), String::new(), body)
    };
    drop(shown);
    while status.is_empty() {
        std::thread::park();
    }
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    let headers = format!("{headers}content-type: application/json\r\ndate: {date}\r\n");
    send(stream, &answer(&status, &headers, &body.to_string()));
}

/// What the list shows of an agent.
fn entry(agent: &Value) -> Value {
    let fields = [
        "id",
        "name",
        "region",
        "createdAt",
        "updatedAt",
        "desiredDeploymentId",
        "reconciledDeploymentId",
    ];
    fields
        .iter()
        .map(|field| ((*field).to_owned(), agent[field].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
