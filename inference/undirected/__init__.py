"""Models known up to a normaliser."""
