"""Calls to addresses that others gave, guarded."""
