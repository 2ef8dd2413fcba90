"""What all routes share: bodies, errors, authentication, the description of the API."""
