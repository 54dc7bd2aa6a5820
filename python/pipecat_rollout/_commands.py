"""The commands as functions."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Union

from ._errors import ProgramError, UsageError, not_ready
from ._program import find_program
from ._report import Report

if TYPE_CHECKING:
    from typing_extensions import Unpack

Duration = Union[int, str, timedelta]
"""Seconds, a text such as `1h 30m`, or a timedelta."""
File = Union[str, "os.PathLike[str]"]


class Options(TypedDict, total=False):
    """What every function takes: the switches of the program, and the key."""

    api_key: str
    """A private API key or a token. Without it, the program looks for one where it always does."""
    api_key_file: File
    api_url: str
    allow_insecure_http: bool
    ca_file: File
    config_file: File
    dotenv: File
    junit: File
    logs: int
    max_restarts: int
    max_rps: int
    progress: Literal["auto", "tty", "plain", "github", "gitlab", "json", "none"]
    """How progress is shown on stderr; `none` by default."""
    report_file: File
    simulate: str
    speed: int


class FollowOptions(Options, total=False):
    """What both functions take that follow a rollout to its end."""

    appear_timeout: Duration
    if_unchanged: Literal["fail", "accept"]
    otlp_endpoint: str
    outage_timeout: Duration
    poll_interval: Duration
    pull_grace: Duration
    require_new_revision: bool
    smoke: bool
    smoke_body: File
    smoke_key_file: File
    smoke_timeout: Duration
    stable_for: Duration
    stall_timeout: Duration
    timeout: Duration
    until: Literal["ready", "warm", "drained"]


class RunOptions(FollowOptions, total=False):
    """What `run` takes."""

    let_command_finish: bool


class WaitOptions(FollowOptions, total=False):
    """What `wait_for_ready` takes."""

    baseline: Report | File
    """The report of `status` from before the deploy, or its file."""
    commit: str
    deployment: str
    fail_fast: bool
    not_deployment: str


def wait_for_ready(*agents: str, **options: Unpack[WaitOptions]) -> Report:
    """Blocks until every agent is ready, and raises a `NotReady` where one is not.

    Without a name, `agent_name` of ./pcc-deploy.toml is meant. To judge the deployment that a deploy makes, and
    not the one from before, hand over what `status` returned before it: `baseline=before`.
    """
    report = _execute("wait-for-ready", options, agents, stdout=subprocess.DEVNULL)
    return _ready(report)


def run(agent: str, command: Sequence[str], **options: Unpack[RunOptions]) -> Report:
    """Runs a deploy command, follows what it deploys, and raises a `NotReady` where that is not ready.

    The command has this process's stdin, stdout and stderr.
    """
    return _ready(_execute("run", options, [agent, "--", *command], stdout=None))


def status(*agents: str, **options: Unpack[Options]) -> Report:
    """Checks once, and returns the report whatever the verdict is."""
    return _execute("status", options, agents, stdout=subprocess.DEVNULL)


def _ready(report: Report) -> Report:
    if report.is_ready:
        return report
    raise not_ready(report)


def _execute(command: str, options: Mapping[str, Any], arguments: Sequence[str], stdout: int | None) -> Report:
    """Runs the program and reads its report, which it writes on every ending."""
    given = {"progress": "none", **options}
    environment = dict(os.environ)
    key = given.pop("api_key", None)
    if key is not None:
        environment["PIPECAT_API_KEY"] = key
        environment.pop("PIPECAT_ROLLOUT_API_KEY_FILE", None)
    stdin = None
    if isinstance(given.get("baseline"), Report):
        stdin = json.dumps(given["baseline"].raw)
        given["baseline"] = "-"
    # A command writes to stderr as well; then it cannot be kept for the exception.
    keeps_errors = given["progress"] == "none" and command != "run"
    with tempfile.TemporaryDirectory(prefix="pipecat-rollout-") as folder:
        path = Path(given.setdefault("report_file", os.path.join(folder, "report.json")))
        words = [find_program(), command, *_switches(given)]
        words += arguments if command == "run" else ["--", *arguments]
        path.unlink(missing_ok=True)
        process = None
        try:
            process = subprocess.Popen(
                words,
                env=environment,
                stdin=None if stdin is None else subprocess.PIPE,
                stdout=stdout,
                stderr=subprocess.PIPE if keeps_errors else None,
                text=True,
            )
            _, errors = process.communicate(stdin)
        except BaseException:
            if process is not None:
                # It ends the deploy command, and its report is still written.
                process.terminate()
                process.communicate()
            raise
        code = process.returncode
        try:
            report = Report.from_json(json.loads(path.read_bytes()))
        except FileNotFoundError:
            report = None
    if report is not None and (code == 0 or report.exit_code == code):
        return report
    message = (errors or "").strip().removeprefix("error: ")
    if not message:
        message = f"pipecat-rollout {command} ended with {code}; stderr says why"
    raise (UsageError if code == 2 else ProgramError)(message)


def _switches(options: Mapping[str, Any]) -> list[str]:
    switches = []
    for name, value in options.items():
        switch = "--" + name.replace("_", "-")
        if value is True:
            switches.append(switch)
        elif isinstance(value, timedelta):
            switches.append(f"{switch}={round(value.total_seconds() * 1000)}ms")
        elif value is not None and value is not False:
            switches.append(f"{switch}={os.fspath(value) if isinstance(value, os.PathLike) else value}")
    return switches
