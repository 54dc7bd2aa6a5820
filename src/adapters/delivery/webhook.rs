//! Webhooks: a `CloudEvent` in a POST, or a body of one's own shape; signed as Standard Webhooks has it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Endpoint, Network, Request, method};
use super::secret::{Secrets, read_text};
use super::{DeliveryError, SinkError};
use crate::core::fleet::{FleetEvent, IncidentChange};
use crate::core::messages::{Notification, example_values};
use crate::core::text::one_line;
use crate::core::text::template::{Shape, Template};
use crate::core::wire::OWN_HEADERS;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The keys of a webhook.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    url: Option<String>,
    url_file: Option<PathBuf>,
    method: Option<String>,
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    /// What closes an incident is sent so.
    pub(super) on_close: Option<FormKeys>,
    /// Files of secrets, by the names that they have in templates.
    secrets: BTreeMap<String, PathBuf>,
    /// The file of the secrets with which to sign.
    secret_file: Option<PathBuf>,
}

/// The keys of a webhook that may be others for what closes an incident.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FormKeys {
    url: Option<String>,
    url_file: Option<PathBuf>,
    method: Option<String>,
    body: Option<Value>,
}

/// A receiver of webhooks.
pub(super) struct Sink {
    form: Form,
    on_close: Option<Box<Form>>,
    headers: HeaderMap<Template>,
    secrets: BTreeMap<String, PathBuf>,
    secret_file: Option<PathBuf>,
}

/// In which way something is sent.
struct Form {
    endpoint: Endpoint,
    method: Method,
    /// None is the `CloudEvent`.
    body: Option<Shape>,
}

impl Config {
    /// A webhook that gets `CloudEvents`.
    pub(super) fn cloud_events(url: String, secret_file: Option<PathBuf>) -> Self {
        Self {
            url: Some(url),
            secret_file,
            ..Self::default()
        }
    }
}

impl Sink {
    pub(super) fn new(config: Config, network: &Network) -> Result<Self, SinkError> {
        if let Some(path) = &config.secret_file {
            Secrets::read(path).map_err(|error| SinkError::new("secret-file", error))?;
        }
        let secrets = read_secrets(&config.secrets);
        let mut example = example_values();
        example["secret"] = json!(secrets.map_err(|error| SinkError::new("secrets", error))?);
        let headers = headers(&config.headers, &example)?;
        let keys = FormKeys {
            url: config.url,
            url_file: config.url_file,
            method: config.method,
            body: config.body,
        };
        let on_close = config.on_close.map(|others| {
            let form = Form::new(others.or(&keys), &example, network);
            form.map_err(|error| SinkError::new("on-close", error))
        });
        let form = Form::new(keys, &example, network)?;
        Ok(Self {
            form,
            on_close: on_close.transpose()?.map(Box::new),
            headers,
            secrets: config.secrets,
            secret_file: config.secret_file,
        })
    }

    pub(super) async fn deliver(
        &self,
        what: Notification<'_>,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        let event = what.single().map(|stored| &stored.event);
        let closes = event.and_then(FleetEvent::incident) == Some(IncidentChange::Closes);
        let form = self.on_close.as_deref().filter(|_| closes);
        let form = form.unwrap_or(&self.form);
        let (id, mut values) = (what.id(), what.values());
        let shape = form.body.clone();
        let is_cloud_event = shape.is_none() && form.method != Method::GET;
        let cloud_event = is_cloud_event.then(|| what.cloud_event().to_string());
        let (method, headers) = (form.method.clone(), self.headers.clone());
        let (secrets, secret_file) = (self.secrets.clone(), self.secret_file.clone());
        let write = move || {
            let secrets = read_secrets(&secrets)?;
            values["secret"] = json!(secrets);
            let filled = shape.map(|shape| shape.fill(&values).unwrap_or_default().to_string());
            let media_type = match (&filled, &cloud_event) {
                (Some(_), _) => "application/json",
                (None, Some(_)) => "application/cloudevents+json; charset=utf-8",
                (None, None) => "",
            };
            let body = filled.or(cloud_event).unwrap_or_default();
            let time = now.as_second();
            let mut all = vec![
                (CONTENT_TYPE, media_type.to_owned()),
                (ID, id.clone()),
                (TIMESTAMP, time.to_string()),
            ];
            if let Some(path) = secret_file {
                let signatures = Secrets::read(&path)?.sign(&id, time, body.as_bytes());
                all.push((SIGNATURE, signatures));
            }
            let own = headers.iter().map(|(name, template)| {
                let value = template.text(&values, one_line);
                (name.clone(), value)
            });
            let mut headers = HeaderMap::new();
            for (name, value) in all.into_iter().chain(own) {
                let value = HeaderValue::from_bytes(value.trim().as_bytes());
                let value = value.map_err(|_| format!("no header can carry the {name}"))?;
                // Of what is missing, nothing is left.
                if !value.is_empty() {
                    headers.insert(name, value);
                }
            }
            Ok(Request {
                method,
                headers,
                body,
                values,
                secrets: secrets.into_values().collect(),
            })
        };
        form.endpoint.send(now, write).await
    }
}

