"""How good predictions are: metrics, intervals, votes and tests between runs."""
