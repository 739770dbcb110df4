"""``template-service``: one command line for operators."""

import click

from worker.cli.demo import demo
from worker.cli.stack import down, status, up


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="template-service")
def main() -> None:
    """Keep, version, translate and render notification templates."""


for command in (demo, up, status, down):
    main.add_command(command)
