"""Perturbations of a signal that are made of the kernels around: time stretch, room, recorded noise, volume."""
