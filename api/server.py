"""Runs the service under uvicorn: opens it, binds, says where, and stops cleanly on a signal."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn

from api.app import create_app
from api.auth import is_loopback
from api.bootstrap import Service, open_service
from api.keys import Keys
from api.samples import submit_samples
from api.settings import Settings
from ingest.errors import Conflict, InvalidInput
from ingest.memory import bound_arenas

_LOG = logging.getLogger(__name__)
_BACKLOG = 2048
_GRACE_S = 5


class _Stopped(BaseException):
    """A signal asked the process to end; raised wherever the main thread is, so that everything open is closed."""


def serve(settings: Settings, *, samples: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; `samples` ingests the documents that ship with citewell.

    Raises `InvalidInput` (`keys_required`) when bound beyond loopback without any key, and `Conflict` when the address
    (`address_in_use`) or the data directory is taken.
    """
    bound_arenas()
    with suppress(_Stopped), _stop_on_signals(), open_service(settings) as service:
        require_keys(service)
        with bind(settings.host, settings.port) as listener:
            server, url = server_on(service, listener)
            if samples:
                submit_samples(service)
            _settle_memory()
            _LOG.info("citewell serves at %s", url)
            server.run(sockets=[listener])


def _settle_memory() -> None:
    """Spare the garbage collector what lives as long as the process: a pass over all the libraries holds up every
    request for a third of a second, again and again.
    """
    gc.collect()
    gc.freeze()


def server_on(service: Service, listener: socket.socket) -> tuple[uvicorn.Server, str]:
    """A server for a bound socket, and its URL, which other processes find in the data directory from now on."""
    url = url_of(listener, service.settings.host)
    service.ownership.announce(url)
    config = uvicorn.Config(
        create_app(service),
        log_config=None,
        access_log=False,
        http="h11",  # bounds the head of a request; httptools, which would be taken where it is installed, does not
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return uvicorn.Server(config), url


def require_keys(service: Service) -> None:
    """Raises `InvalidInput` when others than this machine could use the service without a key."""
    host = service.settings.host
    if not is_loopback(host) and not Keys(service.catalogue).exist():
        raise InvalidInput(
            f"serving on {host} is open to others, and there is no key: make one with 'citewell keys create', "
            "or serve on 127.0.0.1",
            code="keys_required",
        )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises `InvalidInput` for an unknown host, `Conflict` when taken."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server((str(address[0]), port), family=family, backlog=_BACKLOG)
    except socket.gaierror as failure:
        raise InvalidInput(f"host {host!r} is unknown: {failure.strerror}", code="unknown_host") from failure
    except OSError as failure:
        raise Conflict(
            f"cannot serve on {host}:{port}: {failure.strerror}; choose another --port (0 takes a free one)",
            code="address_in_use",
        ) from failure
    # accepted sockets inherit it; asyncio sets it only where the protocol is named, which accepted ones do not do, and
    # without it a body waits 40 ms for the client's acknowledgement of the headers
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(listener: socket.socket, host: str) -> str:
    """The base URL under which a client on this machine reaches the socket."""
    port = listener.getsockname()[1]
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - recognised here, bound only where the settings say so
        host = "127.0.0.1" if listener.family == socket.AF_INET else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _stop_on_signals() -> Iterator[None]:
    """Raise `_Stopped` on SIGINT and SIGTERM; while uvicorn runs it handles both, and passes them on at its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Stopped

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
