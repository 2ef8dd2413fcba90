"""The toolkit of all views: statements, bulk writes, encodings, cached answers."""
