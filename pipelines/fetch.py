"""Getting a corpus's archive: from a path, a URL that the user names, or the addresses in its manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

from featurestore.corpus.sheet.datasheet import Archive, Manifest
from featurestore.errors import DownloadError, SourceError
from pipelines.download import Progress, archive_at, download

Tell = Callable[[str], None]


class Fetcher:
    """Downloads archives once into the user's cache.

    Parameters
    ----------
    tell : callable
        Is given one line before a first download starts, with the licence and the citation.
    progress : callable
        Is told the bytes so far and all bytes (None if unknown).
    trust_first : bool
        Accept an archive whose checksum nobody has published, and pin what came.
    folder : path, optional
        Where archives are kept; the user's cache by default.
    """

    def __init__(
        self, tell: Tell, progress: Progress, *, trust_first: bool = False, folder: Path | None = None
    ) -> None:
        self.tell = tell
        self.progress = progress
        self.trust_first = trust_first
        self.folder = folder or Path(platformdirs.user_cache_dir("featurestore")) / "downloads"

    def local(self, source: str | None, manifest: Manifest) -> str | None:
        """Return a source as a local path; a URL is downloaded first.

        A URL's archive needs no checksum if the manifest pins every file in it.
        """
        if source is None or urlsplit(source).scheme not in ("http", "https"):
            return source
        known = {archive.url: archive for archive in manifest.archives}
        archive = known.get(source) or archive_at(source)
        return str(self._download(archive, manifest, trust_first=self.trust_first or bool(manifest.index)))

    def archive(self, manifest: Manifest) -> Path:
        """Download a corpus from the first of its addresses that answers.

        Raises
        ------
        SourceError
            If the corpus cannot be downloaded; the message names `--source`.
        """
        if not manifest.archives:
            raise SourceError(
                f"{manifest.name!r} cannot be downloaded ({manifest.licence}): get it from "
                f"{manifest.homepage or 'its owner'} and give its archive or folder with --source."
            )
        failures: list[DownloadError] = []
        for archive in manifest.archives:
            try:
                return self._download(archive, manifest, trust_first=self.trust_first or bool(manifest.index))
            except DownloadError as error:
                failures.append(error)
        raise failures[0]

    def _download(self, archive: Archive, manifest: Manifest, *, trust_first: bool) -> Path:
        folder = self.folder / manifest.name
        if not (folder / archive.name).exists():
            self.tell(f"{manifest.name}: downloading {archive.url} (licence: {terms(manifest)})")
        return download(archive, folder, self.progress, trust_first=trust_first)


def terms(manifest: Manifest) -> str:
    """Return a corpus's licence with the address of its text, and whom to cite."""
    said = (manifest.licence, manifest.licence_url, manifest.citation and f"cite: {manifest.citation}")
    return "; ".join(filter(None, said))
