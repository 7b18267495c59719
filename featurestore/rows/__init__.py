"""From the bytes of a recording, and what is drawn for a copy, to one row of features."""
