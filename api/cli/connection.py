"""One way to the documents: the HTTP interface, of a running server or of the same application in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.cli.output import status
from ingest.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from api.client import Client
    from api.settings import Settings


def data_directory(given: Path | None) -> Path:
    """The folder that `--data-dir` (or `CITEWELL_DATA_DIR`) names, else the default."""
    from ingest.owner import DEFAULT_FOLDER

    return DEFAULT_FOLDER if given is None else given


@contextmanager
def connect(url: str | None, data_dir: Path | None, key: str | None, *, create: bool = False) -> Iterator[Client]:
    """A client of the server at `url`, else of the data directory's owner, else of the directory opened here.

    Raises `NotFound` (`data_directory_not_found`) without `create` when there is none; and as `open_service`.
    """
    from api.client import Client

    if url is not None:
        with Client(url, key=key) as client:
            yield client
        return
    from ingest.owner import DataDirectory

    folder = data_directory(data_dir)
    server = DataDirectory(folder).owner_url()
    if server is not None:
        with Client(server, key=key) as client:
            yield client
        return
    if not create and not (folder / "catalogue.sqlite").exists():
        raise NotFound(
            f"there is no data in {folder}; name another folder with --data-dir, a server with --url, "
            "or begin with `citewell ingest FOLDER` or `citewell serve --samples`",
            code="data_directory_not_found",
        )
    with _opened(folder, key) as client:
        yield client


def read_settings(**overrides: Any) -> Settings:
    """The settings from the environment, with what the command line gives put over them (None: not given).

    Raises `InvalidInput`, naming every wrong setting at once.
    """
    from pydantic import ValidationError

    from api.settings import Settings
    from ingest.errors import FieldProblem

    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as failure:
        problems = tuple(
            FieldProblem("CITEWELL_" + "_".join(map(str, error["loc"])).upper(), error["msg"])
            for error in failure.errors()
        )
        raise InvalidInput("settings are not valid", code="invalid_settings", problems=problems) from failure


@contextmanager
def _opened(folder: Path, key: str | None) -> Iterator[Client]:
    from api.cli.in_process import InProcessTransport
    from api.client import Client

    with ExitStack() as stack:
        with status(f"Opening {folder} …"):
            from api.app import create_app
            from api.bootstrap import open_service

            # a directory that is to be served to others can still be filled from this machine before it has a key
            service = stack.enter_context(open_service(read_settings(data_dir=folder, host="127.0.0.1")))
        app = create_app(service)
        transport = stack.enter_context(InProcessTransport(app, app.router.lifespan_context(app)))
        yield stack.enter_context(Client(transport=transport, key=key))
