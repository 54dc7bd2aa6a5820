//! The table of the verdict as text: what each indication needs, and what it comes to.

use std::fmt::Write as _;
use std::time::Duration;

use crate::core::rollout::indication::{Indication, Proof, StepBack};
use crate::core::rollout::policy::Limits;
use crate::core::rollout::problem::{Problem, ProblemClass};
use crate::core::rollout::shown::Needs;
use crate::core::text::short_duration;
use crate::core::wire::LatestDeploy;

/// The table in Markdown, under these limits.
fn table(limits: &Limits) -> String {
    let mut table =
        "| an answer indicates | it counts after | and then |\n|---|---|---|\n".to_owned();
    for indication in samples() {
        let needs = indication.needs(limits);
        let verdict = needs.and_then(|_| indication.verdict());
        let needs = needs.map_or("never".to_owned(), needs_text);
        let then = match verdict {
            Some(verdict) => format!("**{verdict}**"),
            None => then(&indication).to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| {} | {needs} | {then} |", describe(&indication));
    }
    table
}

fn needs_text(needs: Needs) -> String {
    match (needs.answers, needs.over) {
        (1, Duration::ZERO) => "1 answer".to_owned(),
        (answers, Duration::ZERO) => format!("{answers} answers in a row"),
        (1, over) => format!("answers that show it for {}", short_duration(over)),
        (answers, over) => format!("{answers} answers in a row, over {}", short_duration(over)),
    }
}

/// What an indication is, in the words of a user.
fn describe(indication: &Indication) -> &'static str {
    match indication {
        Indication::Baseline(_) => {
            "before the deploy of `run`: this deployment is desired, without dates, or none"
        }
        Indication::Target(_) => {
            "a deployment other than the baseline is desired; nothing proves that it is newer"
        }
        Indication::NotInView => "there is no agent, or the target is not the desired deployment",
        Indication::Absent => "there is no agent (404)",
        Indication::Ready => {
            "desired = reconciled = target, `ready` is true, and so is what `--until` asks for (for `--stable-for`)"
        }
        Indication::Contradiction => {
            "`ready` is true, and the target's revision has the phase Failed"
        }
        Indication::RevisionUnchanged { .. } => {
            "ready on another deployment's revision (with `--require-new-revision`)"
        }
        Indication::PhaseFailed => "the target's revision has the phase Failed",
        Indication::Problem(problem) => match problem.class {
            ProblemClass::Reported => "`errors` lists an error that is new, or names the target",
            ProblemClass::ReportedBefore => {
                "`errors` lists an error that was there before, and the target is reconciled (`--pull-grace`)"
            }
            ProblemClass::Unrecoverable => "InvalidImageName, ErrImageNeverPull",
            ProblemClass::Crashing => "`--max-restarts` restarts of each started replica were seen",
            ProblemClass::NotPulling if problem.asks_to_try_later() => {
                "the same, with a message that asks to try later (3 times `--pull-grace`)"
            }
            ProblemClass::NotPulling => {
                "ErrImagePull, ImagePullBackOff, CreateContainerError, RunContainerError, CreateContainerConfigError (`--pull-grace`)"
            }
            ProblemClass::Degraded => {
                "the condition `Degraded` is new, and the target's revision makes no progress (`--pull-grace`)"
            }
            ProblemClass::Unknown => "a reason that this program does not know",
        },
        Indication::PushFailed(_) => {
            "`latestDeploy`, which was to bring the target, failed or was cancelled, and there is no deployment"
        }
        Indication::Superseded {
            proof: Proof::Newer,
            ..
        } => "another deployment is desired, which was created later",
        Indication::Superseded {
            proof: Proof::None, ..
        } => "another deployment is desired, and nothing proves that it is newer (a roll-back)",
        Indication::Deleted => "the agent, seen before, does not exist (404)",
        Indication::Back => {
            "the target is desired again, after several unconfirmed answers in a row that it was not"
        }
        Indication::FewerRestarts => "the target has fewer restarts than were seen",
        Indication::StepBack(StepBack::Reconciled) => "the target, once reconciled, is not",
        Indication::StepBack(StepBack::Phase) => {
            "the target's revision is in an earlier phase, or gone"
        }
        Indication::Unmoved(_) => "nothing about the target has moved (`--stall-timeout`)",
        Indication::Unauthorized { .. } => {
            "401, or 403 without `Retry-After` (over 2 s before the API has ever answered)"
        }
        Indication::Refused { .. } => {
            "a redirect, another 4xx, an untrusted certificate (over 2 s before the API has ever answered)"
        }
    }
}

