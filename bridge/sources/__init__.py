"""Where messages come from: each source hands batches to intake and turns outcomes into its own acknowledgement."""
