"""The models under consideration: families, origins, and the catalogue of those that are known by name."""
