"""`citewell serve`: the HTTP service and its web page."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from api.cli import options
from api.cli.connection import read_settings


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to serve on, by default 127.0.0.1; beyond loopback, keys are required.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to serve on, by default 8000; 0 takes a free one.", min=0, max=65535)
    ] = None,
    data_dir: options.DataDir = None,
    samples: Annotated[bool, typer.Option("--samples", help="Ingest the sample documents first.")] = False,
) -> None:
    """Serve the HTTP interface and the web page until interrupted.

    Every setting is also an environment variable CITEWELL_…; see docs/settings.md.
    """
    settings = read_settings(host=host, port=port, data_dir=data_dir)
    from api.server import serve as run

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    run(settings, samples=samples)
