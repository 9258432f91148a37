"""What a variant knows: likelihoods and everything derived from them. Knows sessions, not engines."""
