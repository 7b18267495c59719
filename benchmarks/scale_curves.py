"""Curves of processor time and memory over the number of files, drawn from the tables of docs/scale.md.

python benchmarks/scale_curves.py      writes docs/pictures/scale.svg
"""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, PICTURE = DOCS / "scale.md", DOCS / "pictures/scale.svg"
CELL = re.compile(r"([\d.]+) s, ([\d,]+) MB")
STYLE = {"svg.hashsalt": "featurestore", "svg.fonttype": "none", "font.size": 9}

Curves = dict[str, dict[int, tuple[float, float]]]


def curves(page: str) -> Curves:
    """Return, by command and number of files, the processor seconds and the megabytes of the tables with a growth."""
    found: Curves = {}
    columns: list[str] = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            columns = []
        elif not columns:
            columns = cells
        elif columns[-1] == "growth":
            for column, cell in zip(columns[1:-1], cells[1:-1], strict=True):
                if measured := CELL.match(cell):
                    files = int(re.sub(r"\D", "", column))
                    seconds, megabytes = measured[1], measured[2].replace(",", "")
                    found.setdefault(cells[0], {})[files] = float(seconds), float(megabytes)
    return found


def draw(found: Curves, picture: Path) -> None:
    """Write both panels, on logarithmic axes, as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.5, 4.2), layout="constrained")
        for place, (axes, label) in enumerate(
            zip(figure.subplots(1, 2), ("processor seconds", "memory at the peak, MB"), strict=True)
        ):
            for command, points in found.items():
                files = sorted(points)
                heights = [points[one][place] for one in files]
                axes.plot(files, heights, marker="o", markersize=3, label=command.replace("`", ""))
            files = sorted({one for points in found.values() for one in points})
            least = min(points[files[0]][place] for points in found.values())
            axes.plot(files, [least * one / files[0] for one in files], color="0.6", linestyle=":", label="linear")
            axes.set(xscale="log", yscale="log", xlabel="files", ylabel=label)
            axes.grid(visible=True, alpha=0.3)
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
        figure.savefig(picture, metadata={"Date": None, "Title": "What commands cost by the number of files"})


if __name__ == "__main__":
    draw(curves(PAGE.read_text(encoding="utf-8")), PICTURE)
