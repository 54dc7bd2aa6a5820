//! Which requests a fault strikes, and what it does to the answer.

use super::playing::ROLLOUT;
use super::*;
use crate::adapters::simulator::script::fault::Window;

#[test]
fn a_window_holds_at_its_times_and_requests_only() {
    let window = |text: &str| -> Window {
        let text = format!("{ROLLOUT}\n[[fault]]\nkind = \"hang\"\n{text}");
        Scenario::parse(&text).unwrap().faults[0].window.clone()
    };
    let second = |second: u64| Some(Duration::from_secs(second));
    let struck = |window: &Window, at| -> Vec<u64> {
        (1..=12)
            .filter(|request| window.strikes(at, *request))
            .collect()
    };
    let all: Vec<u64> = (1..=12).collect();
    let timed = window("from = \"2s\"\nuntil = \"4s\"");
    for (at, strikes) in [
        (None, false),
        (second(1), false),
        (second(2), true),
        (second(3), true),
        (second(4), false),
    ] {
        assert_eq!(timed.strikes(at, 1), strikes, "{at:?}");
    }
    for (text, before, after) in [
        ("", all.clone(), all.clone()),
        ("requests = \"3\"", vec![], vec![3]),
        ("requests = \"3..5\"", vec![], vec![3, 4, 5]),
        ("requests = \"10..\"", vec![], vec![10, 11, 12]),
        ("every = 5", vec![5, 10], vec![5, 10]),
        ("every = 3\nrequests = \"2..9\"", vec![], vec![2, 5, 8]),
        ("every = 3\nfrom = \"1s\"", vec![], vec![3, 6, 9, 12]),
    ] {
        let window = window(text);
        assert_eq!(struck(&window, None), before, "{text}");
        assert_eq!(struck(&window, second(7)), after, "{text}");
    }
}

#[test]
fn each_kind_of_fault_does_its_harm() {
    let reply = |fault: &str| {
        let mut play = play(&format!("{ROLLOUT}\n[[fault]]\n{fault}"));
        let _ = play.deploy(seconds(0.0));
        play.read(seconds(3.0))
    };
    let Reply::Whole(limited) = reply(
        "kind = \"status\"\nstatus = 429\nheaders = { Retry-After = \"{date+2s}\", X = \"{date}.\" }",
    ) else {
        panic!("no answer");
    };
    assert_eq!((limited.status, limited.body), (429, None));
    assert_eq!(
        limited.headers,
        [
            (
                "Retry-After".to_owned(),
                "Mon, 23 Nov 2026 12:00:05 GMT".to_owned()
            ),
            ("X".to_owned(), "Mon, 23 Nov 2026 12:00:03 GMT.".to_owned()),
        ]
    );
    let Reply::Whole(page) = reply("kind = \"html\"") else {
        panic!("no answer");
    };
    assert_eq!(
        (page.status, page.content_type),
        (200, "text/html; charset=utf-8")
    );
    let another = details(reply("kind = \"another-agent\""));
    assert_eq!(another["name"], "another-agent");
    assert_ne!(another["desiredDeploymentId"], id(1, "new"));
    assert_eq!(
        details(reply("kind = \"lag\"\nby = \"2s\""))["reconciledDeploymentId"],
        id(1, "old")
    );
    let before = details(reply("kind = \"lag\"\nby = \"3001ms\""));
    assert_eq!(before["desiredDeploymentId"], id(1, "old"));
    assert_eq!(before["updatedAt"], "2026-11-23T11:00:00.000Z");
    assert_eq!(reply("kind = \"hang\""), Reply::Hang);
    assert_eq!(reply("kind = \"huge-body\""), Reply::HugeBody);
    assert!(matches!(reply("kind = \"cut-body\""), Reply::CutBody(_)));
    assert!(matches!(reply("kind = \"slow-body\""), Reply::SlowBody(_)));
    assert!(matches!(
        reply("kind = \"reset\""),
        Reply::Reset(CutAfter::Nothing, _)
    ));
    let half = reply("kind = \"reset\"\nafter = \"half-head\"");
    assert!(matches!(half, Reply::Reset(CutAfter::HalfHead, _)));
}

#[test]
fn the_first_fault_that_strikes_is_the_one() {
    let mut play = play(&format!(
        "{ROLLOUT}\n[[fault]]\nrequests = \"2\"\nkind = \"hang\"\n[[fault]]\nkind = \"huge-body\""
    ));
    let replies = [1.0, 2.0, 3.0].map(|second| play.read(seconds(second)));
    assert_eq!(replies, [Reply::HugeBody, Reply::Hang, Reply::HugeBody]);
    // Requests are counted from the deploy on.
    let _ = play.deploy(seconds(4.0));
    let replies = [5.0, 6.0].map(|second| play.read(seconds(second)));
    assert_eq!(replies, [Reply::HugeBody, Reply::Hang]);
}
