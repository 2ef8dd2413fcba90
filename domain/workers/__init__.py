"""Workers: what each declares, and which requests it may have."""
