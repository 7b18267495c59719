"""Copies of datasets from store to store."""
