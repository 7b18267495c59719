"""Splits: rules, the protocols that fix them for a corpus, and leaks. `protocols` is the way in."""
