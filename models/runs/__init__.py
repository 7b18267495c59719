"""Run folders: what stands in one, and how it is written and read."""
