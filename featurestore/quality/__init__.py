"""The quality of recordings: what each one sounds like in figures, and what of it deserves a look."""
