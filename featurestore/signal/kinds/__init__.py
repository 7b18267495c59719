"""What computes each kind of features: one small class a kind, by name in `featurestore.signal.kinds.transform`."""
