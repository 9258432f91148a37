"""Training candidates from scratch, and distilling them from a teacher."""
