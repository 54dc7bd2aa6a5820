"""Waits for a Pipecat Cloud deployment and tells whether it really rolled out.

    from pipecat_rollout import Failed, run

    try:
        report = run("my-agent", ["pipecat", "cloud", "deploy", "--yes"], timeout="15m")
    except Failed as failure:
        print(failure.report.worst.reason)

`wait_for_ready` blocks until the verdict, `run` does so around a deploy command, and `status` checks once. Each
returns a `Report`. The first two raise a `NotReady` for every other verdict than ready, one class for each.

They run the program `pipecat-rollout` of this package. In asyncio, call them by `asyncio.to_thread`.
"""

from ._commands import Options, RunOptions, WaitOptions, run, status, wait_for_ready
from ._errors import (
    CommandFailed,
    Failed,
    Infrastructure,
    Interrupted,
    NotFound,
    NotReady,
    ProgramError,
    RolloutError,
    Stalled,
    Superseded,
    TimedOut,
    Unauthorized,
    Unavailable,
    Unchanged,
    UsageError,
)
from ._program import find_program
from ._report import AgentReport, AgentWarning, Command, Phase, Reason, Report, Revision

__all__ = [
    "AgentReport",
    "AgentWarning",
    "Command",
    "CommandFailed",
    "Failed",
    "Infrastructure",
    "Interrupted",
    "NotFound",
    "NotReady",
    "Options",
    "Phase",
    "ProgramError",
    "Reason",
    "Report",
    "Revision",
    "RolloutError",
    "RunOptions",
    "Stalled",
    "Superseded",
    "TimedOut",
    "Unauthorized",
    "Unavailable",
    "Unchanged",
    "UsageError",
    "WaitOptions",
    "find_program",
    "run",
    "status",
    "wait_for_ready",
]
