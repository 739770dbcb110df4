"""``template-service templates preview``."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import click

from worker.cli.base import Command
from worker.cli.options import json_option
from worker.cli.output import print_json
from worker.cli.templates_session import folder_option

if TYPE_CHECKING:
    from pathlib import Path

    from worker.preview.session import Session


@click.command(cls=Command, example="templates preview\ntemplates preview --port 0 --folder mails")
@folder_option
@click.option("--port", default=8930, show_default=True, help="Port; 0 chooses a free one.")
@json_option
def preview(*, folder: Path, port: int, json_: bool) -> None:
    """Show the templates of a folder in a browser while they are edited, until Ctrl-C."""
    from worker.authoring.offline import started
    from worker.authoring.settings import author_settings
    from worker.preview.session import Session

    if not folder.is_dir():
        raise click.ClickException(f"folder {folder} does not exist; pass --folder")
    limits, default_language = author_settings()
    with started(limits, 1) as renderer:
        session = Session(folder, renderer, default_language)
        asyncio.run(_serve(session, port, json_=json_))


async def _serve(session: Session, port: int, *, json_: bool) -> None:
    from worker.preview.server import serve

    def ready(url: str) -> None:
        if json_:
            print_json({"url": url})
        else:
            print(f"Preview: {url}\nStop with Ctrl-C.")
        sys.stdout.flush()

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await serve(session, port, ready, stop)
