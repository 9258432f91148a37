"""Which variant to deploy for which use case, and the words that say why."""
