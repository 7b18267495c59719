"""Where recordings come from: folders and archives that may be damaged or hostile, read one member at a time."""
