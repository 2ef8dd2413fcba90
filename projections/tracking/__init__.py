"""The data of notifications, and the history of a request from which it follows."""
