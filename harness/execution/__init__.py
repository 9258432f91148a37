"""From a suite to records: the plan, the worker processes, and what each task does."""
