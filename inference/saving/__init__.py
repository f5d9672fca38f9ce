"""Runs and posteriors on disk."""
