"""Manifests: a corpus's TOML file, read strictly into frozen values."""
