"""The same questions for every candidate, whatever its family or tokenizer."""
