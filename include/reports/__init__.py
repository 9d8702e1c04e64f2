"""What people look at: reports on nights, pushes, people, deadlines, settings and the audit.

Reads only, and knows nothing of the web: every function takes a connection (or an engine) and the
wall clock, and returns frozen dataclasses or an iterator of rows. No address but where a function
says so, and nothing else that a person typed.
"""
