"""`python -m featurestore` is the command: the one file of this package that imports `cli`."""

import sys
from pathlib import Path

if sys.path and Path(sys.path[0] or ".").resolve() == Path.cwd() != Path(__file__).resolve().parents[1]:
    # `-m` puts the working directory first: a folder models or a file cli.py there would be imported in place of ours.
    del sys.path[0]

from cli.main import main

if __name__ == "__main__":
    main()
