"""The routes about accounts, their kudos and their shared keys."""
