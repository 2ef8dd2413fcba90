"""Open jobs, as several views keep them."""
