"""Measured facts: the record, its store, the environment they were measured in, and the metrics they speak of."""
