"""What operators write into files, and time-outs of addresses."""
