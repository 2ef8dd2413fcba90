"""Wake-ups between threads and between processes."""
