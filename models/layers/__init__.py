"""What networks are made of; no layer sees padding."""
