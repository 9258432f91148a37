"""Named text with train, validation and test splits, made of documents."""
