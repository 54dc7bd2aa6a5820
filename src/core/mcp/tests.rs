use super::*;

fn server() -> Server {
    Server {
        version: "1.2.3",
        instructions: "Only `ready` is success.",
        tools: json!([{"name": "status"}]),
    }
}

fn incoming(message: &Value) -> Incoming {
    server().incoming(message.to_string().as_bytes())
}

fn request(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

/// The result of a request that is answered at once.
fn result(method: &str, params: &Value) -> Value {
    match incoming(&request(method, params)) {
        Incoming::Answer(answer) => {
            assert_eq!(
                (&answer["jsonrpc"], &answer["id"]),
                (&json!("2.0"), &json!(7))
            );
            assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
            answer["result"].clone()
        }
        other => panic!("{other:?}"),
    }
}

/// The id and the code of a refusal.
fn refused(line: &[u8]) -> (Value, i64) {
    match server().incoming(line) {
        Incoming::Answer(answer) => {
            let code = answer["error"]["code"].as_i64();
            let code = code.unwrap_or_else(|| panic!("{answer}"));
            (answer["id"].clone(), code)
        }
        other => panic!("{other:?}"),
    }
}

/// What a request of the era without a handshake carries.
fn modern(version: &str) -> Value {
    json!({"_meta": {VERSION_KEY: version, CAPABILITIES_KEY: {}}})
}

#[test]
fn a_handshake_agrees_on_the_version_that_is_asked_for_or_one_before() {
    for version in BY_HANDSHAKE {
        let result = result("initialize", &json!({"protocolVersion": version}));
        assert_eq!(result["protocolVersion"], version);
        assert_eq!(result["capabilities"], json!({"tools": {}}));
        assert_eq!(result["serverInfo"]["version"], "1.2.3");
        assert_eq!(result["instructions"], "Only `ready` is success.");
    }
    for (other, agreed) in [
        (json!("2026-07-28"), BY_HANDSHAKE[0]),
        (json!("2025-03-26"), "2024-11-05"),
        (json!("1900-01-01"), BY_HANDSHAKE[0]),
        (json!(1), BY_HANDSHAKE[0]),
        (Value::Null, BY_HANDSHAKE[0]),
    ] {
        let result = result("initialize", &json!({"protocolVersion": other}));
        assert_eq!(result["protocolVersion"], agreed, "{other}");
    }
}

#[test]
fn without_a_handshake_each_request_carries_its_version() {
    let found = result("server/discover", &modern(MODERN));
    assert_eq!(found["supportedVersions"][0], MODERN);
    assert_eq!(found["_meta"][SERVER_KEY]["name"], "pipecat-rollout");
    assert_eq!(
        result("tools/list", &modern(MODERN))["tools"],
        server().tools
    );
    let unsupported = request("tools/list", &modern("1900-01-01"));
    let Incoming::Answer(answer) = incoming(&unsupported) else {
        panic!("no answer");
    };
    assert_eq!(answer["error"]["code"], UNSUPPORTED_VERSION);
    assert_eq!(answer["error"]["data"]["requested"], "1900-01-01");
    assert_eq!(answer["error"]["data"]["supported"], json!(supported()));
    for meta in [
        json!({VERSION_KEY: MODERN}),
        json!({VERSION_KEY: MODERN, CAPABILITIES_KEY: 1}),
        json!({VERSION_KEY: 1, CAPABILITIES_KEY: {}}),
    ] {
        let request = request("tools/list", &json!({"_meta": meta}));
        let refused = refused(request.to_string().as_bytes());
        assert_eq!(refused, (json!(7), i64::from(INVALID_PARAMS)), "{meta}");
    }
}

#[test]
fn a_call_has_a_known_tool_and_arguments_and_perhaps_a_token() {
    let call = |params: Value| incoming(&request("tools/call", &params));
    let plain = Call {
        id: json!(7),
        tool: "status".to_owned(),
        arguments: json!({}),
        progress_token: None,
    };
    assert_eq!(
        call(json!({"name": "status"})),
        Incoming::Call(plain.clone())
    );
    for (token, taken) in [
        (json!("t"), true),
        (json!(3), true),
        (json!(1.5), false),
        (json!({}), false),
    ] {
        let asked = call(json!({
            "name": "status",
            "arguments": {"agent": "a"},
            "_meta": {"progressToken": token},
        }));
        let expected = Call {
            arguments: json!({"agent": "a"}),
            progress_token: taken.then_some(token),
            ..plain.clone()
        };
        assert_eq!(asked, Incoming::Call(expected));
    }
    for params in [
        json!({}),
        json!({"name": 1}),
        json!({"name": "deploy"}),
        json!({"name": "status", "arguments": [1]}),
        json!([1]),
    ] {
        let line = request("tools/call", &params).to_string();
        assert_eq!(
            refused(line.as_bytes()),
            (json!(7), i64::from(INVALID_PARAMS)),
            "{params}"
        );
    }
}

#[test]
fn notifications_are_never_answered_and_only_cancellation_means_something() {
    let notify = |method: &str, params: Value| {
        incoming(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
    };
    for id in [json!(7), json!("seven")] {
        let cancelled = notify("notifications/cancelled", json!({"requestId": id}));
        assert_eq!(cancelled, Incoming::Cancel(id));
    }
    for (method, params) in [
        ("notifications/initialized", json!({})),
        ("notifications/cancelled", json!({})),
        ("notifications/cancelled", json!({"requestId": [1]})),
        ("notifications/cancelled", json!(1)),
        ("tools/call", json!({"name": "status"})),
    ] {
        assert_eq!(notify(method, params), Incoming::Nothing, "{method}");
    }
    // An answer, to a question that was never asked.
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    assert_eq!(incoming(&answer), Incoming::Nothing);
}

#[test]
fn what_is_no_message_is_refused_with_the_code_for_it() {
    let null = Value::Null;
    for (line, id, code) in [
        (&b"{"[..], &null, PARSE_ERROR),
        (b"\xff\xfe", &null, PARSE_ERROR),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1} trailing",
            &null,
            PARSE_ERROR,
        ),
        (b"[]", &null, INVALID_REQUEST),
        (
            b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]",
            &null,
            INVALID_REQUEST,
        ),
        (b"1", &null, INVALID_REQUEST),
        (b"{}", &null, INVALID_REQUEST),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1}",
            &json!(1),
            INVALID_REQUEST,
        ),
        (
            b"{\"id\":1,\"method\":\"ping\"}",
            &json!(1),
            INVALID_REQUEST,
        ),
        (
            b"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}",
            &json!(1),
            INVALID_REQUEST,
        ),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}",
            &null,
            INVALID_REQUEST,
        ),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}",
            &null,
            INVALID_REQUEST,
        ),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/list\"}",
            &json!(1),
            METHOD_NOT_FOUND,
        ),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\"}",
            &json!(1),
            INVALID_PARAMS,
        ),
    ] {
        let shown = String::from_utf8_lossy(line);
        assert_eq!(refused(line), (id.clone(), i64::from(code)), "{shown}");
    }
    let deep = "[".repeat(10_000);
    assert_eq!(refused(deep.as_bytes()).1, i64::from(PARSE_ERROR));
    assert_eq!(server().incoming(b" \r\n"), Incoming::Nothing);
    assert_eq!(result("ping", &json!({})).get("content"), None);
}
