"""The corpora that this package makes itself."""
