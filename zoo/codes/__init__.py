"""What pairs with codes of rows are made of: networks, likelihoods, priors and pictures."""
