"""Experiments: datasets built, recipes trained, evaluated, searched and compared with published results.

```python
import featurestore

featurestore.build("demo", copies=10)
result = featurestore.train("demo", epochs=3)
featurestore.evaluate(result["run"])
```

Each function does what the command of its name does and returns what `--json` prints (`build` an object whose
`to_dict` gives that). It prints nothing: a `Listener` follows its progress.
"""

from __future__ import annotations

from pipelines.experiments.baselines import baseline
from pipelines.experiments.building import build
from pipelines.experiments.comparing import compare, ensemble
from pipelines.experiments.cross_corpus import matrix
from pipelines.experiments.curves import curve
from pipelines.experiments.evaluation import evaluate, predict
from pipelines.experiments.listener import Listener, Silent
from pipelines.experiments.published import reproduce
from pipelines.experiments.reporting import report
from pipelines.experiments.search import tune
from pipelines.experiments.training import crossval, train

__all__ = [
    "Listener",
    "Silent",
    "baseline",
    "build",
    "compare",
    "crossval",
    "curve",
    "ensemble",
    "evaluate",
    "matrix",
    "predict",
    "report",
    "reproduce",
    "train",
    "tune",
]
