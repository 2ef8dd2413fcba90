"""A small text-to-image pipeline of our own, trained on scenes that it draws itself."""
