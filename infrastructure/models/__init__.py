"""The catalogue of models, files of models, and versions of LoRAs."""
