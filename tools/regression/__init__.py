"""The regression: executing notebooks, and comparing their outputs."""