impl FormKeys {
    /// These keys and, where one is not there, that of another form.
    fn or(self, other: &Self) -> Self {
        let (url, url_file) = match (self.url, self.url_file) {
            (None, None) => (other.url.clone(), other.url_file.clone()),
            own => own,
        };
        Self {
            url,
            url_file,
            method: self.method.or_else(|| other.method.clone()),
            body: self.body.or_else(|| other.body.clone()),
        }
    }
}

impl Form {
    fn new(keys: FormKeys, example: &Value, network: &Network) -> Result<Self, SinkError> {
        let form = Self {
            endpoint: Endpoint::new(keys.url, keys.url_file, example, network)?,
            method: method(keys.method.as_deref().unwrap_or("POST"))?,
            body: body(keys.body, example)?,
        };
        if form.method == Method::GET && form.body.is_some() {
            return Err(SinkError::new("method", "a GET has no body"));
        }
        Ok(form)
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "webhook to {}", self.form.endpoint)
    }
}

/// Reads the secrets that templates can use.
fn read_secrets(files: &BTreeMap<String, PathBuf>) -> Result<BTreeMap<String, String>, String> {
    let files = files.iter();
    let read = files.map(|(name, path)| match read_text(path)?.trim() {
        "" => Err(format!("{} is empty", path.display())),
        secret => Ok((name.clone(), secret.to_owned())),
    });
    read.collect()
}

fn headers(
    texts: &BTreeMap<String, String>,
    example: &Value,
) -> Result<HeaderMap<Template>, SinkError> {
    let mut headers = HeaderMap::default();
    for (name, text) in texts {
        let problem =
            |why: &dyn fmt::Display| SinkError::new("headers", format!("{name:?}: {why}"));
        let parsed = HeaderName::from_bytes(name.as_bytes());
        let parsed = parsed.map_err(|_| problem(&"no header can have this name"))?;
        if OWN_HEADERS.contains(&parsed.as_str()) {
            return Err(problem(&"it is set without you"));
        }
        if headers.contains_key(&parsed) {
            return Err(problem(&"it is there twice"));
        }
        let template = Template::parse(text).map_err(|error| problem(&error))?;
        template.check(example).map_err(|error| problem(&error))?;
        let filled = HeaderValue::from_str(&template.text(example, one_line));
        filled.map_err(|_| problem(&"no header can hold a line break, or what is not ASCII"))?;
        headers.insert(parsed, template);
    }
    Ok(headers)
}

fn body(json: Option<Value>, example: &Value) -> Result<Option<Shape>, SinkError> {
    let Some(json) = json else { return Ok(None) };
    let problem = |why: &dyn fmt::Display| SinkError::new("body", why);
    if !(json.is_object() || json.is_array()) {
        let why = "it has to be a table, which becomes JSON that no value can break: \
                   body = { text = \"{{title}}\" }";
        return Err(problem(&why));
    }
    check_json(&json).map_err(|why| problem(&why))?;
    let shape = Shape::parse(json).map_err(|error| problem(&error))?;
    shape.check(example).map_err(|error| problem(&error))?;
    Ok(Some(shape))
}

/// Finds what TOML has and JSON does not.
fn check_json(value: &Value) -> Result<(), &'static str> {
    match value {
        Value::Null => Err("JSON has no inf and no nan"),
        Value::Array(values) => values.iter().try_for_each(check_json),
        // That is how a date of TOML is read.
        Value::Object(values) if values.contains_key("$__toml_private_datetime") => {
            Err("JSON has no dates: one needs quotes")
        }
        Value::Object(values) => values.values().try_for_each(check_json),
        _ => Ok(()),
    }
}
