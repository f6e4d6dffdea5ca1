"""Bytes to facts: one module for each format that a message can come in. Nothing here does any I/O."""
