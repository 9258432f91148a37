"""Benchmark and choose language models: quality, speed and memory of every variant, in one table."""
