"""Models and LoRAs: what is known of them."""
