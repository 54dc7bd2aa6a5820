//! The Model Context Protocol without its transport: what a line asks for, and how answers are written.
//!
//! Both of its eras are spoken: requests that carry their version (2026-07-28), and those after a
//! handshake. Nothing is remembered of one request for the next.

use serde_json::{Map, Value, json};

/// The version that is carried by each request.
const MODERN: &str = "2026-07-28";
/// Those that a handshake agrees on, the latest first. 2025-03-26 is not among them: it asks for batches.
const BY_HANDSHAKE: [&str; 3] = ["2025-11-25", "2025-06-18", "2024-11-05"];

// What a request's metadata, and that of a result, is called.
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
const SERVER_KEY: &str = "io.modelcontextprotocol/serverInfo";

// JSON-RPC's error codes, and one of the protocol's own.
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const UNSUPPORTED_VERSION: i32 = -32022;

/// What the server is and can do.
pub(crate) struct Server {
    pub(crate) version: &'static str,
    /// What an agent should know before it calls anything.
    pub(crate) instructions: &'static str,
    /// Their definitions, as `tools/list` gives them.
    pub(crate) tools: Value,
}

/// What a line of the client's asks for.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub(crate) enum Incoming {
    /// This answer, at once.
    Answer(Value),
    Call(Call),
    /// The end of the call with this id; nobody waits for its answer any more.
    Cancel(Value),
    Nothing,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: Value,
    pub(crate) tool: String,
    pub(crate) arguments: Value,
    /// What names the call in notifications of its progress, if those are wanted.
    pub(crate) progress_token: Option<Value>,
}

impl Server {
    /// What a line of the client's asks for.
    pub(crate) fn incoming(&self, line: &[u8]) -> Incoming {
        if line.trim_ascii().is_empty() {
            return Incoming::Nothing;
        }
        let message = match serde_json::from_slice(line) {
            Ok(Value::Object(message)) => message,
            Ok(_) => {
                return refuse(
                    &Value::Null,
                    INVALID_REQUEST,
                    "a message is one JSON object",
                );
            }
            Err(error) => {
                let why = format!("the line is not JSON: {error}");
                return refuse(&Value::Null, PARSE_ERROR, &why);
            }
        };
        let id = message.get("id").cloned();
        let valid_id = id.as_ref().filter(|id| is_id(id));
        let Some(method) = message.get("method").and_then(Value::as_str) else {
            // An answer, to a question that was never asked.
            if message.contains_key("result") || message.contains_key("error") {
                return Incoming::Nothing;
            }
            let id = valid_id.unwrap_or(&Value::Null);
            return refuse(id, INVALID_REQUEST, "the message has no method");
        };
        let params = message.get("params").cloned().unwrap_or_else(|| json!({}));
        match (id.is_some(), valid_id) {
            (false, _) => notification(method, &params),
            (true, None) => refuse(
                &Value::Null,
                INVALID_REQUEST,
                "the id of a request is a text or an integer",
            ),
            (true, Some(id)) if message.get("jsonrpc") != Some(&json!("2.0")) => {
                refuse(id, INVALID_REQUEST, "jsonrpc must be \"2.0\"")
            }
            (true, Some(id)) => self.request(id, method, &params),
        }
    }

    fn request(&self, id: &Value, method: &str, params: &Value) -> Incoming {
        let Some(params) = params.as_object() else {
            return refuse(id, INVALID_PARAMS, "params must be an object");
        };
        let meta = params.get("_meta");
        let of_meta = |key: &str| meta.and_then(|meta| meta.get(key));
        // A handshake has its version among the parameters.
        let version = of_meta(VERSION_KEY).filter(|_| method != "initialize");
        match version {
            Some(Value::String(version)) if version == MODERN => {
                if !of_meta(CAPABILITIES_KEY).is_some_and(Value::is_object) {
                    let why = format!("_meta must have {CAPABILITIES_KEY}");
                    return refuse(id, INVALID_PARAMS, &why);
                }
            }
            Some(Value::String(version)) => {
                let data = json!({"supported": supported(), "requested": version});
                let mut answer = error(id, UNSUPPORTED_VERSION, "unsupported protocol version");
                answer["error"]["data"] = data;
                return Incoming::Answer(answer);
            }
            None if method != "server/discover" => {}
            Some(_) | None => {
                return refuse(
                    id,
                    INVALID_PARAMS,
                    &format!("_meta must have {VERSION_KEY}"),
                );
            }
        }
        match method {
            "initialize" => self.answer(id, self.handshake(params)),
            "server/discover" => {
                let lasting = json!({"supportedVersions": supported(), "ttlMs": 3_600_000, "cacheScope": "public"});
                self.answer(id, merge(self.description(), lasting))
            }
            "ping" => self.answer(id, json!({})),
            "tools/list" => {
                let list = json!({"tools": self.tools, "ttlMs": 3_600_000, "cacheScope": "public"});
                self.answer(id, list)
            }
            "tools/call" => self.call(id, params, of_meta("progressToken")),
            _ => {
                let why = format!("there is no method {:?}", shortened(method));
                refuse(id, METHOD_NOT_FOUND, &why)
            }
        }
    }

