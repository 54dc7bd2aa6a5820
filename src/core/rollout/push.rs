//! A deploy on a push to GitHub, for as long as there is no deployment yet: queued, built, failed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::policy::TargetRule;
use crate::core::wire::{AgentDetails, LatestDeploy};

/// The states of a deploy whose image is not there yet.
const EARLY: [&str; 3] = ["pending", "queued", "building"];

/// What answers have shown of deploys on a push.
#[derive(Debug, Clone, Default)]
pub(super) struct Pushes {
    /// Those that were there before the deploy command was started: none of them is its own.
    before_deploy: BTreeSet<String>,
    /// Those that were seen under way.
    seen_under_way: BTreeSet<String>,
    /// Whether the newest answer shows one under way that may bring the target.
    pub(super) is_under_way: bool,
    /// When an answer last showed that.
    pub(super) under_way_at: Option<Duration>,
}

impl Pushes {
    /// Takes in what an answer says of the latest one, where it may bring the target of this rule;
    /// gives it if it has failed.
    pub(super) fn see(
        &mut self,
        at: Duration,
        latest: Option<&LatestDeploy>,
        rule: &TargetRule,
    ) -> Option<LatestDeploy> {
        self.is_under_way = false;
        let deploy = latest?;
        let id = deploy.id.as_deref().unwrap_or_default();
        let named = match rule {
            TargetRule::Commit(sha) if !is_commit(deploy.commit_sha.as_deref(), sha) => {
                return None;
            }
            TargetRule::Commit(_) => true,
            TargetRule::NewerThan(_) | TargetRule::Deploy => false,
            TargetRule::Deployment(_) | TargetRule::FirstSeen | TargetRule::Pushed(_) => {
                return None;
            }
        };
        if self.before_deploy.contains(id) {
            return None;
        }
        if is_under_way(deploy) {
            self.is_under_way = true;
            self.under_way_at = Some(at);
            self.seen_under_way.insert(id.to_owned());
        }
        let has_failed = ["failed", "cancelled"].contains(&status(deploy));
        // One that is not named may have failed long ago.
        (has_failed && (named || self.seen_under_way.contains(id))).then(|| deploy.clone())
    }

    /// Takes in that an answer came before the deploy command was started.
    pub(super) fn note_before_deploy(&mut self, latest: Option<&LatestDeploy>) {
        let id = latest.and_then(|deploy| deploy.id.clone());
        self.before_deploy.extend(id);
    }
}

/// Whether the commit's image is not there yet, so that what is desired is another's.
pub(super) fn is_being_built(details: &AgentDetails, sha: &str) -> bool {
    let latest = deploy_of(details, sha);
    latest.is_some_and(|deploy| EARLY.contains(&status(deploy)))
}

/// Whether an answer shows that the desired deployment is the one of this commit. Where it does not name its
/// commit, it is what the latest deploy has brought. One that was desired while the commit was still being
/// built is no `is_new` one: it runs the commit only if that deploy is over, and the answer says so.
pub(super) fn runs_commit(details: &AgentDetails, sha: &str, is_new: bool) -> bool {
    let latest = deploy_of(details, sha);
    match (details.deployed_commit.as_deref(), latest) {
        (Some(deployed), latest) => {
            is_commit(Some(deployed), sha) && (is_new || !latest.is_some_and(is_under_way))
        }
        (None, latest) => is_new && latest.is_some_and(|deploy| status(deploy) == "succeeded"),
    }
}

/// The latest deploy, if it is this commit's.
fn deploy_of<'a>(details: &'a AgentDetails, sha: &str) -> Option<&'a LatestDeploy> {
    let latest = details.latest_deploy.as_ref();
    latest.filter(|deploy| is_commit(deploy.commit_sha.as_deref(), sha))
}

fn is_under_way(deploy: &LatestDeploy) -> bool {
    EARLY.contains(&status(deploy)) || status(deploy) == "deploying"
}

fn status(deploy: &LatestDeploy) -> &str {
    deploy.status.as_deref().unwrap_or_default()
}

/// Whether this is the commit that is meant, which may be given by its first characters.
fn is_commit(found: Option<&str>, sha: &str) -> bool {
    found.is_some_and(|found| found.to_ascii_lowercase().starts_with(sha))
}
