"""Signal processing: from the bytes of a recording to one row of features."""
