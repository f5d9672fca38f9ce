"""What topic models are made of: mixtures of texts, sampling, answers, checks and pictures."""
