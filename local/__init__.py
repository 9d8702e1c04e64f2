"""What runs only on a laptop or in CI: embedded PostgreSQL, Salesforce emulator, demo."""
