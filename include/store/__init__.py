"""The engagement store: models, queries, bulk reads and writes."""
