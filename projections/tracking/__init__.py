"""What clients are told of one event of a request, and the history that it takes."""
