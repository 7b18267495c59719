"""Manifests: what a corpus's TOML file says, read strictly into frozen values."""
