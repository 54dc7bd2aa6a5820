"""`pipecat rollout …`: what the vendor's `pipecat` command mounts. Only that command imports this, and brings Typer."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from ._program import become


class _Passthrough(TyperGroup):
    """Hands every argument to the program, `--help` too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            become(args)
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_Passthrough, help="Wait until a deployment on Pipecat Cloud has really rolled out.")


@app.callback()
def _rollout() -> None:
    """Makes a group of the app; it is never reached."""
