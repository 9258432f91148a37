"""Everything that a person reads, rendered from records."""
