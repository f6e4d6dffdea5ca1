"""The pure part: what orders, objects and verdicts are. It opens nothing, reads no clock, and does no I/O."""
