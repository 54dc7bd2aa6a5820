# /// script
# requires-python = ">=3.10"
# dependencies = ["pyte==0.8.2"]
# ///
"""Draws docs/failure.svg, the README's picture, from what the program shows on a terminal.

    cargo build --release
    uv run docs/failure.py
"""

import fcntl
import html
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path

import pyte

PROJECT = Path(__file__).resolve().parent.parent
PROGRAM = os.environ.get("TARGET", str(PROJECT / "target/release/pipecat-rollout"))
COLUMNS, LINES = 118, 40
COLOURS = {"default": "#d8dee9", "red": "#ff7b86", "green": "#8fd694", "brown": "#f2c572", "yellow": "#f2c572",
           "blue": "#82aaff", "magenta": "#c792ea", "cyan": "#7fdbca", "white": "#ffffff", "black": "#8a93a5",
           "brightblack": "#8a93a5"}
WIDTH, HEIGHT = 7.83, 18


def shown():
    """The screen at the end of a rollout that fails."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    command = [PROGRAM, "wait-for-ready", "voice-starter", "--simulate", "crash-loop"]
    environment = {"TERM": "xterm-256color", "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    process = subprocess.Popen(command, stdin=side, stdout=side, stderr=side, env=environment, start_new_session=True)
    os.close(side)
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    try:
        while data := os.read(main, 65536):
            stream.feed(data)
    except OSError:
        pass  # Linux says so that nobody writes any more.
    assert process.wait() == 10, "it did not fail"
    return screen


def spans(row):
    """The runs of characters that look alike, as (text, colour, bold)."""
    text, look = "", None
    for column in range(COLUMNS):
        char = row[column]
        if (char.fg, char.bold) != look:
            if text:
                yield text, *look
            text, look = "", (char.fg, char.bold)
        text += char.data
    yield text, *look


def line(number, row):
    parts = []
    looks = list(spans(row))
    while looks and not looks[-1][0].strip():
        looks.pop()
    if looks:
        looks[-1] = (looks[-1][0].rstrip(), *looks[-1][1:])
    for text, colour, bold in looks:
        weight = ' font-weight="bold"' if bold else ""
        fill = COLOURS.get(colour, f"#{colour}" if len(colour) == 6 else COLOURS["default"])
        parts.append(f'<tspan fill="{fill}"{weight}>{html.escape(text)}</tspan>')
    return f'<text x="16" y="{34 + number * HEIGHT}" xml:space="preserve">{"".join(parts)}</text>'


def main():
    screen = shown()
    rows = [screen.buffer[number] for number in range(LINES)]
    while not any(rows[-1][column].data.strip() for column in range(COLUMNS)):
        rows.pop()
    prompt = '<text x="16" y="34" xml:space="preserve"><tspan fill="#8a93a5">$</tspan><tspan fill="#ffffff"> ' \
             "pipecat-rollout wait-for-ready voice-starter</tspan></text>"
    body = "\n".join([prompt, *(line(number + 1, row) for number, row in enumerate(rows))])
    width, height = round(COLUMNS * WIDTH + 32), (len(rows) + 1) * HEIGHT + 40
    svg = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
  font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace" font-size="13">
<title>A rollout that fails, on a terminal</title>
<rect width="{width}" height="{height}" rx="8" fill="#1b1f2a"/>
{body}
</svg>
"""
    (PROJECT / "docs/failure.svg").write_text(svg)


main()
