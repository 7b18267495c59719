"""Archives that lie in a folder unopened, where somebody looked for recordings in it."""

from __future__ import annotations

from featurestore.corpus.reading.sources import Source

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")


def packed_advice(source: Source) -> str:
    """Say which archives a source without recordings holds, and how to read one; empty where it holds none.

    Returns
    -------
    str
        A sentence such as `It holds archives, which are read as they are: name one, such as 'data/a.zip'.`
    """
    paths = [member.path for member in source.members() if member.path.lower().endswith(ENDINGS)]
    if not paths:
        return ""
    others = f" (and {len(paths) - 1:,} more)" if len(paths) > 1 else ""
    return f"It holds an archive, which is read as it is: name {f'{source.name}/{paths[0]}'!r:.300}{others}."
