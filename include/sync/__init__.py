"""Use cases, one module each: gather inputs, decide, write."""
