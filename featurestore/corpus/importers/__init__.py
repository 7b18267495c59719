"""Importers: data in the formats of other tools, as manifests in memory; one file each, found by being there."""
