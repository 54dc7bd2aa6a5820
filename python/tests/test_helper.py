"""The helper against the simulator, with the package as it is installed. Run by tests/release/install."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pipecat_rollout
from pipecat_rollout import (
    AgentReport,
    CommandFailed,
    Failed,
    NotReady,
    ProgramError,
    Report,
    RunOptions,
    TimedOut,
    UsageError,
    WaitOptions,
    find_program,
    run,
    status,
    wait_for_ready,
)
from pipecat_rollout import _commands, _errors

PROJECT = Path(__file__).parent.parent.parent
DEPLOY = """
import os, urllib.request
address = os.environ["PIPECAT_API_URL"] + "/agents/my-agent"
headers = {"Authorization": "Bearer " + os.environ["PIPECAT_API_KEY"]}
urllib.request.urlopen(urllib.request.Request(address, method="POST", headers=headers))
"""


def simulated(agent: dict[str, Any], exit_code: int) -> Report:
    return Report.from_json({"exitCode": exit_code, "agents": [agent]})


class Helper(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def server(self, scenario: str) -> str:
        """A simulator that plays the scenario fast; its address is also in the environment."""
        process = subprocess.Popen(
            [find_program(), "simulate", scenario, "--agent=my-agent", "--listen=127.0.0.1:0", "--speed=20"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        address = process.stdout.readline().removeprefix("listening on ").strip()
        for name, value in {"PIPECAT_API_URL": address, "PIPECAT_API_KEY": "sk_any"}.items():
            os.environ[name] = value
            self.addCleanup(os.environ.pop, name)
        return address

    def test_returns_the_report_of_one_that_is_ready(self) -> None:
        report = wait_for_ready("my-agent", simulate="rolling-update", speed=50, timeout=timedelta(minutes=1))
        self.assertTrue(report.is_ready)
        agent = report.worst
        self.assertEqual((agent.agent, agent.verdict, agent.reason), ("my-agent", "ready", None))
        self.assertEqual(agent.phases[-1].phase, "active")
        self.assertEqual(report.raw["agents"][0]["deploymentId"], agent.deployment_id)

    def test_raises_with_the_report_of_one_that_failed(self) -> None:
        with self.assertRaises(Failed) as raised:
            wait_for_ready("a", "my-agent", simulate="phase-failed", speed=50)
        report = raised.exception.report
        self.assertEqual((report.exit_code, len(report.agents)), (10, 2))
        assert report.worst.reason is not None
        self.assertEqual(str(raised.exception), f"a: failed: {report.worst.reason.summary}")

    def test_status_returns_what_is_not_ready_too(self) -> None:
        report = status("my-agent", simulate="stuck")
        self.assertEqual(report.worst.verdict, "timeout")
        with self.assertRaises(TimedOut):
            wait_for_ready("my-agent", simulate="stuck", timeout=1)

    def test_run_follows_what_the_command_deploys(self) -> None:
        self.server("rolling-update")
        report = run("my-agent", [sys.executable, "-c", DEPLOY], timeout="1m")
        assert report.worst.command is not None
        self.assertEqual((report.exit_code, report.worst.command.exit_code), (0, 0))

    def test_a_report_of_status_is_a_baseline(self) -> None:
        self.server("rolling-update")
        before = status("my-agent")
        self.assertTrue(before.is_ready)
        subprocess.run([sys.executable, "-c", DEPLOY], check=True)
        after = wait_for_ready("my-agent", baseline=before)
        self.assertEqual(after.worst.baseline_deployment_id, before.worst.deployment_id)

    def test_a_command_that_fails_after_ready_is_a_failure(self) -> None:
        self.server("rolling-update")
        with self.assertRaises(CommandFailed) as raised:
            run("my-agent", ["sh", "-c", '"$0" -c "$1" && exit 9', sys.executable, DEPLOY])
        self.assertEqual(raised.exception.report.worst.verdict, "ready")

    def test_wrong_use_says_what_is_wrong(self) -> None:
        with self.assertRaisesRegex(UsageError, '^there is no scenario "nonsense"'):
            wait_for_ready("my-agent", simulate="nonsense")

    def test_a_file_that_cannot_be_written_takes_a_success_away(self) -> None:
        with self.assertRaises(ProgramError):
            wait_for_ready("my-agent", simulate="rolling-update", speed=50, dotenv="/dev/full")

    def test_a_report_file_of_ones_own_is_written(self) -> None:
        path = self.folder / "report.json"
        report = status("my-agent", simulate="rolling-update", report_file=path)
        self.assertEqual(json.loads(path.read_text()), report.raw)

    def test_what_the_readme_shows_works(self) -> None:
        self.server("rolling-update")
        stand_in = self.folder / "pipecat"
        stand_in.write_text(f"#!{sys.executable}\n{DEPLOY}")
        stand_in.chmod(0o755)
        path = f"{self.folder}:{os.environ['PATH']}"
        readme = (PROJECT / "python/README.md").read_text()
        blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
        self.assertEqual(len(blocks), 2)
        deploy = "import subprocess; subprocess.run(['pipecat'], check=True)"
        with unittest.mock.patch.dict(os.environ, PATH=path):
            for block in blocks:
                exec(block.replace("...  #", f"{deploy}  #"), {})

    def test_an_interrupt_ends_the_deploy_command(self) -> None:
        self.server("rolling-update")
        report = self.folder / "report.json"
        # A shell's background jobs ignore it.
        script = f"""
