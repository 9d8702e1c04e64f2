"""One module per page: read, then show; a form: check, then do."""
