"""Two revisions measured beside each other on one machine, and the verdict on what changed."""
