"""The JSON report as dataclasses. `config/schema/report.schema.json` describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Reason:
    """Why it is not ready."""

    code: str
    """One word for machines: the platform's own where there is one."""
    summary: str
    """One line for people."""
    message: str | None
    """The platform's or the code's own words, whole: foreign text."""


@dataclass(frozen=True)
class Revision:
    """The deployment's revision as it was seen last."""

    phase: str | None
    ready_replicas: int | None
    restart_count: int | None
    replicas_started: int | None
    last_exit_code: int | None
    last_termination_reason: str | None


@dataclass(frozen=True)
class Phase:
    """A phase, and when it was first seen, from the beginning of the watch."""

    phase: str
    at_ms: int


@dataclass(frozen=True)
class AgentWarning:
    """What a person should know although it decided nothing."""

    code: str
    summary: str


@dataclass(frozen=True)
class Command:
    """How the deploy command of `run` ended."""

    exit_code: int
    elapsed_ms: int


@dataclass(frozen=True)
class AgentReport:
    """How it ended with one agent. Times are RFC 3339."""

    agent: str
    verdict: str
    exit_code: int
    deployment_id: str | None
    deployment_created_at: str | None
    baseline_deployment_id: str | None
    reason: Reason | None
    available: bool | None
    revision_unchanged: bool
    warnings: list[AgentWarning]
    revision: Revision | None
    image: str | None
    region: str | None
    active_sessions: int | None
    started_at: str
    elapsed_ms: int
    phases: list[Phase]
    server_time: str | None
    polls: int
    failed_polls: int
    request_id: str | None
    logs: list[str]
    command: Command | None


@dataclass(frozen=True)
class Report:
    """How it ended: the report of `--output json`."""

    exit_code: int
    """The exit code of the program."""
    agents: list[AgentReport]
    """The agents, in the order in which they were named."""
    raw: Mapping[str, Any] = field(repr=False)
    """The JSON object itself."""

    @property
    def worst(self) -> AgentReport:
        """The agent that decides the exit code; the only one where one was named."""
        deciding = (agent for agent in self.agents if agent.exit_code == self.exit_code)
        return next(deciding, self.agents[0])

    @property
    def is_ready(self) -> bool:
        """Whether every agent is ready, and the deploy command of `run` succeeded."""
        return self.exit_code == 0

    @classmethod
    def from_json(cls, report: Mapping[str, Any]) -> Report:
        """Reads the object that `--output json` prints. Keys that this version does not know are in `raw`."""
        agents = [_read(AgentReport, agent) for agent in report["agents"]]
        return cls(exit_code=report["exitCode"], agents=agents, raw=report)


_NESTED: dict[str, type] = {
    "reason": Reason,
    "revision": Revision,
    "phases": Phase,
    "warnings": AgentWarning,
    "command": Command,
}


def _read(kind: type[T], data: Mapping[str, Any]) -> T:
    values = {}
    for name in (found.name for found in fields(kind)):  # type: ignore[arg-type]
        value = data.get(_camel_case(name))
        nested = _NESTED.get(name) if kind is AgentReport else None
        if nested and isinstance(value, list):
            value = [_read(nested, one) for one in value]
        elif nested and value is not None:
            value = _read(nested, value)
        values[name] = value
    return kind(**values)


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
