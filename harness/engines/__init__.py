"""Runtimes that execute a model, behind one interface: the session."""
