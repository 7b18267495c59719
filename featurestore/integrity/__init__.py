"""Checking a store, clearing it of what nobody needs, and explaining what makes datasets differ."""