import signal, pipecat_rollout
signal.signal(signal.SIGINT, signal.default_int_handler)
command = ["sh", "-c", "echo begun; exec sleep 600"]
pipecat_rollout.run("my-agent", command, report_file={str(report)!r})
"""
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None and process.stderr is not None
        self.assertEqual(process.stdout.readline(), b"begun\n")
        process.send_signal(signal.SIGINT)
        # The command holds these open: they end only once it is gone.
        _, errors = process.communicate(timeout=60)
        self.assertIn(b"KeyboardInterrupt", errors)
        self.assertEqual(json.loads(report.read_text())["agents"][0]["verdict"], "interrupted")


class Contract(unittest.TestCase):
    def definitions(self) -> dict[str, Any]:
        schema = json.loads((PROJECT / "config/schema/report.schema.json").read_text())
        return dict(schema["$defs"])

    def test_the_dataclasses_are_the_schema(self) -> None:
        classes: dict[str, type] = {
            "AgentReport": AgentReport,
            "CommandReport": pipecat_rollout.Command,
            "PhaseEntry": pipecat_rollout.Phase,
            "Reason": pipecat_rollout.Reason,
            "RevisionReport": pipecat_rollout.Revision,
            "Warning": pipecat_rollout.AgentWarning,
        }
        objects = {name: it for name, it in self.definitions().items() if it.get("type") == "object"}
        self.assertEqual(set(objects), set(classes))
        for name, definition in objects.items():
            mine = {pipecat_rollout._report._camel_case(found.name) for found in fields(classes[name])}
            self.assertEqual(mine, set(definition["properties"]), name)

    def test_each_verdict_has_an_exception_of_its_own(self) -> None:
        verdict = self.definitions()["Verdict"]
        verdicts = set(verdict.get("enum") or [it["const"] for it in verdict["oneOf"]])
        self.assertEqual(set(_errors._BY_VERDICT), verdicts - {"ready"})
        self.assertEqual(len(set(_errors._BY_VERDICT.values())), len(_errors._BY_VERDICT))
        for verdict, kind in _errors._BY_VERDICT.items():
            error = _errors.not_ready(simulated({"agent": "a", "verdict": verdict, "exitCode": 9}, 9))
            self.assertIs(type(error), kind)
            self.assertIn(kind.__name__, pipecat_rollout.__all__)
        unknown = _errors.not_ready(simulated({"agent": "a", "verdict": "new", "exitCode": 9}, 9))
        self.assertIs(type(unknown), NotReady)

    def test_every_option_is_a_switch_and_every_switch_an_option(self) -> None:
        ours = {"output", "verbose", "quiet", "no-notify", "help"}
        kinds = {"wait-for-ready": WaitOptions, "run": RunOptions, "status": _commands.Options}
        for command, kind in kinds.items():
            text = subprocess.run([find_program(), command, "--help"], capture_output=True, text=True).stdout
            switches = set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", text, re.MULTILINE)) - ours
            options = {name.replace("_", "-") for name in kind.__annotations__} - {"api-key"}
            self.assertLessEqual(options, switches, command)
            if command != "status":
                self.assertEqual(options, switches, command)

    def test_nothing_but_the_extension_needs_typer(self) -> None:
        script = "import sys, pipecat_rollout; assert not {'typer', 'rich'} & set(sys.modules)"
        subprocess.run([sys.executable, "-c", script], check=True)

    def test_the_key_is_no_argument(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder, "program")
            program.write_text('#!/bin/sh\necho "$PIPECAT_API_KEY $*" >&2\nexit 2\n')
            program.chmod(0o755)
            with unittest.mock.patch.object(_commands, "find_program", return_value=str(program)):
                with self.assertRaises(UsageError) as raised:
                    status("my-agent", api_key="sk_x", allow_insecure_http=False, api_url="u")
        self.assertRegex(str(raised.exception), r"^sk_x status --progress=none --api-url=u --report-file=\S+ -- my-agent$")


if __name__ == "__main__":
    unittest.main()
