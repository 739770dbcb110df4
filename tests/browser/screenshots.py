"""Screenshots of pages in a real browser, with marks over words."""

import json
import os
import struct
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest

VARIABLE: Final = "TEST_CHROMIUM"
"""Variable that names the browser's program; `make test-browser` sets it."""

SECONDS: Final = 120
"""As long as a busy machine needs for one page."""

WIDTH: Final = 800
HEIGHT: Final = 600

# Each mark covers the first place of its text. Spans would take the text out of the run in which
# the browser orders it, so that nothing is put around it.
_MARKS: Final = """
<script>
  for (const [text, color] of Object.entries(%s)) {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const start = node.data.indexOf(text);
      if (start < 0 || node.parentElement.tagName === "SCRIPT") continue;
      const range = document.createRange();
      range.setStart(node, start);
      range.setEnd(node, start + text.length);
      const place = range.getBoundingClientRect();
      const mark = document.createElement("i");
      mark.style.cssText = `position:fixed;left:${place.left}px;top:${place.top}px;` +
        `width:${Math.max(1, place.width)}px;height:${place.height}px;background:${color}`;
      document.documentElement.append(mark);
      break;
    }
  }
</script>
"""


class Box(NamedTuple):
    """The place of a mark, in pixels from the left and the top."""

    left: int
    right: int
    top: int
    bottom: int


def program() -> str:
    """Return the path of the browser; without it nothing here can be tested."""
    path = os.environ.get(VARIABLE, "")
    if not os.access(path, os.X_OK):
        pytest.exit(
            f"{VARIABLE} has to name a program: make test-browser installs it and sets it",
            returncode=1,
        )
    return path


def places(html: str, texts: list[str], folder: Path) -> dict[str, Box]:
    """Return where the texts stand in a screenshot of a page."""
    colors = {text: (255, 10 * number, 7) for number, text in enumerate(texts)}
    names = {text: "rgb({}, {}, {})".format(*color) for text, color in colors.items()}
    page, shot = folder / "page.html", folder / "page.png"
    page.write_text(f'<meta charset="utf-8">{html}{_MARKS % json.dumps(names)}', encoding="utf-8")
    subprocess.run(
        [
            program(),
            "--headless=new",
            "--no-sandbox",  # which needs rights that a container has not
            "--disable-gpu",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={WIDTH},{HEIGHT}",
            f"--screenshot={shot}",
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=SECONDS,
        env={**os.environ, "HOME": str(folder)},
    )
    return _boxes(shot.read_bytes(), colors)


def _boxes(png: bytes, colors: Mapping[str, tuple[int, int, int]]) -> dict[str, Box]:
    rows = _rows(png)
    result = {}
    for text, color in colors.items():
        pixels = [
            (x, y)
            for y, row in enumerate(rows)
            for x in range(WIDTH)
            if row[3 * x : 3 * x + 3] == bytes(color)
        ]
        assert pixels, f"{text} is not on the page"
        across, down = [x for x, _ in pixels], [y for _, y in pixels]
        result[text] = Box(min(across), max(across), min(down), max(down))
    return result


def _rows(png: bytes) -> list[bytes]:
    """Return the rows of an image of 8 bits per colour without interlacing (RFC 2083)."""
    position, data = 8, b""
    while position < len(png):
        (length,) = struct.unpack_from(">I", png, position)
        kind = png[position + 4 : position + 8]
        chunk = png[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            width, _, depth, colours, *_, interlaced = struct.unpack(">IIBBBBB", chunk)
            assert (width, depth, colours, interlaced) == (WIDTH, 8, 2, 0)
        elif kind == b"IDAT":
            data += chunk
        position += 12 + length
    raw = zlib.decompress(data)
    size = 3 * WIDTH
    rows: list[bytes] = []
    above = bytes(size)
    for start in range(0, len(raw), size + 1):
        above = _unfiltered(raw[start], raw[start + 1 : start + 1 + size], above)
        rows.append(above)
    return rows


def _unfiltered(kind: int, row: bytes, above: bytes) -> bytes:
    result = bytearray(row)
    for index in range(len(result)):
        left = result[index - 3] if index >= 3 else 0
        up = above[index]
        corner = above[index - 3] if index >= 3 else 0
        if kind == 1:
            add = left
        elif kind == 2:
            add = up
        elif kind == 3:
            add = (left + up) // 2
        elif kind == 4:
            guess = left + up - corner
            add = min((left, up, corner), key=lambda near: abs(guess - near))
        else:
            add = 0
        result[index] = (result[index] + add) & 0xFF
    return bytes(result)
