"""From rows to batches: order, padding, normalisation, masks, and where rows are held."""
