"""The parts of a fit."""
