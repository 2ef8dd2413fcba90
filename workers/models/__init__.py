"""Models and LoRAs on disk: what there is, that it is what it says, and fetching it."""
