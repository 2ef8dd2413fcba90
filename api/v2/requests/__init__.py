"""The routes about requests: submit, check, status, images, cancel."""
