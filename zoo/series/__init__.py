"""What pairs of series are made of: recursions along time, emissions, checks and pictures."""
