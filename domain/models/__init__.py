"""Models and LoRAs: the catalogue, families and versions."""
