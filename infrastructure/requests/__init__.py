"""What is kept about requests beside the log: idempotent commands, uploads."""
