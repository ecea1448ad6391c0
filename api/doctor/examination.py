"""The whole examination of a data directory and of what it is served with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from api.bootstrap import LoadEncoder, load_encoder
from api.doctor.consistency import check_consistency
from api.doctor.diagnosis import Diagnosis, failed
from api.doctor.environment import check_catalogue, check_environment
from api.doctor.repairs import repair as mend
from api.settings import Settings
from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue
from ingest.errors import Conflict, NotFound
from ingest.owner import DataDirectory


def examine(
    settings: Settings, *, deep: bool = False, repair: bool = False, load: LoadEncoder | None = None
) -> Diagnosis:
    """Check the environment, and (`deep`) whether the data directory's parts agree; `repair` mends them first.

    A deep check may be made beside a running server; a repair raises `Conflict` (`data_directory_in_use`) then.
    """
    load = load or load_encoder(settings)
    checks = check_environment(settings, load)
    if not deep:
        return Diagnosis(tuple(checks))
    if not (settings.data_dir / "catalogue.sqlite").exists():
        raise NotFound(f"there is no data in {settings.data_dir} to examine", code="data_directory_not_found")
    sound = check_catalogue(settings.data_dir)
    if sound.state != "ok":
        return Diagnosis((*checks, failed("contents", "not examined: the catalogue is not in order", sound.repair)))
    with _opened(settings, alone=repair) as (catalogue, blobs, serving):
        repaired = mend(catalogue, blobs, settings, load) if repair else []
        checks += check_consistency(catalogue, blobs, settings.data_dir / "indexes", serving=serving)
    return Diagnosis(tuple(checks), tuple(repaired))


@contextmanager
def _opened(settings: Settings, *, alone: bool) -> Iterator[tuple[Catalogue, BlobStore, bool]]:
    """Catalogue and originals, and whether another process owns them; where none does, none can come in between."""
    with ExitStack() as stack:
        serving = False
        try:
            stack.enter_context(DataDirectory(settings.data_dir).own())
        except Conflict:
            if alone:
                raise
            serving = True
        catalogue = Catalogue(settings.data_dir / "catalogue.sqlite")
        stack.callback(catalogue.close)
        yield catalogue, BlobStore(settings.data_dir / "blobs"), serving
