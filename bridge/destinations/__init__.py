"""Where events go: each destination is a `Send`."""
