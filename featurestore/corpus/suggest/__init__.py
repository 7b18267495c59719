"""Proposing a data sheet for a folder of recordings that nobody has described yet."""
