"""What is decided: Ids, values and conflict rules. Pure: no I/O, no clock."""
