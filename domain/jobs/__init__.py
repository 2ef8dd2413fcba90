"""Jobs: one slice of a request, run by one worker as one batch under a lease."""
