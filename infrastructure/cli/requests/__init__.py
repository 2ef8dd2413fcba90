"""``hoard generate`` and ``hoard replicate``."""
