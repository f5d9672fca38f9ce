"""What a user hands in, and how a run reads it."""
