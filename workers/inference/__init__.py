"""Inference: from a job to a submitted batch."""
