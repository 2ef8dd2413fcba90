"""Models and LoRAs on disk: listing, verifying and fetching them."""
