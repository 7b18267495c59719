"""Proposing a manifest for a folder of recordings that nobody has described yet."""
