"""What predictions are worth: metrics, intervals, votes and tests between runs."""
