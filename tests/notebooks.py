"""Runs the notebooks of the documentation; `python tests/notebooks.py --write` puts what their cells show into them.

No kernel is needed: cells are run one after the other in one namespace, as in a kernel. What a cell prints and the
value of its last line (as text, and as a table or picture where it has one) are its outputs.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the cells with code."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(notebook: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Return what the cells with code show, run in the current folder."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    return [run_cell("".join(cell["source"]), namespace) for cell in cells(notebook)]


def run_cell(source: str, namespace: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a cell, and return its outputs as a notebook holds them."""
    tree, printed, value = ast.parse(source), io.StringIO(), None
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), namespace)  # noqa: S102 (the notebook's own code)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), namespace)  # noqa: S307
    outputs = [{"name": "stdout", "output_type": "stream", "text": lines(printed.getvalue())}] if printed.tell() else []
    return outputs if value is None else [*outputs, shown(value)]


def shown(value: Any) -> dict[str, Any]:
    """Return a value as a notebook shows it."""
    data: dict[str, Any] = {"text/plain": lines(repr(value))}
    if table := getattr(value, "_repr_html_", lambda: None)():
        data["text/html"] = lines(table)
    if hasattr(value, "savefig"):
        data["image/png"] = base64.b64encode(png(value)).decode() + "\n"
    return {"data": data, "execution_count": None, "metadata": {}, "output_type": "execute_result"}


def png(figure: Any) -> bytes:
    """Return a figure as a small picture of 128 colours."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, dpi=80, format="png")
    Image.open(drawn).convert("RGB").quantize(128).save(small, format="png", optimize=True)
    return small.getvalue()


def lines(text: str) -> list[str]:
    """Return a text as notebooks hold it."""
    return text.splitlines(keepends=True)


def text_of(outputs: list[dict[str, Any]]) -> str:
    """Return the text of a cell's outputs."""
    texts = [one["text"] if one["output_type"] == "stream" else one["data"]["text/plain"] for one in outputs]
    return "\n".join("".join(text) for text in texts)


def main() -> None:
    """Run all notebooks and keep what they show."""
    for path in NOTEBOOKS:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            os.environ["FEATURESTORE_HOME"] = str(Path(folder) / "store")
            for number, (cell, outputs) in enumerate(zip(cells(notebook), run(notebook), strict=True), 1):
                cell["outputs"], cell["execution_count"] = outputs, number
                for output in outputs:
                    if "execution_count" in output:
                        output["execution_count"] = number
            os.chdir(ROOT)
        if "--write" in sys.argv:
            path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(path.name, "ran")  # noqa: T201


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