/// What comes of an indication that ends nothing by itself.
fn then(indication: &Indication) -> &'static str {
    match indication {
        Indication::Baseline(_) => "it is the baseline, and the command starts",
        Indication::Target(_) => "it is the target",
        Indication::NotInView => "**unchanged**, or **command-failed**, at `--appear-timeout`",
        Indication::Absent => "the row above is **not-found**",
        Indication::Back => "it can be **ready** or **stalled** again",
        Indication::FewerRestarts => "a replica was replaced: rises are counted from there",
        Indication::StepBack(_) => "it is believed, and what was seen before is void",
        _ => "it is shown",
    }
}

/// One indication of each kind, the worst first: of several that count, the first decides.
fn samples() -> Vec<Indication> {
    let id = String::new;
    let problem = |class, message: &str| {
        Indication::Problem(Problem {
            class,
            code: id(),
            message: Some(message.to_owned()),
        })
    };
    vec![
        Indication::PhaseFailed,
        Indication::Contradiction,
        problem(ProblemClass::Crashing, ""),
        problem(ProblemClass::Reported, ""),
        problem(ProblemClass::Unrecoverable, ""),
        problem(ProblemClass::NotPulling, ""),
        problem(ProblemClass::NotPulling, "timeout"),
        problem(ProblemClass::Degraded, ""),
        problem(ProblemClass::ReportedBefore, ""),
        Indication::RevisionUnchanged { running: id() },
        Indication::PushFailed(LatestDeploy::default()),
        Indication::Unmoved(Box::default()),
        Indication::Deleted,
        Indication::Superseded {
            by: id(),
            proof: Proof::Newer,
        },
        Indication::Superseded {
            by: id(),
            proof: Proof::None,
        },
        Indication::Unauthorized { first: false },
        Indication::Refused { first: false },
        Indication::Ready,
        problem(ProblemClass::Unknown, ""),
        Indication::NotInView,
        Indication::Absent,
        Indication::Target(id()),
        Indication::Baseline(None),
        Indication::Back,
        Indication::FewerRestarts,
        Indication::StepBack(StepBack::Reconciled),
        Indication::StepBack(StepBack::Phase),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::core::rollout::verdict::Verdict;

    #[test]
    fn every_indication_has_a_row_of_its_own() {
        let rows: BTreeSet<&str> = samples().iter().map(describe).collect();
        assert_eq!(rows.len(), samples().len());
        let kinds: BTreeSet<String> = samples()
            .iter()
            .map(|sample| {
                let debug = format!("{sample:?}");
                debug
                    .split([' ', '('])
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        // The match in `describe` names them all; a new one needs a sample, too.
        assert_eq!(kinds.len(), 18, "{kinds:?}");
    }

    #[test]
    fn the_worst_verdict_comes_first() {
        let limits = Limits::default();
        let ends = |sample: &Indication| sample.needs(&limits).and_then(|_| sample.verdict());
        let verdicts: Vec<Verdict> = samples().iter().filter_map(ends).collect();
        assert!(
            verdicts.is_sorted_by_key(|verdict| verdict.rank()),
            "{verdicts:?}"
        );
    }

    #[test]
    fn the_table_in_the_documents_is_the_one_in_the_code() {
        let limits = Limits {
            stall_timeout: Some(Duration::from_mins(5)),
            ..Limits::default()
        };
        let documented = include_str!("../../../../docs/verdicts.md");
        let table = table(&limits);
        assert!(
            documented.contains(&table),
            "docs/verdicts.md needs this table:\n\n{table}"
        );
    }
}
