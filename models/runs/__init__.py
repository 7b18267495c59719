"""Run folders: their files, and how these are written and read."""
