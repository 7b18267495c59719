"""What to compute: frozen, validated descriptions of features and augmentation, and how they are named and changed."""
