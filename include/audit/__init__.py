"""The sync's own tables: settings, runs, links, merge audit, write attempts."""
