"""Baselines: functionals of each recording's rows, classified by scikit-learn; run folders as those of networks."""
