"""An exception for each way not to be ready."""

from __future__ import annotations

from ._report import Report


class RolloutError(Exception):
    """Whatever this package raises by itself."""


class UsageError(RolloutError):
    """Wrong options, configuration, key or agent name: exit code 2."""


class ProgramError(RolloutError):
    """The program failed, or could not write a result: exit code 1."""


class NotReady(RolloutError):
    """The verdict is not ready. `report` says why."""

    def __init__(self, report: Report) -> None:
        self.report = report
        worst = report.worst
        reason = f": {worst.reason.summary}" if worst.reason else ""
        super().__init__(f"{worst.agent}: {worst.verdict}{reason}")


class Unauthorized(NotReady):
    """The API refused the key: exit code 3."""


class NotFound(NotReady):
    """There is no such agent, or it was deleted: exit code 4."""


class Unavailable(NotReady):
    """The state is unknown, since the API gave no usable answer: exit code 5."""


class Failed(NotReady):
    """The deployment's code or image cannot run: exit code 10."""


class Stalled(NotReady):
    """Nothing has moved for `stall_timeout`: exit code 11."""


class Superseded(NotReady):
    """Another deployment took its place: exit code 12."""


class Unchanged(NotReady):
    """No new deployment came: exit code 13."""


class Infrastructure(NotReady):
    """Not ready while the platform reported a problem of its own: exit code 14."""


class TimedOut(NotReady):
    """`timeout` passed with the deployment in view: exit code 124."""


class CommandFailed(NotReady):
    """The deploy command of `run` failed: its exit code."""


class Interrupted(NotReady):
    """A signal ended the program: exit code 129, 130 or 143."""


_BY_VERDICT: dict[str, type[NotReady]] = {
    "unauthorized": Unauthorized,
    "not-found": NotFound,
    "unavailable": Unavailable,
    "failed": Failed,
    "stalled": Stalled,
    "superseded": Superseded,
    "unchanged": Unchanged,
    "infrastructure": Infrastructure,
    "timeout": TimedOut,
    "command-failed": CommandFailed,
    "interrupted": Interrupted,
}


def not_ready(report: Report) -> NotReady:
    """The exception for a report that is not ready."""
    worst = report.worst
    if worst.verdict == "ready" and worst.command is not None:
        return CommandFailed(report)
    return _BY_VERDICT.get(worst.verdict, NotReady)(report)
