"""The inline view of the service's modes."""
