"""How fast and how large a variant is while it runs. Knows sessions, not engines."""
