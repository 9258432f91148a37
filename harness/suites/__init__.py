"""Suites: TOML files that say which candidates, variants and measures a run covers."""
