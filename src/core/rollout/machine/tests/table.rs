//! The one table: what a steady answer comes to, for every kind of answer there is.
//!
//! - `recon`: whether the target is the reconciled deployment.
//! - `revision`: the current one is none (`-`), another deployment's in phase Failed (`o`), or the
//!   target's own: Creating, Validating, Active, Draining, Failed (their initials), unknown (`?`), or
//!   in phase Failed and without the id of a deployment (`f`).
//! - `issue`: whether the current revision has an infrastructure issue.
//! - The columns: the health of the current revision, namely none, running, a crash loop below and at
//!   the limit, a restart each second, an image that does not come, one that the registry asks to pull
//!   later, a description that is wrong, an unknown reason; and without a health: `errors` and the
//!   condition `Degraded`, each new and as it was before the target.
//! - A cell: the verdict, and the second in which it falls with a poll each second from when the target
//!   shows, the default limits and a timeout of 90 s. Rows that are equal are one.

use super::*;

const TABLE: &str = "
recon revision ready issue no health running   crash 2   crash 3   climbing  no image  later     wrong     unknown   errors    old ones  degraded  before
yes   -oCVAD?  yes   any   ready 0   ready 0   ready 0   ready 0   ready 0   ready 0   ready 0   ready 0   ready 0   ready 0   ready 0   ready 0   ready 0
yes   -o       no    any   time 90   time 90   time 90   time 90   time 90   time 90   time 90   time 90   time 90   failed 1  failed 20 failed 20 time 90
yes   CVAD?    no    no    time 90   time 90   time 90   failed 0  failed 3  failed 20 failed 60 failed 5  time 90   failed 1  failed 20 failed 20 time 90
yes   CVAD?    no    yes   infra 90  infra 90  infra 90  infra 90  infra 90  infra 90  infra 90  infra 90  infra 90  infra 1   infra 20  infra 90  infra 90
yes   Ff       yes   no    failed 5  failed 5  failed 5  failed 5  failed 5  failed 5  failed 5  failed 5  failed 5  failed 5  failed 5  failed 5  failed 5
yes   Ff       yes   yes   infra 5   infra 5   infra 5   infra 5   infra 5   infra 5   infra 5   infra 5   infra 5   infra 5   infra 5   infra 5   infra 5
yes   Ff       no    no    failed 0  failed 0  failed 0  failed 0  failed 0  failed 0  failed 0  failed 0  failed 0  failed 0  failed 0  failed 0  failed 0
yes   Ff       no    yes   infra 0   infra 0   infra 0   infra 0   infra 0   infra 0   infra 0   infra 0   infra 0   infra 0   infra 0   infra 0   infra 0
no    any      any   any   time 90   time 90   time 90   time 90   time 90   time 90   time 90   time 90   time 90   failed 1  time 90   time 90   time 90
";

const AXES: [(&str, &[&str]); 4] = [
    ("recon", &["yes", "no"]),
    ("revision", &["-", "o", "C", "V", "A", "D", "F", "?", "f"]),
    ("ready", &["yes", "no"]),
    ("issue", &["no", "yes"]),
];

const COLUMNS: [(&str, &str); 13] = [
    ("no health", ""),
    ("running", "run*0"),
    ("crash 2", "CrashLoopBackOff*2"),
    ("crash 3", "CrashLoopBackOff*3"),
    ("climbing", "Shiny*{n}"),
    ("no image", "ImagePullBackOff*0"),
    ("later", "ErrImagePull*0 says=429"),
    ("wrong", "InvalidImageName*0"),
    ("unknown", "Shiny*9"),
    ("errors", "err=PCC_X"),
    ("old ones", "err=PCC_OLD"),
    ("degraded", "degraded=New"),
    ("before", "degraded=Old"),
];

type Key = [Vec<&'static str>; 4];
type Row = (Key, Vec<String>);

#[test]
fn a_steady_answer_comes_to_what_the_table_says() {
    let mut rows: Vec<Row> = Vec::new();
    for key in keys() {
        let cells = COLUMNS.map(|(_, problem)| cell(key, problem));
        rows.push((key.map(|word| vec![word]), cells.to_vec()));
    }
    for axis in [3, 1, 2, 0] {
        rows = merged(rows, axis);
    }
    let header = (
        AXES.map(|(name, _)| vec![name]),
        COLUMNS.map(|(name, _)| name.to_owned()).to_vec(),
    );
    let table: Vec<String> = [header].iter().chain(&rows).map(line).collect();
    let table = table.join("\n");
    assert!(
        table == TABLE.trim(),
        "expected:\n{}\n\nfound:\n{table}\n",
        TABLE.trim()
    );
}

fn keys() -> impl Iterator<Item = [&'static str; 4]> {
    let [recon, revision, ready, issue] = AXES.map(|(_, words)| words.iter().copied());
    recon.flat_map(move |recon| {
        let (ready, issue) = (ready.clone(), issue.clone());
        revision.clone().flat_map(move |revision| {
            let issue = issue.clone();
            ready.clone().flat_map(move |ready| {
                let issues = issue.clone();
                issues.map(move |issue| [recon, revision, ready, issue])
            })
        })
    })
}

/// The verdict, and how many seconds after the target has shown it falls.
fn cell([recon, revision, ready, issue]: [&str; 4], problem: &str) -> String {
    let phase = match revision {
        "-" => "",
        "o" => "old:Failed",
        "C" => "Creating",
        "V" => "Validating",
        "A" => "Active",
        "D" => "Draining",
        "F" => "Failed",
        "f" => ":Failed",
        _ => "Odd",
    };
    // Without a revision there is nothing that could fare ill.
    let no_revision = revision == "-" && problem.contains('*');
    let words = [
        if recon == "yes" { "new/new" } else { "new/old" },
        if ready == "yes" { "ready" } else { "" },
        if issue == "yes" && revision != "-" {
            "issue"
        } else {
            ""
        },
        if no_revision { "" } else { problem },
    ];
    let answer = format!("{} {phase} {} c900", words[0], words[1..].join(" "));
    let mut watch = watch("not old@500, timeout 91");
    watch.play("0 old/old ready c500 err=PCC_OLD degraded=Old");
    for second in 1.. {
        let answer = answer.replace("{n}", &second.to_string());
        if let Some(verdict) = watch.play(&format!("{second} {answer}")).verdict() {
            let word = match verdict {
                Verdict::Infrastructure => "infra",
                Verdict::Timeout => "time",
                verdict => verdict.as_str(),
            };
            return format!("{word} {}", second - 1);
        }
    }
    unreachable!("every watch ends")
}

fn line((key, cells): &Row) -> String {
    let words = AXES.iter().zip(key).map(|((_, all), words)| {
        if words.len() == all.len() && words.len() > 1 {
            "any".to_owned()
        } else {
            words.concat()
        }
    });
    let [recon, revision, ready, issue] = words.collect::<Vec<_>>().try_into().unwrap();
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:<9}")).collect();
    let line = format!(
        "{recon:<5} {revision:<8} {ready:<5} {issue:<5} {}",
        cells.join(" ")
    );
    line.trim_end().to_owned()
}

/// Rows that differ along this axis alone become one.
fn merged(rows: Vec<Row>, axis: usize) -> Vec<Row> {
    let mut merged: Vec<Row> = Vec::new();
    for (key, cells) in rows {
        let same = merged.iter_mut().find(|(other, others)| {
            let equal = |i: usize| i == axis || other[i] == key[i];
            *others == cells && (0..4).all(equal)
        });
        match same {
            Some((other, _)) => other[axis].extend(&key[axis]),
            None => merged.push((key, cells)),
        }
    }
    merged
}