    fn call(&self, id: &Value, params: &Map<String, Value>, token: Option<&Value>) -> Incoming {
        let Some(tool) = params.get("name").and_then(Value::as_str) else {
            return refuse(id, INVALID_PARAMS, "name must be the name of a tool");
        };
        let mut known = self.tools.as_array().into_iter().flatten();
        if !known.any(|it| it["name"] == tool) {
            let why = format!("there is no tool {:?}", shortened(tool));
            return refuse(id, INVALID_PARAMS, &why);
        }
        let arguments = match params.get("arguments") {
            None | Some(Value::Null) => json!({}),
            Some(arguments) if arguments.is_object() => arguments.clone(),
            Some(_) => return refuse(id, INVALID_PARAMS, "arguments must be an object"),
        };
        Incoming::Call(Call {
            id: id.clone(),
            tool: tool.to_owned(),
            arguments,
            progress_token: token.filter(|token| is_id(token)).cloned(),
        })
    }

    /// The version that is asked for, if it is known, else the latest before it, or else the latest of all.
    fn handshake(&self, params: &Map<String, Value>) -> Value {
        let asked = params.get("protocolVersion").and_then(Value::as_str);
        let mut known = BY_HANDSHAKE.into_iter();
        let known = asked.and_then(|asked| known.find(|it| *it <= asked));
        let version = known.unwrap_or(BY_HANDSHAKE[0]);
        let agreed = json!({"protocolVersion": version, "serverInfo": self.info()});
        merge(self.description(), agreed)
    }

    fn description(&self) -> Value {
        json!({"capabilities": {"tools": {}}, "instructions": self.instructions})
    }

    fn info(&self) -> Value {
        json!({"name": "pipecat-rollout", "version": self.version})
    }

    fn answer(&self, id: &Value, result: Value) -> Incoming {
        Incoming::Answer(self.result(id, result))
    }

    /// The answer to a request. What only one of the eras asks for, the other passes over.
    fn result(&self, id: &Value, result: Value) -> Value {
        let common = json!({"resultType": "complete", "_meta": {SERVER_KEY: self.info()}});
        json!({"jsonrpc": "2.0", "id": id, "result": merge(result, common)})
    }

    /// The answer to a call: a text, and the same for programs.
    pub(crate) fn called(&self, id: &Value, text: &str, structured: &Value) -> Value {
        let content = json!([{"type": "text", "text": text}]);
        let result = json!({"content": content, "structuredContent": structured, "isError": false});
        self.result(id, result)
    }

    /// The answer to a call that cannot be carried out, in words that help to make another.
    pub(crate) fn not_called(&self, id: &Value, why: &str) -> Value {
        let content = json!([{"type": "text", "text": why}]);
        self.result(id, json!({"content": content, "isError": true}))
    }
}

/// The notification that a call has come so far.
pub(crate) fn progress(token: &Value, seconds: f64, total: f64, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {
        "progressToken": token,
        "progress": seconds,
        "total": total,
        "message": message,
    }})
}

/// The answer to a request that cannot be one.
pub(crate) fn invalid_request(id: &Value, why: &str) -> Value {
    error(id, INVALID_REQUEST, why)
}

fn notification(method: &str, params: &Value) -> Incoming {
    match (method, params.get("requestId")) {
        ("notifications/cancelled", Some(id)) if is_id(id) => Incoming::Cancel(id.clone()),
        _ => Incoming::Nothing,
    }
}

fn refuse(id: &Value, code: i32, why: &str) -> Incoming {
    Incoming::Answer(error(id, code, why))
}

fn error(id: &Value, code: i32, why: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": why}})
}

fn is_id(value: &Value) -> bool {
    value.is_string() || value.is_i64() || value.is_u64()
}

fn supported() -> Vec<&'static str> {
    std::iter::once(MODERN).chain(BY_HANDSHAKE).collect()
}

fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}

/// Two objects as one.
fn merge(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

#[cfg(test)]
mod tests;
