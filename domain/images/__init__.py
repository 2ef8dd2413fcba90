"""Images: their settings, source images, provenance and addresses."""
