"""Shards: how rows are grouped, addressed, laid out, planned, written and read."""
