"""Experiment recipes, one TOML file each."""
