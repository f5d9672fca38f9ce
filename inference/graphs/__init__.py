"""Programs as graphs of tensor operations."""
