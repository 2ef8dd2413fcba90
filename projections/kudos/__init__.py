"""The inline view of balances."""
