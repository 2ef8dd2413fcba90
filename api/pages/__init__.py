"""The pages: HTML for people, made on the server, without scripts and without other servers."""
