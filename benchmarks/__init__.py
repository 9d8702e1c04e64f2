"""What is fast and compared with what: run by `make bench`, never as a timed test."""
