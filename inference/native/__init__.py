"""Graphs of tensor operations as C: for programs so small that calling torch costs more than what it computes."""
