"""The engine that runs a diffusers pipeline in this process."""
