"""Where the program is, and how to become it."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

_NAME = "pipecat-rollout"


def find_program() -> str:
    """The path of the program that came with this package, else of the one on PATH.

    Raises FileNotFoundError where there is none.
    """
    # Where the wheel puts it: an environment, `pip install --user`, `pip install --target`.
    user_scheme = sysconfig.get_preferred_scheme("user")
    folders = [
        sysconfig.get_path("scripts"),
        sysconfig.get_path("scripts", user_scheme),
        str(Path(__file__).parent.parent / "bin"),
    ]
    for folder in folders:
        path = os.path.join(folder, _NAME)
        if os.access(path, os.X_OK):
            return path
    on_path = shutil.which(_NAME)
    if on_path is None:
        raise FileNotFoundError(f"{_NAME} is neither on PATH nor in {', '.join(folders)}; reinstall the package")
    return on_path


def become(arguments: Sequence[str]) -> NoReturn:
    """Runs the program in the place of this process, so that signals and the exit code are its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(find_program(), [_NAME, *arguments])
