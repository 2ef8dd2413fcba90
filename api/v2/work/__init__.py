"""The routes of workers: pop, upload, submit."""
