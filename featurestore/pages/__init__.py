"""Pages about datasets and runs: templates, and examples that can be seen and heard. Each page is one HTML file."""
