"""Commands that are run in this process as in a terminal, and what they may not write there."""

from __future__ import annotations

import io
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from cli.main import run


def called(*arguments: str) -> tuple[int | None, str, str]:
    """Run a command as in a terminal of UTF-8; None for the code of one that ends in a traceback."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code: int | None = run(list(arguments))
        except Exception as error:  # what no command may end in
            code = None
            err.write(f"{type(error).__name__}: {ascii(str(error))[:300]}")
            last = traceback.extract_tb(error.__traceback__)[-3:]
            err.write(ascii("; ".join(f"{Path(f.filename).name}:{f.lineno}" for f in last)))
    return code, *(stream.buffer.getvalue().decode("utf-8") for stream in (out, err))


def steers(text: str) -> bool:
    """Tell whether a text would move a terminal's cursor or change what it shows of other characters."""
    return any(not one.isprintable() and one != "\n" for one in text)
