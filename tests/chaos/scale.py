"""How much of the chaos: a short run by default, the long one with FEATURESTORE_CHAOS=long (`make chaos`)."""

from __future__ import annotations

import os

LONG = os.environ.get("FEATURESTORE_CHAOS") == "long"
