"""Distributions of rows that torch and Pyro lack."""
