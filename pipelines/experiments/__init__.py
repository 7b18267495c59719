"""Experiments: recipes built, trained, evaluated, searched and compared with published results.

```python
from pipelines import experiments

result = experiments.run("mathworks", copies=2, settings=("epochs=1",))
experiments.evaluate(result["run"])
```

Each function does what the command of its name does (`run` is `featurestore train`), returns what `--json` prints, and
prints nothing: a `Listener` hears how it goes.
"""

from __future__ import annotations

from pipelines.experiments.evaluation import evaluate
from pipelines.experiments.listener import Listener, Silent
from pipelines.experiments.published import reproduce
from pipelines.experiments.search import tune
from pipelines.experiments.training import crossval, run

__all__ = ["Listener", "Silent", "crossval", "evaluate", "reproduce", "run", "tune"]
