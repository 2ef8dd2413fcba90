"""Images: how one is made, from what, and what is told of it."""
