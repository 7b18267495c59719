"""One training at a time in a run folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from featurestore.errors import StoreBusyError
from featurestore.storage.locks import hold_folder
from models.errors import RunError
from models.runs.checkpoint import sweep


@contextmanager
def hold_run(folder: Path) -> Iterator[None]:
    """Hold a run folder for a training; the system lets go of it when the process ends, however that happens.

    What a killed training left there half written is removed.

    Whoever only reads the folder needs no hold. Nothing is held where there is no folder.

    Raises
    ------
    RunError
        If another training holds it.
    """
    with ExitStack() as held:
        if folder.is_dir():
            try:
                held.enter_context(hold_folder(folder, exclusive=True))
            except StoreBusyError as error:
                raise RunError(
                    f"run folder {folder} is in use by another training: wait for its end, or give another '--run'."
                ) from error
            sweep(folder)
        yield
