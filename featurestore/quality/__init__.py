"""The quality of recordings: measurements of each one, and findings worth checking."""
