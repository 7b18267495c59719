"""Programs that see a package of the project with files more than it has."""

from __future__ import annotations

from pathlib import Path


def with_files_in(package: str, folder: Path) -> str:
    """Return the first lines of a program in which a package also holds the files of a folder."""
    return f"""
import sys
from importlib.util import find_spec, module_from_spec
found = find_spec({package!r})
found.submodule_search_locations.append({str(folder)!r})
sys.modules[found.name] = module_from_spec(found)
found.loader.exec_module(sys.modules[found.name])
"""
