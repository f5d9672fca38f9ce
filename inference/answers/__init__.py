"""What a posterior says about rows."""
