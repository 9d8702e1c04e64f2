"""Commands as somebody types them, against a real database."""
