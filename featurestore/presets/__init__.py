"""Feature presets and augmentation policies, one TOML file each."""
