"""Opening accounts and replacing keys: routes, page and limits."""
